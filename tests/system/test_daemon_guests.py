"""Real guests behind the daemon: a whole life by virsh, a daemon that is killed, guests that hang."""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from daemons import RunningDaemon
from parts import make_disk, make_echo_disk

import vmherd
from wire import RawClient

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(not shutil.which("virsh"), reason="asks with virsh, of the package libvirt-clients"),
]

GUEST = """<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{devices}</devices></domain>"""
ECHO = """<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{}'/>
<target dev='vda' bus='virtio'/></disk><serial type='pty'/><console type='pty'/>"""
STICK = """<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{}'/>
<target dev='sdb' bus='usb'/></disk>"""


def document(folder: Path, number: int, devices: str = "") -> Path:
    path = folder / f"g{number}.xml"
    uuid = f"6695eb01-f6a4-8304-79aa-{number:012x}"
    path.write_text(GUEST.format(name=f"g{number}", uuid=uuid, devices=devices))
    return path


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[RunningDaemon]:
    with RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path / 'root'}") as running:
        yield running
        for name in running.virsh("list", "--name").split():
            running.virsh("destroy", name)


def uri(daemon: RunningDaemon) -> str:
    return f"qemu+unix:///system?socket={daemon.run / 'libvirt-sock'}"


def test_a_guests_whole_life_by_virsh(daemon: RunningDaemon, tmp_path: Path) -> None:
    listener = pexpect.spawn("virsh", ["-c", uri(daemon), "event", "--all", "--loop"], encoding="utf-8", timeout=30)
    time.sleep(0.5)
    daemon.virsh("define", str(document(tmp_path, 1, ECHO.format(make_echo_disk(tmp_path)))))
    listener.expect("Defined Added")
    daemon.virsh("start", "g1")
    listener.expect("Started Booted")

    console = pexpect.spawn("virsh", ["-c", uri(daemon), "console", "g1"], timeout=60)
    console.expect("Escape character")
    deadline = time.monotonic() + 60
    while console.expect([b"Z", pexpect.TIMEOUT], timeout=0.5) and time.monotonic() < deadline:
        console.send("Z")  # before the boot sector runs nobody hears it
    assert time.monotonic() < deadline
    console.send("\x1d")
    console.expect(pexpect.EOF)

    stick = tmp_path / "stick.xml"
    stick.write_text(STICK.format(make_disk(tmp_path, "stick.qcow2")))
    assert "attached successfully" in daemon.virsh("attach-device", "g1", str(stick))
    listener.expect("event 'device-added'")
    assert "sdb" in daemon.virsh("domblklist", "g1")
    assert "detached successfully" in daemon.virsh("detach-device", "g1", str(stick))
    listener.expect("event 'device-removed'")
    assert "sdb" not in daemon.virsh("domblklist", "g1")

    image = tmp_path / "g1.save"
    assert "saved" in daemon.virsh("save", "g1", str(image))
    listener.expect("Stopped Saved")
    assert daemon.virsh("domstate", "g1", "--reason") == "shut off (saved)"
    assert "restored" in daemon.virsh("restore", str(image))
    listener.expect("Started Restored")
    assert daemon.virsh("domstate", "g1", "--reason") == "running (restored)"
    daemon.virsh("destroy", "g1")
    listener.expect("Stopped Destroyed")
    daemon.virsh("undefine", "g1")
    listener.expect("Undefined Removed")
    listener.close(force=True)


def test_a_daemon_that_is_killed_under_load_finds_everything_as_it_is(daemon: RunningDaemon, tmp_path: Path) -> None:
    """Starts, plugging and saving are under way in each round when it is killed."""
    count = 4
    stick = tmp_path / "stick.xml"
    stick.write_text(STICK.format(make_disk(tmp_path, "stick.qcow2")))
    for number in range(count):
        daemon.virsh("define", str(document(tmp_path, number, "<controller type='usb' model='qemu-xhci'/>")))
    for moment in (0.05, 0.15, 0.3, 0.6):
        daemon.virsh("start", "g0")
        daemon.virsh("start", "g1")
        words = [["start", "g2"], ["start", "g3"], ["attach-device", "g0", str(stick)]]
        words.append(["save", "g1", str(tmp_path / "g1.save")])
        load = [threading.Thread(target=daemon.virsh, args=each) for each in words]
        for thread in load:
            thread.start()
        time.sleep(moment)
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        for thread in load:
            thread.join(60)
        daemon.start()
        _agrees_with_the_processes(daemon, tmp_path, count)
        for number in range(count):
            daemon.virsh("destroy", f"g{number}")
        assert not _running(tmp_path)
        (tmp_path / "g1.save").unlink(missing_ok=True)


