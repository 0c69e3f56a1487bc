"""Files with holes: where the data is, copying it by the kernel, and making holes.

These functions block; long ones call ``tick`` with the bytes that are done, which may raise to stop them.  All of them
raise OSError.  Sources: lseek(2), copy_file_range(2), ioctl_ficlone(2), fallocate(2)
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

#: Bytes that the kernel copies before ``tick`` is called again.
_STEP = 64 << 20
_ZEROS = bytes(1 << 20)

_FICLONE = 0x40049409
_KEEP_SIZE, _PUNCH_HOLE, _ZERO_RANGE = 1, 2, 16
#: What says that a file system, or two of them, cannot do it at all.
_CANNOT = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY, errno.EPERM, errno.ETXTBSY)

Tick = Callable[[int], None]


class Extent(NamedTuple):
    """A part of a file that is either data or a hole."""

    at: int
    length: int
    data: bool


def extents(fd: int, start: int, end: int) -> Iterator[Extent]:
    """The parts of a file from ``start`` to ``end``, as it is while this goes on; a disk is nothing but data.

    The descriptor's own position changes.
    """
    at = start
    while at < end:
        data = min(_seek(fd, at, os.SEEK_DATA, end), end)
        if data > at:
            yield Extent(at, data - at, False)
        if data < end:
            hole = min(max(_seek(fd, data, os.SEEK_HOLE, end), data + 1), end)
            yield Extent(data, hole - data, True)
            data = hole
        at = data


def _seek(fd: int, at: int, what: int, end: int) -> int:
    try:
        return os.lseek(fd, at, what)
    except OSError as problem:
        if problem.errno == errno.ENXIO:  # no data behind it
            return end
        if problem.errno == errno.EINVAL:  # it knows no holes
            return at if what == os.SEEK_DATA else end
        raise


def length_of(fd: int) -> int:
    """Bytes in a file or on a disk."""
    found = os.fstat(fd)
    return found.st_size if stat.S_ISREG(found.st_mode) else os.lseek(fd, 0, os.SEEK_END)


def clone(source: int, target: int) -> bool:
    """Let a file share all blocks of another one until either is written to; False where that cannot be."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as problem:
        if problem.errno in _CANNOT:
            return False
        raise
    return True


def copy(source: int, target: int, start: int, end: int, *, at: int, tick: Tick) -> None:
    """Copy what is data from ``start`` to ``end`` to the place ``at``, which is a hole and stays one where nothing is.

    The kernel does it, on the server of files where that can, and shares blocks where the file system can.
    """
    done = 0
    for part in extents(source, start, end):
        if not part.data:
            done += part.length
            tick(done)
            continue
        for here in range(part.at, part.at + part.length, _STEP):
            length = min(_STEP, part.at + part.length - here)
            _copy(source, target, here, at + here - start, length)
            done += length
            tick(done)


def _copy(source: int, target: int, here: int, there: int, length: int) -> None:
    while length:
        try:
            copied = os.copy_file_range(source, target, length, here, there)
        except OSError as problem:
            if problem.errno not in _CANNOT:
                raise
            os.lseek(target, there, os.SEEK_SET)
            copied = os.sendfile(target, source, here, length)
        if not copied:  # it became shorter meanwhile
            return
        here, there, length = here + copied, there + copied, length - copied


def make_zero(fd: int, at: int, length: int) -> None:
    """Make a part of a file a hole, or a part of a disk zeros; a file grows if it ends before."""
    regular = stat.S_ISREG(os.fstat(fd).st_mode)
    if regular and at + length > os.fstat(fd).st_size:
        size = os.fstat(fd).st_size
        os.ftruncate(fd, at + length)
        length = max(size - at, 0)
    if length and not _fallocate(fd, _KEEP_SIZE | (_PUNCH_HOLE if regular else _ZERO_RANGE), at, length):
        write_zeros(fd, at, length)


def discard(fd: int, at: int, length: int) -> bool:
    """Give the blocks of a part back to the file system, or the disk; False where it takes none."""
    return _fallocate(fd, _KEEP_SIZE | _PUNCH_HOLE, at, length)


def put(fd: int, data: bytes | memoryview, at: int) -> None:
    """Write all of ``data``."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, at)
        rest, at = rest[written:], at + written


def write_zeros(fd: int, at: int, length: int) -> None:
    """Write zeros byte by byte."""
    for here in range(at, at + length, len(_ZEROS)):
        put(fd, memoryview(_ZEROS)[: at + length - here], here)


def reserve(fd: int, at: int, length: int, *, tick: Tick) -> None:
    """Take the room of a part on the disk at once; the file grows if it ends before.

    It must be open for reading too: on file systems that cannot do it, such as NFS 3, the C library looks and writes.
    """
    for here in range(at, at + length, _STEP * 4):
        step = min(_STEP * 4, at + length - here)
        os.posix_fallocate(fd, here, step)
        tick(here + step - at)


def _fallocate(fd: int, mode: int, at: int, length: int) -> bool:
    if _libc().fallocate(fd, mode, ctypes.c_int64(at), ctypes.c_int64(length)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
