"""Guests on virtual networks: what their cards are there, what they reach, and that nothing is left of them.

Everything happens in network namespaces of its own.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from namespaces import Host, Namespace, missing

from vmherd.api.aio import Domain, connect
from vmherd.api.aio import Host as Hypervisor
from vmherd.conf.domain import render
from vmherd.driver.agent import AddressSource
from vmherd.driver.network import NetworkDriver
from vmherd.errors import InvalidState, NetworkNotFound, OperationUnsupported, Unsupported, VmherdError
from vmherd.guest.demo import DemoGuest
from vmherd.guest.session import Session
from vmherd.guest.spec import GuestSpec, best_platform
from vmherd.util.traffic import Rate, limit

TOOLS = ("dnsmasq", "nft", "tc", "qemu-system-x86_64")
pytestmark = [
    pytest.mark.qemu,
    pytest.mark.root,
    pytest.mark.skipif(bool(missing(*TOOLS)), reason=missing(*TOOLS)),
]

NET = Path("/sys/class/net")

NAT = """
<network>
  <name>{name}</name>
  <forward mode='nat'/>
  <bridge name='{bridge}' {options}/>
  <mtu size='1400'/>
  <domain name='{name}.test' localOnly='yes'/>
  <bandwidth><inbound average='4000' peak='8000'/></bandwidth>
  <ip address='10.{number}.0.1' prefix='24'><dhcp><range start='10.{number}.0.50' end='10.{number}.0.99'/></dhcp></ip>
  <portgroup name='slow'><bandwidth><inbound average='500'/></bandwidth></portgroup>
</network>
"""
BRIDGED = "<network><name>lan</name><forward mode='bridge'/><bridge name='br7'/></network>"
DIRECT = """
<network><name>shared</name>
  <forward mode='bridge'><interface dev='wire0'/><interface dev='wire1'/></forward>
</network>
"""
ALONE = "<network><name>alone</name><forward mode='passthrough'><interface dev='wire2'/></forward></network>"

GUEST = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>{cards}</devices>
</domain>
"""


def card(number: int, network: str, more: str = "", kind: str = "network", group: str = "") -> str:
    group = f" portgroup='{group}'" if group else ""
    return (
        f"<interface type='{kind}'><mac address='52:54:00:00:00:{number:02x}'/><source {kind}='{network}'{group}/>"
        f"{more}<model type='virtio'/></interface>"
    )


def guest(*cards: str, name: str = "web") -> str:
    return GUEST.format(name=name, cards="".join(cards))


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def prepare() -> None:
    """A bridge and cards of the host, in place of real ones."""
    run("ip", "link", "add", "br7", "type", "bridge")
    for number in range(3):
        run("ip", "link", "add", f"wire{number}", "type", "veth", "peer", "name", f"far{number}")
        run("ip", "link", "set", f"wire{number}", "up")
        run("ip", "link", "set", f"far{number}", "up")


@asynccontextmanager
async def hosts(uri: str) -> AsyncIterator[tuple[Hypervisor, NetworkDriver]]:
    async with await connect(uri) as host:
        yield host, await host._driver.resource(NetworkDriver)


async def start(networks: NetworkDriver, *texts: str) -> list[str]:
    found = [(await networks.network_define(text)).uuid for text in texts]
    for uuid in found:
        await networks.network_start(uuid)
    return found


def devices(*prefixes: str) -> list[str]:
    return sorted(each.name for each in NET.iterdir() if each.name.startswith(prefixes or ("vnet", "macvtap")))


def cards_of(xml: str) -> list[str]:
    return re.findall(r"<interface.*?</interface>", xml, re.S)


async def nothing_is_left(networks: NetworkDriver) -> None:
    for info in await networks.network_list():
        if info.active:
            assert not await networks.port_list(info.uuid), info.name
    assert not devices()
    assert "vnet" not in run("nft", "list", "ruleset")


# What is done inside the host of a test


