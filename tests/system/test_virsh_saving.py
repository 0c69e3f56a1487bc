"""Saved guests, screens, keys and channels as virsh and libvirt-python see them, through the daemon."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import RunningDaemon

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(not shutil.which("virsh"), reason="asks with virsh, of the package libvirt-clients"),
]

GUEST = """
<domain type='qemu'>
  <name>web</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <serial type='pty'/>
    <channel type='unix'><target type='virtio' name='org.example.0'/></channel>
    <graphics type='vnc' autoport='yes' passwd='geheim'/>
    <video><model type='vga'/></video>
  </devices>
</domain>
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[RunningDaemon]:
    (tmp_path / "web.xml").write_text(GUEST)
    with RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path / 'root'}") as running:
        running.virsh("define", str(tmp_path / "web.xml"))
        yield running
        for name in running.virsh("list", "--name").split():
            running.virsh("destroy", name)


def test_a_guest_is_saved_and_restored(daemon: RunningDaemon, tmp_path: Path) -> None:
    virsh, image = daemon.virsh, str(tmp_path / "image")
    virsh("start", "web")
    assert "mutually exclusive" in virsh("save", "web", image, "--running", "--paused")
    assert virsh("save", "web", image) == f"Domain 'web' saved to {image}"
    assert virsh("domstate", "web", "--reason") == "shut off (saved)"
    assert "image magic is incorrect" in virsh("restore", str(tmp_path / "web.xml"))
    changed = tmp_path / "changed.xml"
    changed.write_text(virsh("save-image-dumpxml", image).replace("<name>", "<title>T</title><name>", 1))
    assert "updated" in virsh("save-image-define", image, str(changed), "--paused")
    assert virsh("restore", image) == f"Domain restored from {image}"
    assert virsh("domstate", "web", "--reason") == "paused (migrating)"
    assert virsh("desc", "web", "--title") == "T"
    assert virsh("managedsave", "web", "--running") == "Domain 'web' state saved by libvirt"
    assert virsh("list", "--all", "--with-managed-save", "--name") == "web"
    assert virsh("list", "--all", "--without-managed-save", "--name") == ""
    assert virsh("dominfo", "web").splitlines()[-1].split() != ["Managed", "save:", "no"]
    assert "<title>T</title>" in virsh("managedsave-dumpxml", "web")
    assert "Refusing to undefine while domain managed save image exists" in virsh("undefine", "web")
    virsh("start", "web")
    assert virsh("domstate", "web", "--reason") == "running (restored)"
    virsh("managedsave", "web")
    assert virsh("managedsave-remove", "web") == "Removed managedsave image for domain 'web'"
    assert "has no manage save image" in virsh("managedsave-remove", "web")
    virsh("start", "web", "--force-boot")
    assert virsh("dump", "web", str(tmp_path / "core"), "--memory-only", "--crash").endswith("core")
    assert (tmp_path / "core").read_bytes().startswith(b"\x7fELF")
    assert virsh("domstate", "web", "--reason") == "shut off (crashed)"


STREAMS = """
import libvirt, os, socket, sys
connection = libvirt.open(sys.argv[1])
guest = connection.lookupByName("web")

def complaint(function, *arguments):
    try:
        function(*arguments)
    except libvirt.libvirtError as problem:
        return problem.get_error_code()

def banner(fd):
    with socket.socket(fileno=fd) as server:
        server.sendall(server.recv(12))
        return server.recv(2)[1]

print(banner(guest.openGraphicsFD(0, 0)), banner(guest.openGraphicsFD(0, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)))
ours, theirs = socket.socketpair()
guest.openGraphics(0, theirs.fileno(), 1)
print(banner(ours.detach()), complaint(guest.openGraphicsFD, 1, 0))
first, second = connection.newStream(0), connection.newStream(0)
guest.openChannel("org.example.0", first, 0)
print(complaint(guest.openChannel, None, second, 0), complaint(guest.openChannel, "nope", connection.newStream(0), 0))
guest.openChannel("channel0", connection.newStream(0), libvirt.VIR_DOMAIN_CHANNEL_FORCE)
guest.openConsole(None, connection.newStream(0), libvirt.VIR_DOMAIN_CONSOLE_SAFE)
print(complaint(guest.openConsole, "nope", connection.newStream(0), 0))
print(complaint(guest.sendKey, 77, 0, [30], 1, 0), complaint(guest.sendKey, 0, 0, [767], 1, 0))
print(complaint(guest.sendProcessSignal, 1, 9, 0), complaint(guest.screenshot, connection.newStream(0), 7, 0))
"""


def test_what_a_person_at_the_machine_sees_and_does(daemon: RunningDaemon, tmp_path: Path) -> None:
    virsh, shot = daemon.virsh, tmp_path / "shot.png"
    virsh("start", "web")
    assert virsh("screenshot", "web", str(shot)).endswith("with type of image/png")
    assert shot.read_bytes().startswith(b"\x89PNG")
    assert shot.read_bytes().endswith(b"IEND\xaeB`\x82")
    assert virsh("send-key", "web", "KEY_LEFTCTRL", "KEY_LEFTALT", "KEY_DELETE") == ""
    assert virsh("send-key", "web", "--codeset", "win32", "VK_A", "--holdtime", "20") == ""
    assert virsh("inject-nmi", "web") == ""
    assert virsh("domdisplay", "web", "--include-password") == f"vnc://:geheim@{virsh('vncdisplay', 'web')}"
    python = ["/usr/bin/python3", "-c", STREAMS, f"qemu+unix:///system?socket={daemon.run / 'libvirt-sock'}"]
    if subprocess.run([python[0], "-c", "import libvirt"], capture_output=True).returncode:
        pytest.skip("the rest asks with libvirt-python, of the package python3-libvirt")
    done = subprocess.run(python, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["2", "1", "1", "1", "9", "1", "1", "8", "1", "3", "55"], done.stderr
