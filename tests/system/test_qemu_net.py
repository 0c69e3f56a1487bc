"""Network cards and PCI topologies that QEMU really starts with, and what a start says where it cannot.

Guests have no disk: their firmware asks the network for something to boot, which is traffic enough.  What needs network
devices runs in a network namespace of its own: as a program, this file is that scenario, ``NAME URI``.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from parts import processes

from vmherd.api.aio import Host, connect
from vmherd.errors import HostError, HypervisorError, VmherdError

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='{machine}'>hvm</type><boot dev='network'/></os>
  <features><acpi/></features>
  {backing}
  <devices>{devices}</devices>
</domain>
"""
CARD = "<interface type='{}'><mac address='52:54:00:12:34:{:02x}'/>{}<model type='virtio'/></interface>"
SHARED = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
NET = Path("/sys/class/net")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="making network devices takes root rights")


def guest(devices: str, *, name: str = "web", machine: str = "pc", backing: str = "") -> str:
    return GUEST.format(name=name, devices=devices, machine=machine, backing=backing)


def card(kind: str, more: str = "", *, number: int = 1) -> str:
    return CARD.format(kind, number, more)


async def test_a_card_with_a_network_of_its_own_starts(host: Host) -> None:
    address = "<ip family='ipv4' address='172.17.2.0' prefix='24'/><ip family='ipv6' address='2001:db8::' prefix='64'/>"
    domain = await host.create(guest(card("user", address)))
    assert (await domain.info()).active