async def places(uri: str) -> None:
    """Cards of each kind of network are what they are there; a move, limits, and the end of all."""
    prepare()
    async with hosts(uri) as (host, networks):
        nat, lan, *_ = await start(
            networks, NAT.format(name="nat", bridge="vn0", number=71, options=""), BRIDGED, DIRECT, ALONE
        )
        own = (Path("/sys/class/net/wire2/address")).read_text()
        domain = await host.create(
            guest(
                card(1, "nat", "<bandwidth><inbound average='900' floor='1000'/></bandwidth>"),
                card(2, "lan", "<port isolated='yes'/>"),
                card(3, "shared", "<bandwidth><inbound average='300'/><outbound average='400'/></bandwidth>"),
                card(4, "alone", "<driver queues='2'/>"),
                card(5, "nat", group="slow"),
            )
        )
        xml = await domain.xml()
        one, two, three, four, five = cards_of(xml)
        assert re.search(r"type='network'.*<source network='nat' portid='[0-9a-f-]{36}' bridge='vn0'/>", one, re.S)
        assert re.search(r"type='bridge'.*<source network='lan' portid='[0-9a-f-]{36}' bridge='br7'/>", two, re.S)
        assert re.search(r"type='direct'.*<source network='shared' portid=.* dev='wire0' mode='bridge'/>", three, re.S)
        assert re.search(
            r"type='direct'.*<source network='alone' portid=.* dev='wire2' mode='passthrough'/>", four, re.S
        )
        assert "portgroup='slow'" in five
        assert "<inbound average='500'/>" in five
        assert devices() == ["macvtap0", "macvtap1", "vnet0", "vnet1", "vnet2"]
        assert (NET / "vnet0/mtu").read_text().strip() == "1400"
        assert (NET / "vnet1/brport/isolated").read_text().strip() == "1"
        assert (NET / "wire2/address").read_text().strip() == "52:54:00:00:00:04"
        (port,) = await networks.port_list(lan)
        assert (await networks.port_xml(lan, port.uuid)).count("<plug type='bridge' bridge='br7'/>") == 1
        assert "<network connections='2'>" in await networks.network_xml(nat)
        assert "rate 8Mbit" in run("tc", "class", "show", "dev", "vn0", "classid", "1:3")
        assert "52:54:00:00:00:01 : 1:3" in run("nft", "list", "table", "netdev", "vmherd_rates")
        await moved(domain, networks, nat, lan)
        await plugged(domain, networks, lan)
        await saved(domain, host, networks, lan)
        await (await host.domain("web")).poweroff()
        assert (NET / "wire2/address").read_text() == own
        assert not run("tc", "class", "show", "dev", "vn0", "classid", "1:3")
        await nothing_is_left(networks)


async def moved(domain: Domain, networks: NetworkDriver, nat: str, lan: str) -> None:
    """A card goes to another network while the guest runs, and its limits change."""
    await domain.devices.update(card(2, "nat", "<link state='down'/>"))
    assert (NET / "vnet1/master").readlink().name == "vn0"
    assert not await networks.port_list(lan)
    assert len(await networks.port_list(nat)) == 3
    with pytest.raises(OperationUnsupported):
        await domain.devices.update(card(2, "shared", "<link state='down'/>"))
    with pytest.raises(NetworkNotFound):
        await domain.devices.update(card(2, "none", "<link state='down'/>"))
    assert len(await networks.port_list(nat)) == 3
    await domain.devices.update(card(2, "lan", "<port isolated='yes'/>"))
    assert (NET / "vnet1/master").readlink().name == "br7"
    await domain.tuning.set_interface_params("vnet0", {"inbound.average": 700, "inbound.floor": 2000})
    assert "rate 16Mbit" in run("tc", "class", "show", "dev", "vn0", "classid", "1:3")
    with pytest.raises(InvalidState, match="overcommit 'peak'"):
        await domain.tuning.set_interface_params("vnet0", {"inbound.average": 700, "inbound.floor": 9000})
    assert "rate 16Mbit" in run("tc", "class", "show", "dev", "vn0", "classid", "1:3")
    assert "rate 5600Kbit" in run("tc", "class", "show", "dev", "vnet0")


