"""Processes beside QEMU that serve one guest.

Like QEMU they outlive us.  Each has a file in the guest's folder that names it, so that whoever sees the guest end can
end them as well, whatever became of who started them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from vmherd.errors import HostError
from vmherd.hypervisors.qemu.tuning import groups
from vmherd.util.files import write_atomically
from vmherd.util.process import ProcessId, end_soon, identify, spawn

#: Where programs are that no person calls, as Debian and Fedora have them.
FOLDERS = "/usr/lib/qemu:/usr/libexec"

_SUFFIX = ".helper"
#: Seconds that helpers have to end when asked.
_GRACE = 0.5
#: Bytes of a helper's last words.
_TAIL = 4096
#: How often we look whether a helper listens, and the seconds between.
_TRIES, _PAUSE = 1000, 0.01


@dataclass(frozen=True)
class Helper:
    """A helper that was started; ``since`` is how much there was in the guest's log before."""

    process: ProcessId
    log: int
    since: int

    def failure(self, what: str) -> HostError:
        """The error for a helper that did not do its part, in its own words."""
        with open(f"/dev/fd/{self.log}", "rb") as log:
            log.seek(self.since)
            lines = log.read(_TAIL).decode(errors="replace").splitlines()
        words = "; ".join(line.strip() for line in lines if line.strip())
        return HostError(f"{what}: {words or 'it said nothing'}", hint="the guest's log has all of its words")


def start(argv: Sequence[str], name: str, folder: Path, *, log: int, fds: Sequence[int] = ()) -> Helper:
    """Start a helper of the guest with this folder; ``log`` is where it writes.  Raises HostError."""
    since = os.fstat(log).st_size
    try:
        pid = spawn(argv, output=log, pass_fds=fds, cwd=folder)
    except OSError as problem:
        raise HostError(f"cannot start {argv[0]}: {problem.strerror}") from problem
    groups.admit(folder, pid)
    process = identify(pid) or ProcessId(pid, 0, "")
    write_atomically(folder / f"{name}{_SUFFIX}", msgspec.json.encode(process))
    return Helper(process, log, since)


async def listening(helper: Helper, socket: Path) -> None:
    """Wait until a helper has made its socket.  Raises HostError if it ends before, or takes too long."""
    for _ in range(_TRIES):
        if _listens(helper, socket):
            return
        await asyncio.sleep(_PAUSE)
    raise helper.failure(f"{socket.name} does not appear")


def _listens(helper: Helper, socket: Path) -> bool:
    if socket.exists():
        return True
    if identify(helper.process.pid) != helper.process:
        raise helper.failure(f"the helper that makes {socket.name} ended")
    return False


def end_all(folder: Path) -> None:
    """End the helpers of the guest with this folder; those that ended with QEMU need no word."""
    end_some(folder, "*")


def end_some(folder: Path, pattern: str) -> None:
    """End the helpers whose names match.

    One that has only just begun may lose the signal, as qemu-pr-helper does before its main loop; so it is not left at
    asking.
    """
    notes = list(folder.glob(f"{pattern}{_SUFFIX}"))
    found = []
    for path in notes:
        with suppress(OSError, msgspec.DecodeError):
            found.append(msgspec.json.decode(path.read_bytes(), type=ProcessId))
    end_soon(found, patience=_GRACE)
    for path in notes:
        path.unlink(missing_ok=True)


def is_there(folder: Path, name: str) -> bool:
    """Whether the guest with this folder has been given the helper of that name."""
    return (folder / f"{name}{_SUFFIX}").exists()