NAMESPACES = subprocess.run(["unshare", "--user", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not shutil.which("passt"), reason="passt is not installed")
@pytest.mark.skipif(not NAMESPACES, reason="this host allows no user namespaces, which passt hides in")
async def test_passt_serves_a_card_and_leaves_with_its_guest(host: Host, tmp_path: Path) -> None:
    forward = (
        "<backend type='passt'/><portForward proto='tcp' address='127.0.0.1'><range start='{}' to='22'/></portForward>"
    )
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    domain = await host.create(guest(card("user", forward.format(port))))
    assert [line for line in processes(tmp_path).values() if line.split()[0].endswith(("passt", "passt.avx2"))]
    with socket.create_connection(("127.0.0.1", port)):
        pass
    await domain.poweroff()
    assert not await left(tmp_path, "passt")


async def left(folder: Path, word: str) -> list[str]:
    """The processes of that name that are still there after a moment."""
    for _ in range(100):
        found = [line for line in processes(folder).values() if word in line.split()[0]]
        if not found:
            break
        await asyncio.sleep(0.05)
    return found


@pytest.mark.parametrize(("first", "second"), [("server", "client"), ("mcast", "mcast"), ("udp", "udp")])
async def test_two_guests_join_their_cards(first: str, second: str, host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    places = {
        "server": [f"<source address='127.0.0.1' port='{port}'/>"] * 2,
        "mcast": [f"<source address='230.0.0.1' port='{port}'/>"] * 2,
        "udp": [
            f"<source address='127.0.0.1' port='{here}'><local address='127.0.0.1' port='{there}'/></source>"
            for here, there in ((port, port + 1), (port + 1, port))
        ],
    }
    one = await host.create(guest(card(first, places[first][0]), name="one"))
    two = await host.create(guest(card(second, places[first][1], number=2), name="two"))
    assert (await one.info()).active
    assert (await two.info()).active


async def test_a_vhost_user_card_needs_somebody_who_listens_and_memory_he_can_reach(host: Host, tmp_path: Path) -> None:
    alone = card("vhostuser", f"<source type='unix' path='{tmp_path}/switch.sock' mode='client'/>")
    with pytest.raises(HostError, match=r"nobody serves .*switch.sock"):
        await host.create(guest(alone, backing=SHARED))
    with pytest.raises(VmherdError) as caught:
        await host.create(guest(alone))
    assert "memfd" in caught.value.hint
    assert not list((tmp_path / "run" / "guests").iterdir())


async def test_a_vhost_user_card_that_nobody_connects_to_does_not_start_for_ever(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmherd.hypervisors.qemu.startup.start.GREETING", 2.0)
    served = card("vhostuser", f"<source type='unix' path='{tmp_path}/switch.sock' mode='server'/>")
    with pytest.raises(HypervisorError, match=r"nobody connected .*switch\.sock") as caught:
        await host.create(guest(served, backing=SHARED))
    assert "mode='client'" in caught.value.hint
    assert not [line for line in processes(tmp_path).values() if "qemu-system" in line]


def controllers(*models: str) -> str:
    return "".join(f"<controller type='pci' index='{n}' model='{model}'/>" for n, model in enumerate(models, start=1))


DOWNSTREAM = ["pcie-switch-downstream-port"] * 3
USB2 = "".join(
    f"<controller type='usb' index='0' model='ich9-{part}'/>" for part in ("ehci1", "uhci1", "uhci2", "uhci3")
)


@pytest.mark.parametrize(
    ("machine", "devices"),
    [
        ("pc", controllers("pci-expander-bus", "pci-bridge", "pci-expander-bus") + USB2),
        ("q35", controllers("pcie-root-port", "pcie-switch-upstream-port", *DOWNSTREAM) + USB2),
        ("q35", controllers("dmi-to-pci-bridge", "pci-bridge", "pcie-to-pci-bridge")),
        ("q35", controllers("pcie-expander-bus") + "<controller type='pci' index='2' model='pcie-root-port'>"
         "<address type='pci' bus='1' slot='0'/></controller><memballoon model='virtio'><address type='pci' bus='2'/>"
         "</memballoon>"),
    ],
    ids=["expanders", "switch", "bridges", "port of an expander"],
)  # fmt: skip
async def test_pci_topologies_are_what_qemu_takes(machine: str, devices: str, host: Host) -> None:
    domain = await host.create(guest(devices + card("user"), machine=machine))
    assert (await domain.info()).active


@pytest.mark.skipif(not shutil.which("qemu-system-ppc64"), reason="there is no qemu-system-ppc64")
async def test_a_second_host_bridge_of_power_is_what_qemu_takes(host: Host) -> None:
    bridge = "<controller type='pci' index='1' model='pci-root'/>"
    place = "<address type='pci' bus='1' slot='1'/>"
    text = guest(bridge + card("user", place), machine="pseries").replace("x86_64", "ppc64")
    domain = await host.create(text.replace("<features><acpi/></features>", ""))
    assert "<target index='1'/>" in await domain.xml()
    assert (await domain.info()).active


HOSTDEV = "<hostdev mode='subsystem' type='{}' managed='{}'><source{}>{}</source></hostdev>"


async def test_a_device_that_this_host_does_not_have_is_named(host: Host) -> None:
    pci = "<address domain='0' bus='0xfe' slot='0x1f' function='7'/>"
    with pytest.raises(HostError, match=r"no PCI device 0000:fe:1f\.7"):
        await host.create(guest(HOSTDEV.format("pci", "yes", "", pci)))
    usb = "<vendor id='0xdead'/><product id='0xbeef'/>"
    with pytest.raises(HostError, match="no USB device dead:beef"):
        await host.create(guest(HOSTDEV.format("usb", "yes", "", usb)))
    domain = await host.create(guest(HOSTDEV.format("usb", "yes", " startupPolicy='optional'", usb)))
    assert "<hostdev" not in await domain.xml()


async def test_a_pci_device_that_no_iommu_guards_stays_with_the_host(host: Host) -> None:
    found = [each for each in Path("/sys/bus/pci/devices").glob("0000:*") if not (each / "iommu_group").exists()]
    if not found:
        pytest.skip("every PCI device of this host has an IOMMU")
    bus, slot, function = found[0].name[5:7], found[0].name[8:10], found[0].name[11:]
    place = f"<address domain='0' bus='0x{bus}' slot='0x{slot}' function='{function}'/>"
    with pytest.raises(HostError, match="no IOMMU"):
        await host.create(guest(HOSTDEV.format("pci", "yes", "", place)))


async def bridged(uri: str) -> None:
    """A card of two queues in a bridge, one that the host has addresses on; both are gone with the guest."""
    subprocess.run(["ip", "link", "add", "br7", "mtu", "1400", "type", "bridge"], check=True)
    bridge = card("bridge", "<source bridge='br7'/><port isolated='yes'/><driver queues='2'/>")
    route = "<route address='10.8.0.0' prefix='16' gateway='10.7.0.9'/>"
    source = f"<source><ip address='10.7.0.1' prefix='24'/>{route}</source>"
    routed = card("ethernet", f"{source}<target dev='routed'/><mtu size='1300'/>", number=2)
    async with await connect(uri) as host:
        domain = await host.create(guest(bridge + routed))
        (tap,) = [each.name for each in NET.glob("vnet*")]
        assert f"<target dev='{tap}'/>" in await domain.xml()
        assert (NET / tap / "address").read_text().strip() == "fe:54:00:12:34:01"
        assert (NET / tap / "master").readlink().name == "br7"
        assert (NET / tap / "mtu").read_text().strip() == "1400"
        assert (NET / tap / "brport/isolated").read_text().strip() == "1"
        assert (NET / "routed/mtu").read_text().strip() == "1300"
        told = subprocess.run(["ip", "route"], check=True, capture_output=True, text=True).stdout
        assert "10.8.0.0/16 via 10.7.0.9 dev routed" in told
        async with asyncio.timeout(60):  # the firmware asks for an address
            while (NET / tap / "statistics/rx_packets").read_text().strip() == "0":
                await asyncio.sleep(0.1)
        await domain.poweroff()
        assert not (NET / tap).exists()
        assert not (NET / "routed").exists()


async def unbridged(uri: str) -> None:
    async with await connect(uri) as host:
        with pytest.raises(HostError, match="no bridge 'br8'"):
            await host.create(guest(card("bridge", "<source bridge='br8'/>")))
        with pytest.raises(HostError, match="too long"):
            await host.create(guest(card("ethernet", "<target dev='a-very-long-name'/>")))
        mine = card("ethernet", "<target dev='mine' managed='no'/>")
        with pytest.raises(HostError, match="no network device 'mine'"):
            await host.create(guest(mine))
        assert [each.name for each in NET.iterdir()] == ["lo"]
        subprocess.run(["ip", "tuntap", "add", "mine", "mode", "tap", "vnet_hdr"], check=True)
        before = (NET / "mine/address").read_text()
        domain = await host.create(guest(mine))
        assert (NET / "mine/address").read_text() == before
        await domain.poweroff()
    assert (NET / "mine").exists()


async def powerless(uri: str) -> None:
    async with await connect(uri) as host:
        with pytest.raises(HostError, match="rights that we do not have") as caught:
            await host.create(guest(card("ethernet")))
    assert "type='user'" in caught.value.hint


def isolated(scenario: str, uri: str, *prefix: str) -> subprocess.CompletedProcess[str]:
    # The new namespace has network devices of its own, which the old /sys does not show.
    inside = ["unshare", "--net", "--mount", "sh", "-c", 'mount -t sysfs none /sys && exec "$@"', "sh"]
    argv = [*inside, *prefix, sys.executable, __file__, scenario, uri]
    return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=150)


@pytest.mark.root
@needs_root
@pytest.mark.parametrize("scenario", ["bridged", "unbridged"])
def test_cards_on_the_network_devices_of_the_host(scenario: str, uri: str, tmp_path: Path) -> None:
    done = isolated(scenario, uri)
    assert done.returncode == 0, done.stderr
    assert not [line for line in processes(tmp_path).values() if "qemu-system" in line]


@pytest.mark.root
@needs_root
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed")
def test_without_rights_a_card_on_a_network_device_is_refused(uri: str) -> None:
    done = isolated("powerless", uri, "setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    asyncio.run({"bridged": bridged, "unbridged": unbridged, "powerless": powerless}[sys.argv[1]](sys.argv[2]))
