"""The tools people have: virt-install, virt-clone, virt-xml, libvirt-python and virsh, unchanged, with real guests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import RunningDaemon

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(not shutil.which("virt-install"), reason="asks with the tools of the package virtinst"),
]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[RunningDaemon]:
    with RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path / 'root'}") as running:
        yield running
        for name in running.virsh("list", "--name").split():
            running.virsh("destroy", name)


def uri(daemon: RunningDaemon) -> str:
    return f"qemu+unix:///system?socket={daemon.run / 'libvirt-sock'}"


def tool(daemon: RunningDaemon, name: str, *words: str | Path) -> str:
    """What a tool of virtinst says; it must succeed."""
    argv = [name, "--connect", uri(daemon), *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def images(folder: Path) -> Path:
    path = folder / "images"
    path.mkdir()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path / "one.qcow2", "64M"], check=True)
    return path


def test_a_guest_is_installed_changed_and_cloned(daemon: RunningDaemon, tmp_path: Path) -> None:
    folder = images(tmp_path)
    disk = f"path={folder / 'one.qcow2'},format=qcow2"
    plain = ("--network", "none", "--graphics", "none", "--osinfo", "generic", "--noautoconsole")
    tool(daemon, "virt-install", "--name", "one", "--memory", "128", "--import", "--disk", disk, *plain)
    assert daemon.virsh("domstate", "one") == "running"
    assert daemon.virsh("pool-list", "--name") == "images", "virt-install has made the disk's folder a pool"

    tool(daemon, "virt-xml", "one", "--edit", "--memory", "200")
    assert "<memory unit='KiB'>204800</memory>" in daemon.virsh("dumpxml", "one", "--inactive")

    daemon.virsh("destroy", "one")
    tool(daemon, "virt-clone", "--original", "one", "--name", "two", "--file", folder / "two.qcow2")
    assert daemon.virsh("list", "--all", "--name").split() == ["one", "two"]
    assert str(folder / "two.qcow2") in daemon.virsh("domblklist", "two")
    daemon.virsh("start", "two")
    assert daemon.virsh("domstate", "two") == "running"
    assert "is in use" in daemon.virsh("vol-delete", "two.qcow2", "--pool", "images"), "a guest has it open"
    daemon.virsh("destroy", "two")
    assert "deleted" in daemon.virsh("vol-delete", "two.qcow2", "--pool", "images")


_SCRIPT = """
import sys, threading, time, libvirt
libvirt.virEventRegisterDefaultImpl()
conn = libvirt.open(sys.argv[1])
heard, over = [], threading.Event()
def lifecycle(conn, dom, event, detail, opaque):
    heard.append((dom.name(), event, detail))
conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle, None)
def loop():
    while not over.is_set():
        libvirt.virEventRunDefaultImpl()
threading.Thread(target=loop, daemon=True).start()
XML = "<domain type='qemu'><name>p</name><memory>65536</memory><os><type>hvm</type></os></domain>"
dom = conn.defineXML(XML)
dom.create()
assert dom.isActive() and dom.state()[0] == libvirt.VIR_DOMAIN_RUNNING, dom.state()
assert conn.lookupByName("p").UUIDString() == dom.UUIDString() == conn.lookupByID(dom.ID()).UUIDString()
dom.suspend()
assert dom.state()[0] == libvirt.VIR_DOMAIN_PAUSED
dom.resume()
dom.destroy()
dom.undefine()
try:
    conn.lookupByName("p")
except libvirt.libvirtError as problem:
    assert problem.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN
else:
    raise AssertionError("it is still there")
# Defined, resumed and started, suspended, resumed, shut down by the host and stopped, undefined: as libvirtd tells it.
wanted = [("p", *each) for each in ((0, 0), (4, 0), (2, 0), (3, 0), (4, 0), (6, 2), (5, 1), (1, 0))]
deadline = time.time() + 10
while len(heard) < len(wanted) and time.time() < deadline:
    time.sleep(0.05)
