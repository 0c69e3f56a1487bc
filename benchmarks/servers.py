"""The two daemons that ``./x bench wire`` compares, each with folders of its own."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from vmherd.errors import HostError

#: Seconds a daemon may take to end.
_PATIENCE = 20

#: Debian's libvirtd with what a machine without systemd and AppArmor needs; the rest is as it comes.
_LIBVIRTD_CONF = 'auth_unix_rw = "none"\nunix_sock_group = "root"\nmax_clients = 200\n'
_QEMU_CONF = 'security_driver = "none"\nuser = "root"\ngroup = "root"\nstdio_handler = "file"\n'
#: Where libvirtd keeps things, and the folder that stands in for it.
_FOLDERS = {
    "/etc/libvirt": "etc",
    "/run/libvirt": "run",
    "/var/lib/libvirt": "lib",
    "/var/cache/libvirt": "cache",
    "/var/log/libvirt": "log",
}
#: Without /dev/kvm: where it is there but of no use, libvirtd asks QEMU anew for its capabilities at each definition.
_DEV = """
mkdir "$1/dev"
mount -t tmpfs devices "$1/dev"
cp -a /dev/. "$1/dev"
rm -f "$1/dev/kvm"
rm -rf "$1/dev/pts" "$1/dev/shm"
umount -R -l /dev
mount --move "$1/dev" /dev
rmdir "$1/dev"
mkdir /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
"""


class Server:
    """A daemon; ``uri`` is what a client of libvirt's library calls it by."""

    name = ""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self.socket}"

    @property
    def socket(self) -> Path:
        raise NotImplementedError

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def start(self) -> float:
        """Start the daemon; the monotonic clock's seconds just before.  It may not answer yet."""
        began = time.monotonic()
        with (self.root / "daemon.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        return began

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def resident(self) -> float:
        """Megabytes of memory the daemon has resident."""
        assert self._process is not None  # it was started
        status = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024

    def last_words(self) -> str:
        lines = (self.root / "daemon.log").read_text(errors="replace").split("\n")
        return " ".join(lines[-5:]).strip()


class Libvirtd(Server):
    """Debian's libvirtd, in mount and network namespaces of its own."""

    name = "libvirtd"

    @property
    def socket(self) -> Path:
        return self.root / "run" / "libvirt-sock"

    def command(self) -> Sequence[str]:
        if os.geteuid() != 0:
            raise HostError("libvirtd gets namespaces of its own, which needs root rights", hint="run it as root")
        for folder in _FOLDERS.values():
            (self.root / folder).mkdir(exist_ok=True)
        (self.root / "etc" / "libvirtd.conf").write_text(_LIBVIRTD_CONF)
        (self.root / "etc" / "qemu.conf").write_text(_QEMU_CONF)
        (self.root / "setup.sh").write_text(self._script())
        return ["unshare", "-m", "-n", "--propagation", "private", "sh", str(self.root / "setup.sh"), str(self.root)]

    def _script(self) -> str:
        mounts = []
        for place, folder in _FOLDERS.items():
            mounts.append(f"mkdir -p {place} && mount --bind {shlex.quote(str(self.root / folder))} {place}")
        start = "exec libvirtd --pid-file /run/libvirt/libvirtd.pid"
        return "\n".join(["set -e", *mounts, _DEV, "ip link set lo up", start])


class Vmherd(Server):
    """``vmherd daemon`` of this tree."""

    name = "vmherd"

    @property
    def socket(self) -> Path:
        return self.root / "run" / "libvirt-sock"

    def command(self) -> Sequence[str]:
        (self.root / "run").mkdir(exist_ok=True)
        config = self.root / "daemon.toml"
        config.write_text(f'uri = "qemu:///embed?root={self.root}/state"\n[sockets]\nfolder = "{self.root}/run"\n')
        return [str(Path(sys.executable).parent / "vmherd"), "daemon", "--config", str(config)]


class VmherdApart(Vmherd):
    """In mount and network namespaces of its own, as libvirtd has them."""

    def command(self) -> Sequence[str]:
        script = 'mount -t sysfs none /sys && ip link set lo up && exec "$@"'
        apart = ["unshare", "-m", "-n", "--propagation", "private", "sh", "-c", script, "sh"]
        return [*apart, *super().command()]


@contextlib.contextmanager
def running(*servers: Server) -> Iterator[None]:
    """All of them, until the end."""
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in servers:
            server.stop()
