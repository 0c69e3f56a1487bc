"""virsh shapes the interfaces of a host, which is a network namespace with a card: the end of a cable."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import RunningDaemon
from namespaces import Host, missing, namespaces

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(missing("virsh") != "", reason=missing("virsh")),
]

BRIDGE = """<interface type='bridge' name='{name}'><start mode='{mode}'/>
<protocol family='ipv4'><ip address='10.55.0.1' prefix='24'/></protocol>
<protocol family='ipv6'><ip address='fd55::1' prefix='64'/></protocol>
<mac address='52:54:00:00:55:99'/><bridge stp='off' delay='0'>{inside}</bridge></interface>"""
PORT = "<interface type='ethernet' name='card'/>"


@pytest.fixture
def own() -> Iterator[Host]:
    with namespaces() as own:
        own.cable(own.other(), "card", "peer", mac="52:54:00:00:55:02")
        own.run("ip", "addr", "add", "10.44.0.2/24", "dev", "card")
        own.run("ip", "addr", "add", "fd44::2/64", "dev", "card", "nodad")
        own.run("ip", "route", "add", "default", "via", "10.44.0.1")
        yield own


@pytest.fixture
def daemon(own: Host, tmp_path: Path) -> Iterator[RunningDaemon]:
    daemon = RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path}")
    daemon.start(words=own.words)
    try:
        yield daemon
    finally:
        daemon.__exit__()


def state(own: Host) -> str:
    """What the host has: devices, addresses and ways, without what differs with each look."""
    told = own.run("ip", "-o", "addr") + own.run("ip", "route") + own.run("ip", "-o", "link")
    told = re.sub(
        r"(?m)^\d+: |valid_lft.*$|qlen \d+| state \w+|@\S+|,?NO-CARRIER|,?LOWER_UP|qdisc \w+|tentative|nodad", "", told
    )
    return "\n".join(line for line in told.splitlines() if "fe80::" not in line)


def define(daemon: RunningDaemon, xml: str) -> str:
    (daemon.folder / "new.xml").write_text(xml)
    return daemon.virsh("iface-define", str(daemon.folder / "new.xml"))


def test_virsh_lists_and_describes_what_runs(daemon: RunningDaemon, own: Host) -> None:
    mac = own.run("cat", "/sys/class/net/card/address").strip()
    listed = [line.split() for line in daemon.virsh("iface-list", "--all").splitlines()[2:]]
    assert listed == [["card", "active", mac], ["lo", "inactive", "00:00:00:00:00:00"]]
    assert daemon.virsh("iface-name", mac) == "card"
    assert daemon.virsh("iface-mac", "card") == mac
    told = daemon.virsh("iface-dumpxml", "card").splitlines()
    assert told == [
        "<interface type='ethernet' name='card'>",
        "<mtu size='1500'/>",
        *("<protocol family='ipv4'>", "<ip address='10.44.0.2' prefix='24'/>", "<route gateway='10.44.0.1'/>"),
        *("</protocol>", "<protocol family='ipv6'>", "<ip address='fd44::2' prefix='64'/>", "</protocol>"),
        *("<link speed='10000' state='up'/>", f"<mac address='{mac}'/>", "</interface>"),
    ]


def test_virsh_puts_a_card_into_a_bridge_and_takes_it_out(daemon: RunningDaemon, own: Host) -> None:
    said = daemon.virsh("iface-bridge", "card", "br9", "--delay", "2")
    assert "Created bridge br9 with attached device card" in said
    assert "Bridge interface br9 started" in said
    told = daemon.virsh("iface-dumpxml", "br9")

    assert "<bridge stp='on' delay='2'>" in told
    assert "<interface type='ethernet' name='card'>" in told
    addresses = own.run("ip", "-o", "addr", "show", "br9")
    assert "10.44.0.2/24" in addresses
    assert "fd44::2/64" in addresses
    assert "10.44.0.1 dev br9" in own.run("ip", "route")
    assert "10.44" not in own.run("ip", "addr", "show", "card")
    assert [line.split()[0] for line in daemon.virsh("iface-list").splitlines()[2:]] == ["br9"]
    assert "is a part of interface 'br9'" in define(
        daemon, "<interface type='ethernet' name='card'><start mode='none'/></interface>"
    )
    said = daemon.virsh("iface-unbridge", "br9")
    assert "Interface card started" in said, said
    assert "br9" not in own.run("ip", "link")
    assert "10.44.0.2/24" in own.run("ip", "addr", "show", "card")
    assert "10.44.0.1 dev card" in own.run("ip", "route")


def test_a_rollback_after_a_kill_brings_everything_back(daemon: RunningDaemon, own: Host) -> None:
    define(daemon, BRIDGE.format(name="old", mode="none", inside=""))
    daemon.virsh("iface-start", "old")
    before, listed = state(own), daemon.virsh("iface-list", "--all")
    kept = daemon.virsh("iface-dumpxml", "old", "--inactive")
    assert daemon.virsh("iface-begin") == "Network config change transaction started"
    assert "pending transaction" in daemon.virsh("iface-begin")
    daemon.virsh("iface-destroy", "old")
    daemon.virsh("iface-undefine", "old")
    daemon.virsh("iface-bridge", "card", "br9")
    define(daemon, BRIDGE.format(name="other", mode="onboot", inside=""))
    assert state(own) != before
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    daemon.start(words=own.words)
    assert daemon.virsh("iface-rollback") == "Network config change transaction rolled back"
    assert state(own).splitlines() == before.splitlines()
    assert daemon.virsh("iface-list", "--all") == listed
    assert daemon.virsh("iface-dumpxml", "old", "--inactive") == kept
    assert "no pending transaction" in daemon.virsh("iface-commit")


def test_a_start_that_is_killed_or_fails_leaves_nothing(daemon: RunningDaemon, own: Host) -> None:
    before = state(own)
    inside = PORT + "<interface type='ethernet' name='missing'/>"
    define(daemon, BRIDGE.format(name="br9", mode="none", inside=inside))
    assert "there is no network device 'missing'" in daemon.virsh("iface-start", "br9")
    assert state(own).splitlines() == before.splitlines()
    define(daemon, BRIDGE.format(name="br9", mode="none", inside=PORT))
    for delay in (0.0, 0.03, 0.06, 0.1):
        own.run("sh", "-c", f"(sleep {0.15 + delay}; kill -9 {daemon.process.pid if daemon.process else 0}) &")
        daemon.virsh("iface-start", "br9")
        daemon.wait()
        daemon.start(words=own.words)
        if " active" not in daemon.virsh("iface-list", "--inactive") and "br9" in daemon.virsh("iface-list"):
            daemon.virsh("iface-destroy", "br9")
            own.run("ip", "link", "set", "card", "up")
            own.run("ip", "addr", "add", "10.44.0.2/24", "dev", "card")
            own.run("ip", "addr", "add", "fd44::2/64", "dev", "card", "nodad")
            own.run("ip", "route", "add", "default", "via", "10.44.0.1")
        assert state(own) == before


def test_what_shall_run_is_started_once_after_a_boot(daemon: RunningDaemon, own: Host, tmp_path: Path) -> None:
    define(daemon, BRIDGE.format(name="br9", mode="onboot", inside=PORT))
    define(daemon, BRIDGE.format(name="br8", mode="none", inside=""))
    daemon.__exit__()
    for mark in (tmp_path / "run").rglob("started"):
        mark.unlink()  # as a boot does, to all in /run
    daemon.start(words=own.words)
    listed = daemon.virsh("iface-list", "--all")
    assert re.findall(r"(?m)^(br\d) +(\w+)", listed) == [("br8", "inactive"), ("br9", "active")]
    daemon.virsh("iface-destroy", "br9")
    daemon.__exit__()
    daemon.start(words=own.words)
    assert re.findall(r"(?m)^(br\d) +(\w+)", daemon.virsh("iface-list", "--all")) == [
        ("br8", "inactive"),
        ("br9", "inactive"),
    ]


def test_a_definition_that_could_not_start_is_refused(daemon: RunningDaemon) -> None:
    text = BRIDGE.format(name="br9", mode="none", inside="")
    for old, new, refusal in (
        ("<start mode='none'/>", "", "start mode attribute"),
        ("name='br9'", "name='a-name-of-17-chars'", "is no name of a network device"),
        ("10.55.0.1", "10.55.0.256", "is no address of IPv4"),
        ("fd55::1", "10.1.2.3", "is no address of IPv6"),
        ("delay='0'", "delay='soon'", "is no time"),
    ):
        assert refusal in define(daemon, text.replace(old, new))


def test_dhcp_is_left_to_a_client_of_the_host(own: Host, tmp_path: Path) -> None:
    """It is a stand-in that notes how it is called."""
    client = tmp_path / "bin/dhcpcd"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n')
    client.chmod(0o755)
    daemon = RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path}")
    daemon.start(words=["env", f"PATH={client.parent}:/usr/sbin:/usr/bin:/sbin:/bin", *own.words])
    try:
        text = BRIDGE.format(name="br9", mode="none", inside="")
        define(daemon, re.sub("<ip address='10.55.*?/>", "<dhcp peerdns='no'/>", text))
        assert "started" in daemon.virsh("iface-start", "br9")
        assert "destroyed" in daemon.virsh("iface-destroy", "br9")
    finally:
        daemon.__exit__()
    assert (tmp_path / "called").read_text() == "-4 -b -C resolv.conf br9\n-4 -k br9\n"
