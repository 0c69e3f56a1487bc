"""Opening volumes so that no name leads out of a pool, and so that nobody else uses what is being changed.

Locks are those of QEMU, byte by byte of the image itself: a guest that has it open keeps us out, and we keep guests,
qemu-img and each other out.  The kernel drops them when a process dies.  Sources: openat2(2), QEMU's block/file-posix.c
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from vmherd.errors import Busy, Denied, InvalidArgument
from vmherd.util.files import on_host

_SYS_OPENAT2 = 437
_RESOLVE_BENEATH, _RESOLVE_NO_MAGICLINKS = 8, 2

#: Permissions that QEMU uses, one byte of the image each, and those that it does not share with others.
_USED, _NOT_SHARED = 100, 200
_READ, _WRITE, _RESIZE = 0, 1, 3
_F_OFD_GETLK, _F_OFD_SETLK = 36, 37


class Use(Enum):
    """What is done with a volume, in QEMU's words: the permissions that are used, and those that no other may use."""

    #: Others may write meanwhile: who reads gets what is there.
    LOOK = ((_READ,), ())
    #: It stays as it is meanwhile.
    COPY = ((_READ,), (_WRITE, _RESIZE))
    #: Nobody else has it.
    CHANGE = ((_READ, _WRITE, _RESIZE), (_READ, _WRITE, _RESIZE))


@contextmanager
def opened(path: Path, use: Use, *, within: Path | None = None) -> Iterator[int]:
    """A volume's descriptor, locked for ``use``; see ``open_volume``."""
    fd = open_volume(path, use, within=within)
    try:
        yield fd
    finally:
        os.close(fd)


def open_volume(path: Path, use: Use, *, within: Path | None = None) -> int:
    """A descriptor of a file or a disk, which is locked for ``use``.

    ``within`` is the folder that no symbolic link may lead out of.  Raises Denied for one that does, InvalidArgument
    for what holds no bytes, Busy while somebody uses it otherwise, HostError.
    """
    flags = (os.O_RDWR if use is Use.CHANGE else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    with on_host(f"open {path}"):
        fd = _open_beneath(path, within, flags) if within else os.open(path, flags)
    try:
        mode = os.fstat(fd).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            raise InvalidArgument(f"{path} is neither a file nor a disk", hint="only these have bytes to work on")
        with on_host(f"lock {path}"):
            _lock(fd, use, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _open_beneath(path: Path, folder: Path, flags: int) -> int:
    parent = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _openat2(parent, os.fspath(path.relative_to(folder)), flags)
    except OSError as problem:
        if problem.errno in (errno.EXDEV, errno.ELOOP):
            hint = "copy the image into the pool, or make the folder where it is a pool of its own"
            raise Denied(f"{path} is a symbolic link that leads out of its pool", hint=hint) from None
        problem.filename = str(path)
        raise
    finally:
        os.close(parent)


def _openat2(folder: int, name: str, flags: int) -> int:
    how = struct.pack("QQQ", flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    libc = ctypes.CDLL(None, use_errno=True)
    fd = int(libc.syscall(_SYS_OPENAT2, folder, os.fsencode(name), how, ctypes.c_size_t(len(how))))
    if fd >= 0:
        return fd
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EPERM):  # a kernel before 5.6, or a container that forbids it
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
    raise OSError(number, os.strerror(number))


def _lock(fd: int, use: Use, path: Path) -> None:
    used, not_shared = use.value
    ours = [*(_USED + each for each in used), *(_NOT_SHARED + each for each in not_shared)]
    others = [*(_NOT_SHARED + each for each in used), *(_USED + each for each in not_shared)]
    try:
        for at in ours:
            # A lock for reading: it stands beside others of its kind, and is seen by those who look for any.
            fcntl.fcntl(fd, _F_OFD_SETLK, _flock(fcntl.F_RDLCK, at, 1))
        for at in others:
            _require_free(fd, at, 1, path)
    except OSError as problem:
        if problem.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):  # a server of files that has no locks: as QEMU
            raise


def require_unused(path: Path) -> None:
    """Raise Busy while anybody has an image or a disk open in QEMU's way."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            return
        with on_host(f"look at {path}"), path.open("rb") as file:
            _require_free(file.fileno(), _USED, 2 * (_NOT_SHARED - _USED), path)
    except FileNotFoundError:
        return


def _require_free(fd: int, at: int, length: int, path: Path) -> None:
    found = fcntl.fcntl(fd, _F_OFD_GETLK, _flock(fcntl.F_WRLCK, at, length))
    if struct.unpack("hhqqi4x", found)[0] != fcntl.F_UNLCK:
        raise Busy(f"{path} is in use", hint="stop the guest that has it open, or wait for the copy, then try again")


def _flock(kind: int, at: int, length: int) -> bytes:
    """struct flock: type, whence, start, length, pid."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, at, length, 0)
