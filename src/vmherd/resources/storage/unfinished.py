"""Files that are being made or replaced: under a hidden name, until they are complete.

The name says whose work it is.  One whose work nobody does any more is removed when the folder is looked at: no process
that is killed leaves half a volume.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from vmherd.conf.storage import Volume
from vmherd.errors import Busy, HostError, VolumeExists
from vmherd.resources.storage.opening import Use, open_volume
from vmherd.resources.storage.works import Work, Works
from vmherd.util.files import on_host
from vmherd.util.sparse import copy, length_of, reserve

_BLOCK = 512
#: Bytes that an upload may leave as they are and that are copied for it.
_LITTLE = 64 << 20


@asynccontextmanager
async def unfinished(path: Path, volume: Volume, work: Work) -> AsyncIterator[Path]:
    """A hidden name beside ``path``, which it becomes if all goes well.  Raises AlreadyExists."""
    await work.run(_require_free, path)
    new = path.with_name(work.hidden)
    new.unlink(missing_ok=True)
    try:
        yield new
        await work.run(_finish, new, path, volume)
    finally:
        new.unlink(missing_ok=True)


def _require_free(path: Path) -> None:
    if os.path.lexists(path):
        raise VolumeExists(path.name)


def _finish(new: Path, path: Path, volume: Volume) -> None:
    wanted = volume.target.permissions
    with on_host(f"make {path}"):
        new.chmod(0o600 if wanted is None or wanted.mode is None else wanted.mode)
        if wanted and (wanted.owner, wanted.group) != (-1, -1):
            os.chown(new, wanted.owner, wanted.group)
        _sync(new)
        try:
            os.link(new, path)  # unlike a rename, it does not replace what somebody made meanwhile
        except FileExistsError:
            raise VolumeExists(path.name) from None
        _sync(path.parent)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as problem:
        if problem.errno != errno.EINVAL:  # a file system that does not sync folders
            raise
    finally:
        os.close(fd)


async def tidy(folder: Path, works: Works) -> None:
    """Remove what works of this state have left whose process was killed."""
    for left in await asyncio.to_thread(lambda: list(folder.glob(f"{works.prefix}*"))):
        with suppress(Busy, OSError):  # somebody is at it
            async with works.left_behind(left.name.removeprefix(works.prefix)):
                left.unlink()


class InPlace:
    """An upload that changes the volume itself."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def commit(self, end: int) -> None:
        os.fsync(self.fd)

    def abandon(self) -> None:
        os.close(self.fd)


class Instead:
    """An upload whose file takes the volume's place when it is complete; until then the volume is as it was."""

    def __init__(self, path: Path, old: int, new: Path) -> None:
        self._path = path
        self._old = old
        self._new = new
        self.fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def commit(self, end: int) -> None:
        size = length_of(self._old)
        if end < size:
            # What an upload does not reach stays.
            copy(self._old, self.fd, end, size, at=end, tick=lambda done: None)
            os.ftruncate(self.fd, size)
        self._resemble()
        os.fsync(self.fd)
        if not os.path.samestat(os.fstat(self._old), os.lstat(self._path)):
            raise HostError(f"{self._path} was replaced meanwhile", hint="refresh its pool, then upload again")
        self._new.replace(self._path)
        _sync(self._path.parent)

    def _resemble(self) -> None:
        """Its owner, its mode and its labels are those of the volume."""
        found = os.fstat(self._old)
        os.fchown(self.fd, found.st_uid, found.st_gid)
        os.fchmod(self.fd, stat.S_IMODE(found.st_mode))
        for name in os.listxattr(self._old):
            with suppress(PermissionError):
                os.setxattr(self.fd, name, os.getxattr(self._old, name))

    def abandon(self) -> None:
        self._new.unlink(missing_ok=True)
        os.close(self.fd)
        os.close(self._old)


def target(path: Path, work: Work, start: int, length: int, *, within: Path | None) -> InPlace | Instead:
    """Where to write an upload.  Blocks; raises what ``open_volume`` raises."""
    fd = open_volume(path, Use.CHANGE, within=within)
    try:
        with on_host(f"write {path}"):
            if start or not _can_be_replaced(path, fd, length):
                return InPlace(fd)
            return _instead(path, fd, work)
    except BaseException:
        os.close(fd)
        raise


def _can_be_replaced(path: Path, fd: int, length: int) -> bool:
    """Whether the whole can be written anew: there is room for it, and little that has to be copied."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or not os.path.samestat(found, os.lstat(path)):
        return False
    used, room = found.st_blocks * _BLOCK, os.fstatvfs(fd)
    return used + _LITTLE <= room.f_bavail * room.f_frsize and (not length or used <= length + _LITTLE)


def _instead(path: Path, fd: int, work: Work) -> Instead:
    new = path.with_name(work.hidden)
    new.unlink(missing_ok=True)
    made = Instead(path, fd, new)
    found = os.fstat(fd)
    if found.st_size and found.st_blocks * _BLOCK >= found.st_size:
        try:
            reserve(made.fd, 0, found.st_size, tick=work.tick)
        except BaseException:
            new.unlink(missing_ok=True)
            os.close(made.fd)
            raise
    return made
