"""Debian's libvirtd as a peer: in mount and network namespaces of its own, with folders of its own and no KVM.

Its socket is ``FOLDER/run/libvirt-sock``, which everybody on this machine can connect to.  By hand:

    python tests/support/libvirtd.py FOLDER     until Ctrl-C; then virsh -c 'qemu+unix:///system?socket=...'
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_DAEMON = "/usr/sbin/libvirtd"

#: Where libvirtd keeps what, and the folder of ours that stands there.
_PLACES = {
    "etc": "/etc/libvirt",
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
}

_LIBVIRTD_CONF = """\
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_rw_perms = "0777"
log_level = 3
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""

_QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
namespaces = []
stdio_handler = "file"
"""

# libvirtd would run every QEMU there is to see what it can, for half a minute: only one is left.
# A device that exists is taken for one that works: /dev/kvm is left out of a /dev of our own.
_START = """\
set -e
mount --make-rprivate /
{mounts}
for file in /usr/bin/qemu-system-*; do
    case $file in *-x86_64) ;; *) mount --bind /dev/null "$file" ;; esac
done
dev=$(mktemp -d)
mount -t tmpfs -o mode=755 vmherd-dev "$dev"
for name in null zero full random urandom tty vsock; do [ -e /dev/$name ] && cp -a /dev/$name "$dev/"; done
mkdir "$dev/net" "$dev/pts" "$dev/shm"
cp -a /dev/net/tun "$dev/net/" 2> /dev/null || true
cp -a /dev/ptmx "$dev/ptmx"
mount --bind /dev/pts "$dev/pts"
mount --bind /dev/shm "$dev/shm"
mount --move "$dev" /dev
rmdir "$dev"
ip link set lo up
exec setpriv --pdeathsig TERM {daemon} {listen} --config /etc/libvirt/libvirtd.conf --pid-file /run/libvirt/own.pid
"""


def missing() -> str:
    """What keeps libvirtd from running here, or ""."""
    lacking = [tool for tool in (_DAEMON, "virsh", "unshare", "setpriv", "ip") if not shutil.which(tool)]
    if lacking:
        return f"needs {' and '.join(lacking)} (packages libvirt-daemon and libvirt-clients)"
    return "" if os.geteuid() == 0 else "needs root rights for its namespaces"


class Libvirtd:
    """A libvirtd that runs; ``socket`` is where it listens."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.socket = folder / "run/libvirt-sock"
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def uri(self, plain: str = "qemu:///system") -> str:
        """How to reach a driver of it, such as qemu:///system or test:///default."""
        scheme, _, rest = plain.partition("://")
        return f"{scheme}+unix://{rest}?socket={self.socket}"

    def virsh(self, *words: str, uri: str = "qemu:///system", check: bool = True) -> str:
        """What virsh prints."""
        done = subprocess.run(
            ["virsh", "-q", "-c", self.uri(uri), *words], capture_output=True, text=True, timeout=60, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"virsh {' '.join(words)}: {done.stderr}")
        return done.stdout if check else done.stdout + done.stderr

    def inside(self) -> list[str]:
        """The words before a command that shall run in its namespaces."""
        return ["nsenter", "-t", str(self.pid), "-n", "-m", f"--wd={os.getcwd()}"]


def _prepare(folder: Path, network: str) -> str:
    """Make the folders; returns the script that starts libvirtd in them."""
    for name, place in _PLACES.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        Path(place).mkdir(parents=True, exist_ok=True)
    (folder / "etc/libvirtd.conf").write_text(_LIBVIRTD_CONF + (network or "listen_tls = 0\n"))
    (folder / "etc/qemu.conf").write_text(_QEMU_CONF)
    mounts = "\n".join(f"mount --bind '{folder / name}' {place}" for name, place in _PLACES.items())
    return _START.format(mounts=mounts, daemon=_DAEMON, listen="--listen" if network else "")


@contextmanager
def running(folder: Path, *, network: str = "", patience: float = 30.0) -> Iterator[Libvirtd]:
    """Start libvirtd with everything below ``folder``; at the end nothing of it is left, no guest either.

    ``network`` are settings for it to listen in its network namespace as well.
    """
    script = _prepare(folder, network)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    daemon = Libvirtd(folder, process)
    try:
        _wait(daemon, patience)
        yield daemon
    finally:
        _stop(daemon)


def _wait(daemon: Libvirtd, patience: float) -> None:
    deadline = time.monotonic() + patience
    while daemon.virsh("list", "--name", uri="test:///default", check=False).strip() != "test":
        if daemon._process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"libvirtd does not answer: {(daemon.folder / 'output').read_text()}")
        time.sleep(0.05)


def _stop(daemon: Libvirtd) -> None:
    """End libvirtd, then what it started: everything in its network namespace."""
    namespace = _namespace(daemon.pid)
    daemon._process.terminate()
    try:
        daemon._process.wait(10)
    except subprocess.TimeoutExpired:
        daemon._process.kill()
        daemon._process.wait()
    for pid in _members(namespace):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _namespace(pid: int) -> str:
    try:
        found = os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""
    return "" if found == os.readlink("/proc/self/ns/net") else found


def _members(namespace: str) -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and namespace and _in(name, namespace)]


def _in(pid: str, namespace: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/net") == namespace
    except OSError:
        return False


if __name__ == "__main__":
    with running(Path(sys.argv[1]).resolve()) as found:
        print(found.socket, flush=True)
        signal.sigwait([signal.SIGINT, signal.SIGTERM])
