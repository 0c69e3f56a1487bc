"""Networks as guests meet them: addresses, names, ways out, walls.  Guests are network namespaces with a cable."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from daemons import RunningDaemon, virsh
from namespaces import Host, Namespace, missing

from vmherd.driver.network import NetworkDriver, UpdateCommand, UpdateSection
from vmherd.driver.registry import lent
from vmherd.driver.types import Scope
from vmherd.driver.uri import parse_uri
from vmherd.errors import HostError, InvalidState, OperationFailed

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(missing("dnsmasq", "nft", "busybox")), reason=missing("dnsmasq", "nft", "busybox")),
]

NAT = """
<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <forward mode='{mode}'/>
  <bridge name='{bridge}' stp='off'/>
  <domain name='vm.test' localOnly='yes'/>
  <dns><host ip='10.77.{number}.1'><hostname>gate</hostname></host></dns>
  <ip address='10.77.{number}.1' prefix='24'>
    <dhcp>
      <range start='10.77.{number}.100' end='10.77.{number}.200'/>
      <host mac='52:54:00:00:00:0a' name='fixed' ip='10.77.{number}.10'/>
    </dhcp>
  </ip>
  <ip family='ipv6' address='fd77:{number}::1' prefix='64'>
    <dhcp><range start='fd77:{number}::100' end='fd77:{number}::1ff'/></dhcp>
  </ip>
  <dnsmasq:options><dnsmasq:option value='no-ping'/></dnsmasq:options>
