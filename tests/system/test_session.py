"""Session mode from the command line, on a guest with all common devices: as whoever runs this, and as nobody."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from parts import make_disk, processes

from vmherd.guest.demo import DemoGuest

pytestmark = [pytest.mark.qemu, pytest.mark.packages]

GUEST = """
<domain type='qemu'>
  <name>web</name>
  <memory unit='MiB'>128</memory>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{cmdline}</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='user'><model type='virtio'/></interface>
    <serial type='pty'/>
    <graphics type='vnc' port='-1' autoport='yes'/>
    <video><model type='vga'/></video>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""


class User:
    """Somebody with a home, and ``vmherd`` in it."""

    def __init__(self, home: Path, prefix: list[str], *, daemon: str) -> None:
        self.home = home
        self.command = [*prefix, sys.executable, "-m", "vmherd", "-c", "qemu:///session"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "VMHERD_"))}
        own = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "TERM": "xterm", "VMHERD_DAEMON": daemon}
        self.environment = kept | own

    def vmherd(self, *words: str) -> str:
        done = subprocess.run(
            [*self.command, *words], env=self.environment, capture_output=True, text=True, timeout=120, cwd=self.home
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def state(self) -> str:
        return str(json.loads(self.vmherd("info", "web", "--json"))["state"])


@pytest.fixture(params=["self through a daemon", "nobody by themselves"])
def user(request: pytest.FixtureRequest) -> Iterator[User]:
    # Not pytest's own folder: that is closed to others.
    home = Path(tempfile.mkdtemp(prefix="vmherd-home-"))
    (home / "run").mkdir()
    prefix: list[str] = []
    daemon = "auto"
    if request.param == "nobody by themselves":
        prefix, daemon = _as_nobody(home), "never"
    # It leaves and is started again in between, where a command takes its time.
    settings = home / ".config/vmherd/daemon.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("idle_exit = 1")
    try:
        yield User(home, prefix, daemon=daemon)
        deadline = time.monotonic() + 20
        while processes(home):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        shutil.rmtree(home)


def _as_nobody(home: Path) -> list[str]:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    twice = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', 'import vmherd']))"
    if subprocess.run([*prefix, sys.executable, "-c", twice], capture_output=True).returncode:
        pytest.skip("others may not read this Python or this checkout; run the tests as an ordinary user, too")
    return prefix


def test_a_guest_from_definition_to_oblivion(user: User, demo: DemoGuest) -> None:
    make_disk(user.home)
    for path in (demo.kernel, demo.initrd):
        shutil.copy(path, user.home)
    document = user.home / "web.xml"
    document.write_text(
        GUEST.format(
            kernel=user.home / demo.kernel.name,
            initrd=user.home / demo.initrd.name,
            cmdline=demo.cmdline,
            disk=user.home / "disk.qcow2",
        )
    )
    if user.command[0] == "setpriv":
        subprocess.run(["chown", "-R", "65534:65534", user.home], check=True)
    assert user.vmherd("define", str(document)) == "web is defined\n"
    assert user.vmherd("start", "web") == "web is running\n"
    assert user.vmherd("list", "--name", "--running") == "web\n"
    info = user.vmherd("info", "web")
    assert f"vda: {user.home}/disk.qcow2 (qcow2)" in info
    assert "vnc on 127.0.0.1:59" in info
    console = pexpect.spawn(user.command[0], [*user.command[1:], "console", "web"], env=user.environment, timeout=90)
    console.send(b"\r")
    console.expect(b"login: ")
    console.send(b"\x1d")
    console.expect(pexpect.EOF)
    assert user.vmherd("suspend", "web") == "web is paused\n"
    assert user.state() == "paused"
    assert user.vmherd("resume", "web") == "web is running\n"
    assert user.vmherd("reset", "web") == "web was reset\n"
    assert user.state() == "running"
    stats = json.loads(user.vmherd("domstats", "web", "--json"))[0]["params"]
    assert stats["balloon.maximum"] == 128 << 10
    assert stats["block.0.name"] == "vda"
    again = pexpect.spawn(user.command[0], [*user.command[1:], "console", "web"], env=user.environment, timeout=90)
    again.expect(b"login: ")  # only who is up hears the power button
    again.send(b"\x1d")
    again.expect(pexpect.EOF)
    assert user.vmherd("stop", "web") == "web is shut off\n"
    assert user.vmherd("undefine", "web") == "web is undefined\n"
    assert user.vmherd("list", "--name") == ""
    left = [path for path in user.home.rglob("*") if path.is_socket() or "guests/" in str(path)]
    assert [path for path in left if "listeners" not in str(path) and not path.name.startswith("libvirt-")] == []
