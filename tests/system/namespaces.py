"""Network and mount namespaces of one's own, for whatever a test does to the network or to mounts.

    with namespaces(tmp_path) as own:                      or the fixture ``own``
        own.run("ip", "link", "add", "br0", "type", "bridge")
        own.scenario(__file__, "bridged", uri)             an async (or plain) function of the test's module, inside
        daemon.start(words=own.words)                      a daemon inside; its sockets are reached from outside too
        guest = own.guest("one", "br0", "52:54:00:00:00:01")   another network namespace, with a cable into br0
        guest.run("udhcpc", ...)

Inside, /run, /var/lib/vmherd and /etc/vmherd are empty folders of its own.  At the end everything in it is killed.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_OWN_FOLDERS = ("/var/lib/vmherd", "/etc/vmherd")

# The new namespace has network devices of its own, which the old /sys does not show.
_HOLD = """\
set -e
mount --make-rprivate /
mount -t sysfs none /sys
for folder in /run {folders}; do mount -t tmpfs -o mode=755 own "$folder"; done
ip link set lo up
echo ready
exec sleep infinity
"""
_HOLD_GUEST = "mount -t sysfs none /sys && ip link set lo up && echo ready && exec sleep infinity"


def missing(*tools: str) -> str:
    """What keeps a test from having namespaces here, with these tools in them; or ""."""
    lacking = [tool for tool in ("unshare", "nsenter", "ip", *tools) if not shutil.which(tool)]
    if lacking:
        return f"needs {', '.join(lacking)}"
    return "" if os.geteuid() == 0 else "needs root rights for its namespaces"


class Namespace:
    """The namespaces of a process that only holds them."""

    def __init__(self, argv: list[str]) -> None:
        self.holder = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == "ready\n"
        #: The words before a command that shall run inside.
        self.words = ["nsenter", "-t", str(self.holder.pid), "-n", "-m", f"--wd={os.getcwd()}"]

    def run(self, *argv: object, check: bool = True, input: str | None = None, patience: float = 60.0) -> str:  # noqa: A002
        """What a program inside prints, with its complaints if it may fail (``check`` off)."""
        done = subprocess.run(
            [*self.words, *map(str, argv)], input=input, capture_output=True, text=True, timeout=patience, check=False
        )
        if check:
            assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout if check else done.stdout + done.stderr

    def spawn(self, *argv: object) -> subprocess.Popen[str]:
        """Start a program inside; what it prints comes through a pipe."""
        return subprocess.Popen([*self.words, *map(str, argv)], stdout=subprocess.PIPE, text=True)

    def processes(self) -> dict[int, str]:
        """The pids and command lines of all that runs inside, but for the holder."""
        inside = os.readlink(f"/proc/{self.holder.pid}/ns/net")
        found = {}
        for name in os.listdir("/proc"):
            with suppress(OSError):
                if name.isdigit() and int(name) != self.holder.pid and os.readlink(f"/proc/{name}/ns/net") == inside:
                    with open(f"/proc/{name}/cmdline") as file:
                        found[int(name)] = file.read().replace("\0", " ").strip()
        return {pid: line for pid, line in found.items() if line}

    def close(self) -> None:
        """End everything inside."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.holder.kill()
        self.holder.wait()
        assert self.holder.stdout is not None
        self.holder.stdout.close()


def alone() -> Namespace:
    """A network namespace that nothing is connected to, with the files of this one."""
    return Namespace(["unshare", "--net", "--mount", "sh", "-c", _HOLD_GUEST])


class Host(Namespace):
    """A host of one's own as far as networks and mounts go."""

    def __init__(self) -> None:
        for folder in _OWN_FOLDERS:
            os.makedirs(folder, exist_ok=True)
        script = _HOLD.format(folders=" ".join(_OWN_FOLDERS))
        super().__init__(["unshare", "--net", "--mount", "sh", "-c", script])
        self._others: list[Namespace] = []

    def scenario(self, file: str, name: str, *args: object, patience: float = 120.0) -> str:
        """Call a function of a test's module in a process inside, with these words; what it prints."""
        return self.run(sys.executable, __file__, file, name, *args, patience=patience)

    def other(self) -> Namespace:
        """Another network namespace that sees the same files; nothing connects the two."""
        words = [*self.words, "unshare", "--net", "--mount", "sh", "-c", _HOLD_GUEST]
        # nsenter and unshare become the program they run, so that the holder's pid is that of the child.
        other = Namespace(words)
        self._others.append(other)
        return other

    def cable(self, other: Namespace, here: str, there: str, *, mac: str = "") -> None:
        """Connect another namespace: ``here`` is the end on the host, ``there`` the other."""
        address = ["address", mac] if mac else []
        self.run("ip", "link", "add", here, "type", "veth", "peer", "name", there, *address)
        self.run("ip", "link", "set", there, "netns", other.holder.pid)
        self.run("ip", "link", "set", here, "up")
        other.run("ip", "link", "set", there, "up")

    def guest(self, name: str, bridge: str, mac: str) -> Namespace:
        """A namespace in place of a guest: its ``eth0`` has a cable into ``bridge``, whose end is called ``name``."""
        guest = self.other()
        self.cable(guest, name, "eth0", mac=mac)
        self.run("ip", "link", "set", name, "master", bridge)
        return guest

    def close(self) -> None:
        for other in self._others:
            other.close()
        super().close()


@contextmanager
def namespaces() -> Iterator[Host]:
    """A host of one's own until the end of the block."""
    own = Host()
    try:
        yield own
    finally:
        own.close()


def _call(file: str, name: str, *args: str) -> None:
    spec = importlib.util.spec_from_file_location("scenario", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = getattr(module, name)(*args)
    if inspect.iscoroutine(result):
        asyncio.run(result)


if __name__ == "__main__":
    sys.path[:0] = [
        os.path.dirname(os.path.abspath(__file__)),
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    ]
    _call(*sys.argv[1:])
