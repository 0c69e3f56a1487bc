"""A guest's serial line, for one person at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from vmherd.errors import Busy, HypervisorError
from vmherd.util.descriptors import readable, writable
from vmherd.util.sockets import connect_unix


class Taken(Busy):
    """Somebody uses the line."""

    code = 9  # VIR_ERR_OPERATION_FAILED, as libvirt has it


class Turn:
    """The right to use a console.

    Its sign is a lock on a small file.  Whoever takes it by force puts a new file in its place, which the one
    before sees when it next looks.
    """

    def __init__(self, path: Path, *, force: bool) -> None:
        self._path = path
        if force:
            path.unlink(missing_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise Taken(
                "somebody else has this line open", hint="'vmherd console --force' takes it from them"
            ) from None

    @property
    def ours(self) -> bool:
        return os.fstat(self._fd).st_nlink > 0

    def end(self) -> None:
        os.close(self._fd)


class LineConsole:
    """A console over a descriptor: a PTY or a connected socket."""

    def __init__(self, fd: int, turn: Turn) -> None:
        self._fd = fd
        self._turn = turn
        os.set_blocking(fd, False)

    async def read(self, size: int = 65536) -> bytes:
        """At least one byte, at most ``size``; b"" when the guest closed the line or somebody took it by force."""
        while True:
            await readable(self._fd)
            if not self._turn.ours:
                return b""
            try:
                return os.read(self._fd, size)
            except BlockingIOError:
                continue
            except OSError:
                return b""  # EIO: QEMU closed its end of the PTY

    async def write(self, data: bytes) -> None:
        """Send all of ``data``.  Raises HypervisorError if the guest closed the line."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                await writable(self._fd)
            except OSError as problem:
                raise HypervisorError(f"the console is closed: {problem.strerror}") from None

    async def close(self) -> None:
        """Give the line back.  The guest runs on.  Closing it twice is no mistake."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._turn.end()


def open_line(path: Path, turn: Turn) -> LineConsole:
    """Open a PTY or UNIX socket by its path; gives ``turn`` back on failure."""
    try:
        if path.is_socket():
            fd = connect_unix(path).detach()
        else:
            fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        turn.end()
        raise HypervisorError(f"cannot open the console at {path}: {problem.strerror}") from None
    return LineConsole(fd, turn)