async def plugged(domain: Domain, networks: NetworkDriver, lan: str) -> None:
    """A card that comes while the guest runs, and goes before its QEMU knows of it."""
    with pytest.raises(NetworkNotFound):
        await domain.devices.attach(card(9, "nowhere"))
    await domain.devices.attach(card(9, "lan"))
    assert len(await networks.port_list(lan)) == 2
    assert "vnet3" in devices()


async def saved(domain: Domain, host: Hypervisor, networks: NetworkDriver, lan: str) -> None:
    """A guest comes back to the networks that it was told to be in, as new ports."""
    (before, _) = await networks.port_list(lan)
    image = Path(str(networks.uri.params["root"])) / "image"
    await domain.save(image)
    assert not await networks.port_list(lan)
    kept = cards_of(await host.saved_xml(image))
    assert kept[1].startswith("<interface type='network'>")
    assert "<source network='lan'/>" in kept[1]
    assert "<target" not in kept[1]
    await host.restore(image)
    after = await networks.port_list(lan)
    assert len(after) == 2
    assert before.uuid not in {each.uuid for each in after}
    assert "isolated='yes'" in cards_of(await (await host.domain("web")).xml())[1]


VLAN = "<vlan><tag id='4'/></vlan>"


def keeps_vlans() -> bool:
    """Whether bridges of this kernel can."""
    return not subprocess.run(["ip", "link", "add", "probe", "type", "bridge", "vlan_filtering", "1"]).returncode


async def refused(uri: str) -> None:
    """What cannot be started leaves nothing behind."""
    prepare()
    async with hosts(uri) as (host, networks):
        text = NAT.format(name="nat", bridge="vn0", number=72, options="")
        idle = (await networks.network_define(text)).uuid
        with pytest.raises(InvalidState, match="network 'nat' is not active"):
            await host.create(guest(card(1, "nat")))
        await networks.network_start(idle)
        await start(networks, BRIDGED, ALONE)
        for cards, error, words in (
            ([card(1, "nat"), card(2, "none")], NetworkNotFound, "none"),
            ([card(1, "nat"), card(2, "nat", group="gone")], Unsupported, "no portgroup 'gone'"),
            ([card(1, "nat", "<virtualport type='openvswitch'/>")], Unsupported, "uses IP forwarding"),
            ([card(1, "lan"), card(2, "alone"), card(3, "alone")], VmherdError, "exclusive access"),
            (
                [card(1, "lan", "<bandwidth><inbound average='1' floor='1'/></bandwidth>")],
                VmherdError,
                "no inbound QoS",
            ),
            ([card(1, "nat"), card(2, "br8", kind="bridge")], VmherdError, "no bridge 'br8'"),
            ([card(1, "alone", FILTER.format(1))], Unsupported, "filterref is not supported"),
            ([card(1, "alone", "<port isolated='yes'/>")], Unsupported, "isolation of the port"),
            ([card(1, "alone", VLAN)], Unsupported, "VLAN tags of macvtap"),
            *([] if keeps_vlans() else [([card(1, "lan", VLAN)], VmherdError, "cannot keep VLANs apart")]),
        ):
            with pytest.raises(error, match=words):
                await host.create(guest(*cards))
            await nothing_is_left(networks)


OVS = """
<network><name>switch</name>
  <forward mode='bridge'/><bridge name='ovs0'/><virtualport type='openvswitch'/>
  <portgroup name='blue'><vlan><tag id='10'/></vlan></portgroup>
  <portgroup name='red'><vlan trunk='yes'><tag id='20' nativeMode='untagged'/><tag id='30'/></vlan></portgroup>
</network>
"""
OVS_START = """
export OVS_RUNDIR={0} OVS_DBDIR={0} OVS_SYSCONFDIR={0} OVS_LOGDIR={0}
ovsdb-tool create {0}/conf.db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server {0}/conf.db --remote=punix:{0}/db.sock --pidfile --detach --log-file={0}/o.log --no-chdir
ovs-vsctl --no-wait init
ovs-vswitchd unix:{0}/db.sock --disable-system --pidfile --detach --log-file={0}/v.log --no-chdir
ovs-vsctl add-br ovs0 -- set bridge ovs0 datapath_type=netdev
"""