assert heard == wanted, heard
over.set()
conn.close()
"""


def test_a_script_with_libvirts_python(daemon: RunningDaemon) -> None:
    if subprocess.run(["/usr/bin/python3", "-c", "import libvirt"], capture_output=True).returncode:
        pytest.skip("needs Debian's python3-libvirt")
    argv = ["/usr/bin/python3", "-c", _SCRIPT, uri(daemon)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_volumes_are_made_copied_resized_wiped_and_deleted(daemon: RunningDaemon, tmp_path: Path) -> None:
    folder = tmp_path / "pool"
    assert "Pool p defined" in daemon.virsh("pool-define-as", "p", "dir", "--target", str(folder))
    assert "cannot open directory" in daemon.virsh("pool-start", "p")
    daemon.virsh("pool-build", "p")
    daemon.virsh("pool-start", "p")
    daemon.virsh("pool-autostart", "p")
    daemon.virsh("vol-create-as", "p", "a.qcow2", "10M", "--format", "qcow2")
    daemon.virsh("vol-create-as", "p", "b.raw", "4M", "--allocation", "0")
    daemon.virsh("vol-create-as", "p", "c.qcow2", "10M", "--format", "qcow2", "--backing-vol", "a.qcow2")
    assert daemon.virsh("vol-list", "p").split()[3::2] == ["a.qcow2", "b.raw", "c.qcow2"]
    assert "exists already" in daemon.virsh("vol-create-as", "p", "b.raw", "4M")
    assert "cannot contain '/'" in daemon.virsh("vol-create-as", "p", "../x", "4M")

    (folder / "b.raw").write_bytes(b"data" * (1 << 20))
    daemon.virsh("vol-clone", "b.raw", "d.raw", "--pool", "p")
    assert (folder / "d.raw").read_bytes() == b"data" * (1 << 20)
    daemon.virsh("vol-wipe", "d.raw", "--pool", "p")
    assert (folder / "d.raw").read_bytes() == bytes(4 << 20)
    assert "can't shrink capacity" in daemon.virsh("vol-resize", "d.raw", "1M", "--pool", "p")
    daemon.virsh("vol-resize", "d.raw", "8M", "--pool", "p")
    assert "8.00 MiB" in daemon.virsh("vol-info", "d.raw", "--pool", "p")
    assert f"<path>{folder / 'a.qcow2'}</path>" in daemon.virsh("vol-dumpxml", "c.qcow2", "--pool", "p")

    (folder / "by-hand").write_bytes(b"")
    daemon.signal(9)
    daemon.wait()
    daemon.start()
    assert "running" in daemon.virsh("pool-info", "p"), "pools live on when the daemon does not"
    assert "by-hand" in daemon.virsh("vol-list", "p")
    daemon.virsh("pool-destroy", "p")
    assert "not active" in daemon.virsh("vol-list", "p")
    daemon.virsh("pool-start", "p")
    for name in ("a.qcow2", "b.raw", "c.qcow2", "d.raw", "by-hand"):
        daemon.virsh("vol-delete", name, "--pool", "p")
    daemon.virsh("pool-destroy", "p")
    daemon.virsh("pool-delete", "p")
    assert not folder.exists()
    daemon.virsh("pool-undefine", "p")
    assert daemon.virsh("pool-list", "--all", "--name") == ""


VOLUME = """<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='p' volume='{}'/>
<target dev='{}' bus='{}'/></disk>"""


def test_a_guest_boots_from_a_volume_of_a_pool(daemon: RunningDaemon, tmp_path: Path) -> None:
    document, stick = tmp_path / "guest.xml", tmp_path / "stick.xml"
    document.write_text(PLAIN.replace("</devices>", VOLUME.format("a", "vda", "virtio") + "</devices>"))
    stick.write_text(VOLUME.format("b", "sdb", "usb"))
    daemon.virsh("define", str(document))
    assert "no storage pool 'p'" in daemon.virsh("start", "plain")
    daemon.virsh("pool-define-as", "p", "dir", "--target", str(tmp_path / "p"))
    assert "is not active" in daemon.virsh("start", "plain")
    daemon.virsh("pool-start", "p", "--build")
    assert "no storage volume 'a'" in daemon.virsh("start", "plain")
    for name in ("a", "b"):
        daemon.virsh("vol-create-as", "p", name, "8M", "--format", "qcow2")
    assert "started" in daemon.virsh("start", "plain")
    assert "attached" in daemon.virsh("attach-device", "plain", str(stick))
    told = daemon.virsh("qemu-monitor-command", "plain", "--hmp", "info block")
    assert str(tmp_path / "p" / "a") in told
    assert str(tmp_path / "p" / "b") in told
    assert "<source pool='p' volume='a'" in daemon.virsh("dumpxml", "plain")


PLAIN = """<domain type='qemu'><name>plain</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices></domain>"""


def test_what_is_told_of_a_guest_and_what_shall_become_of_it(daemon: RunningDaemon, tmp_path: Path) -> None:
    document = tmp_path / "plain.xml"
    document.write_text(PLAIN)
    daemon.virsh("define", str(document))
    daemon.virsh("start", "plain")
    told = daemon.virsh("dominfo", "plain")
    assert "State:          running" in told
    assert ("rights of root" in told) is (os.geteuid() == 0)
    daemon.virsh("set-lifecycle-action", "plain", "reboot", "destroy", "--live", "--config")
    assert "<on_reboot>destroy</on_reboot>" in daemon.virsh("dumpxml", "plain")
    assert "<on_reboot>destroy</on_reboot>" in daemon.virsh("dumpxml", "plain", "--inactive")
    daemon.virsh("domdirtyrate-calc", "plain", "--seconds", "1")
    assert daemon.virsh("domxml-to-native", "qemu-argv", "--domain", "plain").count("-machine") == 1
    assert "not made from qemu-argv" in daemon.virsh("domxml-from-native", "qemu-argv", str(document))
    daemon.virsh("qemu-monitor-command", "plain", "--hmp", "system_reset")
    daemon.virsh("set-lifecycle-action", "plain", "poweroff", "preserve", "--live")
    assert "cannot happen" in daemon.virsh("set-lifecycle-action", "plain", "poweroff", "coredump-destroy", "--live")