</network>
"""


def uuid(number: int) -> str:
    return f"11111111-1111-4111-8111-{number:012d}"


def document(name: str = "blue", *, mode: str = "nat", number: int = 1, bridge: str = "") -> str:
    bridge = bridge or f"vh{number}"
    text = NAT.format(name=name, uuid=uuid(number), mode=mode, number=number, bridge=bridge)
    return text.replace("<forward mode='none'/>", "")


@asynccontextmanager
async def networks(root: str) -> AsyncIterator[NetworkDriver]:
    async with lent(NetworkDriver, parse_uri(f"qemu:///embed?root={root}")) as driver:
        yield driver


# What is done inside the host of a test


async def start(root: str, *texts: str) -> None:
    async with networks(root) as driver:
        for text in texts:
            await driver.network_start((await driver.network_define(text)).uuid)


async def stop(root: str, *names: str) -> None:
    async with networks(root) as driver:
        for name in names:
            await driver.network_stop((await driver.network_find(name)).uuid)


async def attend(root: str) -> None:
    async with networks(root) as driver:
        await driver.attend()


async def leases(root: str, name: str) -> None:
    async with networks(root) as driver:
        for lease in await driver.network_leases((await driver.network_find(name)).uuid):
            print(lease.mac, f"{lease.address}/{lease.prefix}", lease.hostname, lease.interface)


async def change(root: str, command: str, section: str, xml: str) -> None:
    async with networks(root) as driver:
        info = await driver.network_find("blue")
        scope = Scope(live=True, config=True)
        await driver.network_update(info.uuid, UpdateCommand[command], UpdateSection[section], -1, xml, scope)


def is_step(event: str, told: tuple[object, ...]) -> bool:
    """Whether it is about to change something: another program's start, a file, the kernel's networks."""
    if event == "open":
        return isinstance(told[2], int) and bool(told[2] & (os.O_WRONLY | os.O_RDWR))
    return event in ("subprocess.Popen", "os.rename", "os.remove", "socket.sendto", "socket.__new__")


def killed_at(step: int, work: Callable[[], Coroutine[None, None, None]]) -> bool:
    """Do ``work`` in a process that kills itself at a step: before it starts a program, opens a file, ...

    Whether it came that far.
    """
    child = os.fork()
    if not child:
        left = step

        def count(event: str, told: tuple[object, ...]) -> None:
            nonlocal left
            left -= is_step(event, told)
            if not left:
                left = -1  # the signal is an event, too
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        asyncio.run(work())
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0


def crash(root: str) -> None:
    """Kill a start and then a stop at each of their steps; whoever comes next finds all or nothing."""
    asyncio.run(define(root))
    asyncio.run(switch(root, "start"))  # which imports everything
    asyncio.run(switch(root, "stop"))
    for operation in ("start", "stop"):
        step = 0
        while killed_at(step := step + 1, lambda operation=operation: switch(root, operation)):  # type: ignore[misc]
            asyncio.run(look(root, f"{operation} {step}"))
            if operation == "stop":
                asyncio.run(switch(root, "start", tolerant=True))
        asyncio.run(switch(root, "stop", tolerant=True))
        print(operation, step)


async def define(root: str) -> None:
    async with networks(root) as driver:
        await driver.network_define(document())


async def switch(root: str, operation: str, *, tolerant: bool = False) -> None:
    async with networks(root) as driver:
        if tolerant and (await driver.network_find("blue")).active is (operation == "start"):
            return
        await (driver.network_start if operation == "start" else driver.network_stop)(uuid(1))


async def look(root: str, when: str) -> None:
    """A network is active with all its parts, or has none; after a start that was killed it can start."""
    async with networks(root) as driver:
        active = (await driver.network_find("blue")).active
        rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
        servers = subprocess.run(["ps", "-ww", "-C", "dnsmasq", "-o", "args="], capture_output=True, text=True).stdout
        parts = [Path("/sys/class/net/vh1").exists(), "out_1111" in rules, f"{root}/" in servers]
        assert parts == [active] * 3, (when, active, parts)
        if active and when.startswith("start"):
            await driver.network_stop(uuid(1))


def lease(guest: Namespace, name: str = "") -> str:
    """The address that a guest gets."""
    words = ["busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "8", "-T", "1", "-s", "/bin/true"]
    told = guest.run(*words, *(["-x", f"hostname:{name}"] if name else []), check=False)
    assert "lease of " in told, told
    address = told.split("lease of ")[1].split()[0]
    guest.run("ip", "address", "replace", f"{address}/24", "dev", "eth0")
    guest.run("ip", "route", "replace", "default", "via", address.rpartition(".")[0] + ".1")
    return address


def reaches(guest: Namespace, address: str) -> bool:
    return "1 received" in guest.run("ping", "-c1", "-W2", address, check=False)


def server(own: Host) -> int:
    """The pid of the dnsmasq inside."""
    (pid,) = [pid for pid, line in own.processes().items() if "dnsmasq" in line]
    return pid


def outside(own: Host) -> Namespace:
    """A host beyond ours, which knows no way to any network of guests."""
    other = own.other()
    own.cable(other, "up0", "up1")
    own.run("ip", "address", "add", "198.51.100.1/24", "dev", "up0")
    other.run("ip", "address", "add", "198.51.100.2/24", "dev", "up1")
    return other


def traces(own: Host) -> str:
    """What is left of networks on a host."""
    rules = own.run("nft", "list", "ruleset")
    links = [line for line in own.run("ip", "-o", "link").splitlines() if "vh" in line or "virbr" in line]
    return "\n".join([*links, *own.processes().values(), *[line for line in rules.splitlines() if "_1111" in line]])


def test_guests_get_addresses_names_and_a_way_out_that_hides_them(own: Host, tmp_path: Path) -> None:
    other = outside(own)
    own.scenario(__file__, "start", tmp_path, document())
    one = own.guest("tap1", "vh1", "52:54:00:00:00:0a")
    two = own.guest("tap2", "vh1", "52:54:00:00:00:0b")
    assert lease(one) == "10.77.1.10"
    assert lease(two, "second").startswith("10.77.1.1")
    found = own.scenario(__file__, "leases", tmp_path, "blue")
    assert "52:54:00:00:00:0a 10.77.1.10/24 fixed vh1" in found
    assert "second" in found
    assert "Address: 10.77.1.10" in one.run("busybox", "nslookup", "fixed.vm.test", "10.77.1.1")
    assert "Address: 10.77.1.1\n" in one.run("busybox", "nslookup", "gate.vm.test", "10.77.1.1")
    assert reaches(one, two.run("ip", "-4", "-o", "address", "show", "eth0").split()[3].split("/")[0])
    assert reaches(one, "198.51.100.2")  # which cannot answer to 10.77.1.10
    other.run("ip", "route", "add", "10.77.0.0/16", "via", "198.51.100.1")
    assert not reaches(other, "10.77.1.10")
    assert "inet6 fd77:1::1/64" in own.run("ip", "address", "show", "vh1")
    own.scenario(__file__, "stop", tmp_path, "blue")
    assert traces(own) == ""


def test_modes_differ_in_who_reaches_whom(own: Host, tmp_path: Path) -> None:
    other = outside(own)
    modes = {"nat": 1, "route": 2, "none": 3, "open": 4}
    texts = [document(mode, mode=mode, number=number) for mode, number in modes.items()]
    own.scenario(__file__, "start", tmp_path, *texts)
    guests = {}
    for mode, number in modes.items():
        guests[mode] = own.guest(f"tap{number}", f"vh{number}", f"52:54:00:00:01:0{number}")
        guests[mode].run("ip", "address", "add", f"10.77.{number}.9/24", "dev", "eth0")
        guests[mode].run("ip", "route", "add", "default", "via", f"10.77.{number}.1")
    other.run("ip", "route", "add", "10.77.0.0/16", "via", "198.51.100.1")
    out = {mode: reaches(guest, "198.51.100.2") for mode, guest in guests.items()}
    assert out == {"nat": True, "route": True, "none": False, "open": True}
    into = {mode: reaches(other, f"10.77.{number}.9") for mode, number in modes.items()}
    assert into == {"nat": False, "route": True, "none": False, "open": True}
    across = {
        (source, target): reaches(guests[source], f"10.77.{modes[target]}.9")
        for source, target in [("nat", "route"), ("route", "nat"), ("none", "route"), ("nat", "none"), ("open", "nat")]
    }
    assert across == {
        ("nat", "route"): True,
        ("route", "nat"): False,
        ("none", "route"): False,
        ("nat", "none"): False,
        ("open", "nat"): False,
    }
    assert all(reaches(guest, f"10.77.{modes[mode]}.1") for mode, guest in guests.items())


def test_changes_reach_dnsmasq_without_a_restart_where_it_can(own: Host, tmp_path: Path) -> None:
    own.scenario(__file__, "start", tmp_path, document())
    guest = own.guest("tap1", "vh1", "52:54:00:00:00:0c")
    before = server(own)
    host = "<host mac='52:54:00:00:00:0c' name='third' ip='10.77.1.12'/>"
    own.scenario(__file__, "change", tmp_path, "ADD_LAST", "IP_DHCP_HOST", host)
    own.scenario(
        __file__, "change", tmp_path, "ADD_LAST", "DNS_HOST", "<host ip='10.77.1.77'><hostname>named</hostname></host>"
    )
    assert server(own) == before
    assert lease(guest) == "10.77.1.12"
    assert "Address: 10.77.1.77" in guest.run("busybox", "nslookup", "named.vm.test", "10.77.1.1")
    own.scenario(__file__, "change", tmp_path, "DELETE", "DNS_HOST", "<host ip='10.77.1.77'/>")
    assert "10.77.1.77" not in guest.run("busybox", "nslookup", "named.vm.test", "10.77.1.1", check=False)
    own.scenario(__file__, "change", tmp_path, "ADD_LAST", "DNS_TXT", "<txt name='motto' value='herd'/>")
    assert server(own) != before
    assert "herd" in guest.run("busybox", "nslookup", "-type=txt", "motto", "10.77.1.1")
    assert reaches(guest, "10.77.1.1")


def test_what_is_lost_comes_back_and_what_runs_is_left_alone(own: Host, tmp_path: Path) -> None:
    other = outside(own)
    own.scenario(__file__, "start", tmp_path, document())
    guest = own.guest("tap1", "vh1", "52:54:00:00:00:0a")
    address = lease(guest)
    before = server(own)
    own.scenario(__file__, "attend", tmp_path)
    assert server(own) == before
    os.kill(before, signal.SIGKILL)
    own.run("nft", "flush", "ruleset")
    assert not reaches(guest, "198.51.100.2")
    own.scenario(__file__, "attend", tmp_path)
    assert server(own) != before
    assert reaches(guest, "198.51.100.2")
    assert lease(guest) == address
    del other


async def collide(root: str) -> None:
    async with networks(root) as driver:
        for text, words in (
            (document(number=5), "in use by interface up0"),
            (document(number=6, bridge="taken0"), "taken0 already"),
            (document(number=7).replace("no-ping", "no-such-thing"), "dnsmasq: bad option at line"),
        ):
            info = await driver.network_define(text)
            with pytest.raises(HostError, match=words):
                await driver.network_start(info.uuid)
            assert not (await driver.network_find(info.uuid)).active
            await driver.network_undefine(info.uuid)
        await driver.network_create(document("one", number=8))
        with pytest.raises(OperationFailed, match="'one' has the addresses"):
            await driver.network_create(document("two", number=9).replace("10.77.9.", "10.77.8."))
        assert [info.name for info in await driver.network_list()] == ["one"]
        with pytest.raises(InvalidState, match="already active"):
            await driver.network_create(document("one", number=8))
        await driver.network_stop(uuid(8))
        assert await driver.network_list() == []


def test_what_is_taken_is_told_and_nothing_is_left_of_the_try(own: Host, tmp_path: Path) -> None:
    outside(own)
    own.run("ip", "route", "add", "10.77.5.128/25", "dev", "up0")
    own.run("ip", "link", "add", "taken0", "type", "bridge")
    own.scenario(__file__, "collide", tmp_path)
    assert traces(own) == ""
    assert "taken0" in own.run("ip", "link")


def ask(daemon: RunningDaemon, *words: str) -> str:
    return virsh(f"qemu+unix:///system?socket={daemon.run}/libvirt-sock", *words)


def test_a_daemon_that_is_killed_and_comes_back_leaves_networks_as_they_are(own: Host, tmp_path: Path) -> None:
    """Autostart, a restart in mid-traffic, and a firewall that forgets everything."""
    other = outside(own)
    (tmp_path / "blue.xml").write_text(document())
    with RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path}/host", words=own.words) as daemon:
        ask(daemon, "net-define", str(tmp_path / "blue.xml"))
        ask(daemon, "net-autostart", "blue")
    for mark in (tmp_path / "host/run/networks").glob("autostarted-*"):
        mark.unlink()  # as if the host had booted
    daemon.start()
    daemon.wait_for(lambda: "vh1" in own.run("ip", "-br", "link"))
    guest = own.guest("tap1", "vh1", "52:54:00:00:00:0a")
    lease(guest)
    before = server(own)
    pinging = guest.spawn("ping", "-i", "0.05", "-w", "60", "198.51.100.2")
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    daemon.start()
    assert "blue" in ask(daemon, "net-list", "--name")
    assert server(own) == before
    pinging.send_signal(signal.SIGINT)
    assert " 0% packet loss" in pinging.communicate(timeout=10)[0]
    own.run("nft", "flush", "ruleset")
    os.kill(before, signal.SIGKILL)
    daemon.wait_for(lambda: "masquerade" in own.run("nft", "list", "ruleset"))
    daemon.wait_for(lambda: any("dnsmasq" in line for line in own.processes().values()))
    assert reaches(guest, "198.51.100.2")
    ask(daemon, "net-destroy", "blue")
    daemon.__exit__()
    assert traces(own) == ""
    del other


def test_a_start_or_stop_that_is_killed_at_any_step_leaves_nothing_half_done(own: Host, tmp_path: Path) -> None:
    steps = dict(line.split() for line in own.scenario(__file__, "crash", tmp_path).splitlines())
    assert int(steps["start"]) > 10
    assert int(steps["stop"]) > 5
    assert traces(own) == ""


async def see_default(root: str, expected: str) -> None:
    async with lent(NetworkDriver, parse_uri("qemu:///system")) as driver:
        (info,) = await driver.network_list()
        assert (info.name, info.active, info.autostart) == ("default", False, False)
        assert f"address='{expected}'" in await driver.network_xml(info.uuid)
        await driver.network_undefine(info.uuid)
    async with lent(NetworkDriver, parse_uri("qemu:///system")) as driver:
        assert await driver.network_list() == []


def test_a_host_has_a_default_network_once_with_a_range_of_its_own(own: Host, tmp_path: Path) -> None:
    outside(own)
    own.run("ip", "route", "add", "192.168.122.0/24", "via", "198.51.100.2")
    own.scenario(__file__, "see_default", tmp_path, "192.168.123.1")


async def hooked(root: str) -> None:
    async with networks(root) as driver:
        info = await driver.network_define(document())
        Path(root, "refuse").touch()
        with pytest.raises(OperationFailed, match=r"Hook script execution failed: .*not today"):
            await driver.network_start(info.uuid)
        assert not (await driver.network_find("blue")).active
        Path(root, "refuse").unlink()
        await driver.network_start(info.uuid)
        await driver.network_stop(info.uuid)


def test_hooks_hear_of_a_network_and_can_refuse_it(own: Host, tmp_path: Path) -> None:
    (tmp_path / "hooks").mkdir()
    script = f"""#!/bin/sh