async def switched(uri: str, folder: str) -> None:
    """Ports of Open vSwitch have their VLANs, what controllers look for, and limits; none is left."""
    subprocess.run(["bash", "-ec", OVS_START.format(folder)], check=True, stdout=subprocess.DEVNULL)
    os.environ["OVS_RUNDIR"] = folder
    async with hosts(uri) as (host, networks):
        await start(networks, OVS)
        limits = "<bandwidth><inbound average='500' burst='64'/><outbound average='250'/></bandwidth>"
        domain = await host.create(guest(card(1, "switch", limits, group="blue")))
        (live,) = cards_of(await domain.xml())
        assert "<interface type='bridge'>" in live
        interface_id = re.search("interfaceid='(.*?)'", live)
        assert interface_id
        known = run("ovs-vsctl", "get", "Interface", "vnet0", "external_ids")
        for word in ("52:54:00:00:00:01", interface_id[1], (await domain.info()).uuid, "iface-status=active"):
            assert word in known
        assert run("ovs-vsctl", "get", "Port", "vnet0", "tag").strip() == "10"
        assert "4000000" in run("ovs-vsctl", "list", "qos")
        assert run("ovs-vsctl", "get", "Interface", "vnet0", "ingress_policing_rate").strip() == "2000"
        await domain.devices.update(card(1, "switch", limits, group="red"))
        told = run("ovs-vsctl", "get", "Port", "vnet0", "tag", "trunks", "vlan_mode").split()
        assert told == ["20", "[20,", "30]", "native-untagged"]
        with pytest.raises(OperationUnsupported):
            await domain.devices.update(card(1, "br7", limits, kind="bridge"))
        await domain.poweroff()
        assert not run("ovs-vsctl", "list-ports", "ovs0")
        assert "_uuid" not in run("ovs-vsctl", "list", "qos") + run("ovs-vsctl", "list", "queue")
        await nothing_is_left(networks)


async def begun(uri: str) -> None:
    """Start a guest, in a process that is killed meanwhile."""
    async with hosts(uri) as (host, _):
        print("begins", flush=True)
        await host.create(EVERYTHING)


EVERYTHING = guest(
    card(1, "nat", "<bandwidth><inbound floor='1000' average='900'/><outbound average='800'/></bandwidth>"),
    card(2, "alone", "<bandwidth><outbound average='100'/></bandwidth>"),
    card(3, "lan", "<filterref filter='no-mac-spoofing'/>"),
)


async def killed(uri: str) -> None:
    """Whoever starts a guest is killed at any instant: the next one finds it running, or nothing of it."""
    prepare()
    async with hosts(uri) as (_, networks):
        await start(networks, NAT.format(name="nat", bridge="vn0", number=75, options=""), BRIDGED, ALONE)
        own = (NET / "wire2/address").read_text()
    for moment in range(6):
        words = [sys.executable, sys.argv[0], __file__, "begun", uri]
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        await process.stdout.readline()
        await asyncio.sleep(0.3 + moment * 0.15)
        with suppress(ProcessLookupError):  # it is done
            process.kill()
        await process.wait()
        async with hosts(uri) as (host, networks):
            for info in await host.domains():
                await (await host.domain(info.name)).poweroff()
            await nothing_is_left(networks)
            assert (NET / "wire2/address").read_text() == own
            assert not run("tc", "class", "show", "dev", "vn0", "classid", "1:3")