def _agrees_with_the_processes(daemon: RunningDaemon, folder: Path, count: int) -> None:
    """Every guest is in a state that its process is in, and what its document tells is there."""
    deadline = time.monotonic() + 30
    while True:
        states = {f"g{n}": daemon.virsh("domstate", f"g{n}") for n in range(count)}
        living = {name for name, state in states.items() if state in ("running", "paused")}
        if living == _running(folder):
            break
        assert time.monotonic() < deadline, (states, _running(folder))
        time.sleep(0.1)
    assert "g0" in living, "who ran before runs on"
    for name in living:
        assert "no error" not in daemon.virsh("qemu-monitor-command", name, "--hmp", "info status")
    plugged = "stick.qcow2" in daemon.virsh("qemu-monitor-command", "g0", "--hmp", "info block")
    assert ("stick.qcow2" in daemon.virsh("dumpxml", "g0")) is plugged
    image = folder / "g1.save"
    if states["g1"] == "shut off":
        assert "<name>g1</name>" in daemon.virsh("save-image-dumpxml", str(image)), "it was saved, as a whole"


def _running(folder: Path) -> set[str]:
    """The guests that have a QEMU process."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"-pidfile" in words and os.fsencode(folder) in words[words.index(b"-pidfile") + 1]:
                found.add(words[words.index(b"-name") + 1].decode().removeprefix("guest=").partition(",")[0])
    return found


@pytest.mark.timeout(300)
def test_guests_that_hang_take_nobody_hostage(daemon: RunningDaemon, tmp_path: Path) -> None:
    count, hung = 20, {"g3", "g11"}
    with RawClient(daemon.run / "libvirt-sock", patience=30).open("") as client:
        domains = {}
        for number in range(count):
            (dom,) = client.call("domain_create_xml", document(tmp_path, number).read_text(), 0)
            domains[dom.name] = dom
        pids = {
            name: int((tmp_path / "root/run/guests" / dom.uuid / "qemu.pid").read_text())
            for name, dom in domains.items()
        }
        for name in hung:
            os.kill(pids[name], signal.SIGSTOP)
        try:
            _nobody_waits(client, daemon, domains, hung)
        finally:
            for name in hung:
                os.kill(pids[name], signal.SIGCONT)
        deadline = time.monotonic() + 30
        while not all((answer := _responding(daemon)).values()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert all(answer.values()), "they go on as if nothing had been"


def _nobody_waits(client: RawClient, daemon: RunningDaemon, domains: dict[str, Any], hung: set[str]) -> None:
    """Everybody asks for the two that hang all the time, and for the others as well."""
    over = threading.Event()
    crowd = [
        threading.Thread(target=_ask_the_hung, args=[daemon, domains[name], over]) for name in hung for _ in range(3)
    ]
    for thread in crowd:
        thread.start()
    calls: list[float] = []
    lists: list[float] = []
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            for name in set(domains) - hung:
                for call, arguments in (
                    ("domain_get_info", ()),
                    ("domain_get_state", (0,)),
                    ("domain_get_xml_desc", (0,)),
                ):
                    began = time.monotonic()
                    client.call(call, domains[name], *arguments)
                    calls.append(time.monotonic() - began)
            began = time.monotonic()
            client.call("connect_list_all_domains", 1, 0)
            client.call("connect_get_all_domain_stats", [], 0, 0)
            lists.append(time.monotonic() - began)
    finally:
        over.set()
        for thread in crowd:
            thread.join(30)
    assert statistics.quantiles(calls, n=100)[98] < 0.1, "99 of 100 calls about the others take less than 0.1 s"
    assert statistics.median(lists) < 0.5
    assert max(lists) < 3
    assert {name for name, answers in _responding(daemon).items() if not answers} == hung


def _ask_the_hung(daemon: RunningDaemon, domain: object, over: threading.Event) -> None:
    with RawClient(daemon.run / "libvirt-sock", patience=60).open("") as client:
        while not over.is_set():
            client.send(client.message("domain_get_info", domain))
            client.receive()


def _responding(daemon: RunningDaemon) -> dict[str, bool]:
    """Whether each guest answers, as lists tell."""
    with vmherd.connect(uri(daemon)) as host:
        return {info.name: info.responding for info in host.domains()}