grep -q '<name>blue</name>' || exit 1
echo "$@" >> {tmp_path}/heard
if [ -e {tmp_path}/refuse ]; then echo not today >&2; exit 3; fi
"""
    (tmp_path / "hooks/network").write_text(script)
    (tmp_path / "hooks/network").chmod(0o755)
    own.scenario(__file__, "hooked", tmp_path)
    told = (tmp_path / "heard").read_text().splitlines()
    assert told == ["blue start begin -", "blue start begin -", "blue started begin -", "blue stopped end -"]
    assert traces(own) == ""


async def without_rights(root: str) -> None:
    async with networks(root) as driver:
        info = await driver.network_define(document())
        with pytest.raises(HostError, match="cannot make the bridge vh1: Operation not permitted") as caught:
            await driver.network_start(info.uuid)
        assert "<interface type='user'>" in caught.value.hint
        assert not (await driver.network_find("blue")).active


def test_without_rights_a_network_is_refused_with_what_there_is_in_place_of_it(own: Host, tmp_path: Path) -> None:
    less = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]
    inside = [sys.executable, Path(__file__).parent / "namespaces.py", __file__, "without_rights", tmp_path]
    own.run(*less, *inside)
    assert traces(own) == ""


def test_guests_choose_addresses_of_ipv6_that_the_network_advertises(own: Host, tmp_path: Path) -> None:
    text = document().replace("<dhcp><range start='fd77:1::100' end='fd77:1::1ff'/></dhcp>", "")
    own.scenario(__file__, "start", tmp_path, text)
    guest = own.guest("tap1", "vh1", "52:54:00:00:00:0d")
    deadline = time.monotonic() + 20
    while "fd77:1:" not in guest.run("ip", "-6", "address", "show", "dev", "eth0", "scope", "global", "-tentative"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert reaches(guest, "fd77:1::1")
    assert "default via fe80" in guest.run("ip", "-6", "route")


async def crowd(root: str) -> None:
    """Networks that start at the same time, of which two say that they are the same, and two have the same range."""
    texts = [
        document(f"net{number}", number=number).replace(f"<bridge name='vh{number}' stp='off'/>", "")
        for number in range(1, 7)
    ]
    async with networks(root) as driver:
        again = driver.network_create(texts[0])
        same_range = driver.network_create(document("other", number=7).replace(".7.", ".6.").replace(":7:", ":6:"))
        results = await asyncio.gather(*map(driver.network_create, texts), again, same_range, return_exceptions=True)
        failures = [type(each).__name__ for each in results if isinstance(each, BaseException)]
        assert sorted(failures) == ["InvalidState", "OperationFailed"], results
        found = await driver.network_list()
        assert len({info.bridge for info in found}) == len(found) == 6
        for info in found:
            await driver.network_stop(info.uuid)


def test_networks_that_start_at_once_take_nothing_of_each_other(own: Host, tmp_path: Path) -> None:
    own.scenario(__file__, "crowd", tmp_path)
    assert traces(own) == ""


@pytest.mark.skipif(bool(missing("iptables")), reason="needs iptables")
def test_a_host_that_drops_what_it_does_not_know_lets_guests_through(own: Host, tmp_path: Path) -> None:
    other = outside(own)
    for chain in ("INPUT", "FORWARD"):
        own.run("iptables", "-P", chain, "DROP")
    before = own.run("iptables", "-S")
    own.scenario(__file__, "start", tmp_path, document())
    guest = own.guest("tap1", "vh1", "52:54:00:00:00:0a")
    lease(guest)
    assert reaches(guest, "198.51.100.2")
    own.run("iptables", "-F")
    assert not reaches(guest, "198.51.100.2")
    own.scenario(__file__, "attend", tmp_path)
    assert reaches(guest, "198.51.100.2")
    own.scenario(__file__, "stop", tmp_path, "blue")
    assert own.run("iptables", "-S") == before
    del other