async def reached(uri: str, kernel: str, initrd: str, cmdline: str) -> None:
    """Two guests with leases and names; what they reach, what they cannot, and what their filter lets nobody claim."""
    async with hosts(uri) as (host, networks):
        nat, wall = (
            NAT.format(name=name, bridge=f"vn{number}", number=number, options="")
            .replace("0.1'", "0.254'")
            .replace("</dhcp>", "".join(FIXED.format(card, number) for card in cards) + "</dhcp>")
            for name, number, cards in (("nat", 73, (1, 2)), ("wall", 74, (17, 18)))
        )
        await start(networks, nat, wall.replace("<forward mode='nat'/>", ""))
        guests = []
        try:
            for number, name in enumerate(("one", "two"), start=1):
                cards = card(number, "nat", FILTER.format(number)), card(number + 16, "wall")
                guests.append(await booted(host, name, cards, (kernel, initrd, cmdline)))
            one, two = guests
            for session in (one, two):
                await session.login("root", "demo", patience=120)
            there = await everything_is_reached(host, one)
            await nothing_is_claimed(one, two, there)
            await unplugged(host, networks)
        finally:
            for info in await host.domains():
                await (await host.domain(info.name)).poweroff()
        await nothing_is_left(networks)


FILTER = "<filterref filter='clean-traffic'><parameter name='IP' value='10.73.0.{}'/></filterref>"
FIXED = "<host mac='52:54:00:00:00:{0:02x}' ip='10.{1}.0.{0}'/>"


async def booted(host: Hypervisor, name: str, cards: tuple[str, ...], boot: tuple[str, str, str]) -> Session:
    kernel, initrd, cmdline = boot
    spec = GuestSpec(
        name=name,
        memory=128 << 20,
        kernel=Path(kernel),
        initrd=Path(initrd),
        cmdline=f"{cmdline} hostname={name}",
    )
    xml = render(spec.document(best_platform(await host.capabilities())))
    xml = re.sub(r"<interface.*?</interface>", "", xml, flags=re.S)
    domain = await host.create(xml.replace("</devices>", f"{''.join(cards)}</devices>"), paused=True)
    session = Session(await domain.open_console())
    await domain.resume()
    return session


async def leased(host: Hypervisor, name: str) -> list[str]:
    """What the networks have given to the guest's cards."""
    domain = await host.domain(name)
    async with asyncio.timeout(
        60
    ):  # dnsmasq looks for three seconds whether an address is free, and the guest asks again
        while len(told := await domain.control.addresses(AddressSource.LEASE)) < 2:
            await asyncio.sleep(0.5)
    assert await domain.control.hostname(AddressSource.LEASE) == name
    found = [each.addresses[0].address for each in told]
    assert [each.rsplit(".", 1)[0] for each in found] == ["10.73.0", "10.74.0"]
    return found


async def everything_is_reached(host: Hypervisor, one: Session) -> str:
    """The other guest's address in the first network."""
    await leased(host, "one")
    there, walled = await leased(host, "two")
    # The demo guest asks the server of its last card only.
    assert there in await one.run("nslookup two.nat.test 10.73.0.254")
    assert walled in await one.run("nslookup two.wall.test 10.74.0.254")
    await one.run(f"ping -c 1 -W 5 {there} && ping -c 1 -W 5 10.98.0.2")
    # The isolated network leads to its members alone.
    await one.run(f"ping -c 1 -W 5 {walled}")
    await one.run("ip route add 10.98.0.0/24 via 10.74.0.254 && ! ping -c 1 -W 2 10.98.0.2")
    await one.run("ip route del 10.98.0.0/24")
    return there


async def unplugged(host: Hypervisor, networks: NetworkDriver) -> None:
    """A card that the guest lets go leaves its network."""
    domain = await host.domain("two")
    wall = (await networks.network_find("wall")).uuid
    assert len(await networks.port_list(wall)) == 2
    await domain.devices.detach(card(18, "wall"))
    async with asyncio.timeout(20):
        while len(await networks.port_list(wall)) == 2:
            await asyncio.sleep(0.1)
    assert len(cards_of(await domain.xml())) == 1


