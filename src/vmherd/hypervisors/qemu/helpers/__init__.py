"""Processes beside QEMU that serve one guest.

Like QEMU they outlive us.  Each has a file in the guest's folder that names it, so that whoever sees the guest end can
end them as well, whatever became of who started them.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from vmherd.errors import HostError
from vmherd.util.files import write_atomically
from vmherd.util.process import ProcessId, identify, send_signal, spawn

#: Where programs are that no person calls, as Debian and Fedora have them.
FOLDERS = "/usr/lib/qemu:/usr/libexec"

_SUFFIX = ".helper"
_HINT = "the guest's log has its last words"
#: How often we look whether a helper listens, and the seconds between.
_TRIES, _PAUSE = 1000, 0.01


def start(argv: Sequence[str], name: str, folder: Path, *, log: int, fds: Sequence[int] = ()) -> ProcessId:
    """Start a helper of the guest with this folder; ``log`` is where it writes.  Raises HostError."""
    try:
        pid = spawn(argv, output=log, pass_fds=fds, cwd=folder)
    except OSError as problem:
        raise HostError(f"cannot start {argv[0]}: {problem.strerror}") from problem
    process = identify(pid) or ProcessId(pid, 0, "")
    write_atomically(folder / f"{name}{_SUFFIX}", msgspec.json.encode(process))
    return process


async def listening(helper: ProcessId, socket: Path) -> None:
    """Wait until a helper has made its socket.  Raises HostError if it ends before, or takes too long."""
    for _ in range(_TRIES):
        if _listens(helper, socket):
            return
        await asyncio.sleep(_PAUSE)
    raise HostError(f"{socket.name} does not appear", hint=_HINT)


def _listens(helper: ProcessId, socket: Path) -> bool:
    """Whether the socket is there.  Raises HostError if the helper is not."""
    if not socket.exists() and identify(helper.pid) != helper:
        raise HostError(f"the helper that makes {socket.name} did not start", hint=_HINT)
    return socket.exists()


def end_all(folder: Path) -> None:
    """End the helpers of the guest with this folder; those that ended with QEMU need no word."""
    for path in folder.glob(f"*{_SUFFIX}"):
        with suppress(OSError, msgspec.DecodeError):
            send_signal(msgspec.json.decode(path.read_bytes(), type=ProcessId), signal.SIGTERM)