async def nothing_is_claimed(one: Session, two: Session, there: str) -> None:
    """Another address, another card's, somebody else's address as one's own."""
    await one.run(f"ping -c 1 -W 5 {there}")
    await one.run("ip addr add 10.73.0.200/24 dev eth0")
    await one.run(f"! ping -c 1 -W 2 -I 10.73.0.200 {there}")
    await two.run("ping -c 1 -W 5 10.73.0.254")
    mine = "ip addr {} 10.73.0.254/32 dev eth0"
    await one.run(f"{mine.format('add')} && arping -c 2 -A -I eth0 10.73.0.254; {mine.format('del')}")
    await two.run("! ip neigh show 10.73.0.254 | grep -i 52:54:00:00:00:01")
    await one.run("ip addr del 10.73.0.200/24 dev eth0; ip link set eth0 address 52:54:00:00:00:77")
    await one.run(f"! ping -c 1 -W 2 {there}")
    await one.run(f"ip link set eth0 address 52:54:00:00:00:01 && ping -c 1 -W 5 {there}")


RECEIVE = """
import socket, time
ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ours.bind(("", 7777))
print("ready", flush=True)
ours.recv(2000)
begin, size = time.monotonic() + 0.5, 0  # what goes at once is not counted
while (now := time.monotonic()) < begin + 1.5:
    size += len(ours.recv(2000)) if now > begin else ours.recv(2000) and 0
print(size / 1.5, flush=True)
"""
SEND = """
import socket, sys, time
ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + 2.5
while time.monotonic() < end:
    ours.sendto(bytes(1000), (sys.argv[1], 7777))
    time.sleep(0.0005)
"""


def rate(sender: Namespace, receiver: Namespace, address: str) -> float:
    """Bytes per second that arrive when a megabyte or two are sent."""
    listen = [*receiver.words, sys.executable, "-S", "-c", RECEIVE]
    with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        sender.run(sys.executable, "-S", "-c", SEND, address)
        return float(process.stdout.readline())


async def limited() -> None:
    await limit("here", sent=Rate(average=200_000), received=Rate(average=100_000, burst=20_000))


def test_limits_hold_whether_or_not_the_kernel_has_police(own: Host) -> None:
    other = own.other()
    own.cable(other, "here", "there")
    own.run("ip", "address", "add", "10.98.0.1/24", "dev", "here")
    other.run("ip", "address", "add", "10.98.0.2/24", "dev", "there")
    assert rate(other, own, "10.98.0.1") > 400_000
    own.scenario(__file__, "limited")
    assert rate(other, own, "10.98.0.1") == pytest.approx(100_000, rel=0.3)
    assert rate(own, other, "10.98.0.2") == pytest.approx(200_000, rel=0.3)


@pytest.mark.parametrize("scenario", ["places", "refused", "killed"])
def test_cards_in_networks(scenario: str, own: Host, uri: str) -> None:
    own.scenario(__file__, scenario, uri)


@pytest.mark.skipif(not shutil.which("ovs-vswitchd"), reason="Open vSwitch is not installed (openvswitch-switch)")
def test_cards_at_open_vswitch(own: Host, uri: str, tmp_path: Path) -> None:
    (tmp_path / "ovs").mkdir()
    own.scenario(__file__, "switched", uri, tmp_path / "ovs")


@pytest.mark.packages
def test_two_guests_on_networks_reach_what_they_may(own: Host, uri: str, demo: DemoGuest) -> None:
    outside = own.other()
    own.cable(outside, "up0", "up1")
    own.run("ip", "address", "add", "10.98.0.1/24", "dev", "up0")
    outside.run("ip", "address", "add", "10.98.0.2/24", "dev", "up1")  # which has no way back: only NAT reaches it
    own.scenario(__file__, "reached", uri, demo.kernel, demo.initrd, demo.cmdline, patience=300)
