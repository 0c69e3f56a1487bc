"""Overwriting what is in a volume, by the patterns that scrub(1) knows and libvirt names.

Where a file has holes, nothing is there to be overwritten, and they stay holes.
"""

from __future__ import annotations

import array
import fcntl
import os
import stat
from collections.abc import Callable, Sequence

from vmherd.driver.storage import WipeAlgorithm
from vmherd.errors import ArgumentUnsupported, HostError
from vmherd.resources.storage.works import Work
from vmherd.util.sparse import Extent, discard, extents, length_of, put

#: Bytes that are written at a time; a multiple of every pattern's length.
_PIECE = 3 << 20
_BLKDISCARD, _BLKZEROOUT = 0x1277, 0x127F
#: Bytes that a disk makes zeros at a time.
_STEP = 64 << 20

#: What a pass writes again and again; None is random bytes.
_Pass = bytes | None
_RANDOM: _Pass = None

_GUTMANN: tuple[_Pass, ...] = (
    *[_RANDOM] * 4,
    b"\x55",
    b"\xaa",
    b"\x92\x49\x24",
    b"\x49\x24\x92",
    b"\x24\x92\x49",
    *(bytes([each]) for each in range(0, 256, 17)),
    b"\x92\x49\x24",
    b"\x49\x24\x92",
    b"\x24\x92\x49",
    b"\x6d\xb6\xdb",
    b"\xb6\xdb\x6d",
    b"\xdb\x6d\xb6",
    *[_RANDOM] * 4,
)

_PASSES: dict[WipeAlgorithm, tuple[_Pass, ...]] = {
    WipeAlgorithm.ZERO: (b"\0",),
    WipeAlgorithm.NNSA: (_RANDOM, _RANDOM, b"\0"),
    WipeAlgorithm.DOD: (_RANDOM, b"\0", b"\xff"),
    WipeAlgorithm.BSI: tuple(bytes([each]) for each in (0xFF, 0xFE, 0xFD, 0xFB, 0xF7, 0xEF, 0xDF, 0xBF, 0x7F)),
    WipeAlgorithm.GUTMANN: _GUTMANN,
    WipeAlgorithm.SCHNEIER: (b"\0", b"\xff", *[_RANDOM] * 5),
    WipeAlgorithm.PFITZNER7: (_RANDOM,) * 7,
    WipeAlgorithm.PFITZNER33: (_RANDOM,) * 33,
    WipeAlgorithm.RANDOM: (_RANDOM,),
}
#: Those whose last pass is read again and compared.
_VERIFIED = (WipeAlgorithm.NNSA, WipeAlgorithm.DOD)


def wipe(fd: int, algorithm: WipeAlgorithm, work: Work) -> None:
    """Overwrite an open file or disk; its size stays.  Blocks; raises OSError, HostError, ArgumentUnsupported."""
    found, size = os.fstat(fd), length_of(fd)
    regular = stat.S_ISREG(found.st_mode)
    if algorithm is WipeAlgorithm.TRIM:
        _trim(fd, size, regular=regular)
    elif algorithm is WipeAlgorithm.ZERO and regular and found.st_blocks * 512 < size:
        # As libvirt: one with holes becomes one hole.
        os.ftruncate(fd, 0)
        os.ftruncate(fd, size)
    elif algorithm is WipeAlgorithm.ZERO and not regular and _zero_disk(fd, size, work):
        pass
    else:
        _overwrite(fd, algorithm, size, work)
    os.fsync(fd)


def _trim(fd: int, size: int, *, regular: bool) -> None:
    if not (discard(fd, 0, size) if regular else _ioctl(fd, _BLKDISCARD, 0, size)):
        raise ArgumentUnsupported("this volume cannot be trimmed", hint="wipe it with 'zero'")


def _zero_disk(fd: int, size: int, work: Work) -> bool:
    """Let the kernel, or the disk itself, write the zeros."""
    work.total = size
    for at in range(0, size, _STEP):
        if not _ioctl(fd, _BLKZEROOUT, at, min(_STEP, size - at)):
            return False
        work.tick(at)
    return True


def _ioctl(fd: int, request: int, at: int, length: int) -> bool:
    try:
        fcntl.ioctl(fd, request, array.array("Q", [at, length]).tobytes())
    except OSError:
        return False
    return True


def _overwrite(fd: int, algorithm: WipeAlgorithm, size: int, work: Work) -> None:
    parts = [part for part in extents(fd, 0, size) if part.data]
    passes = _PASSES[algorithm]
    one = sum(part.length for part in parts)
    work.total = one * (len(passes) + (algorithm in _VERIFIED))
    for number, pattern in enumerate(passes):
        _each(parts, number * one, work, _writer(fd, pattern))
        os.fdatasync(fd)
    if algorithm in _VERIFIED:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        _each(parts, len(passes) * one, work, _verifier(fd, passes[-1]))


def _each(parts: Sequence[Extent], done: int, work: Work, act: Callable[[int, int], None]) -> None:
    for part in parts:
        for at in range(part.at, part.at + part.length, _PIECE):
            length = min(_PIECE, part.at + part.length - at)
            act(at, length)
            done += length
            work.tick(done)


def _writer(fd: int, pattern: _Pass) -> Callable[[int, int], None]:
    same = _repeated(pattern) if pattern else b""

    def act(at: int, length: int) -> None:
        put(fd, memoryview(same)[:length] if same else os.urandom(length), at)

    return act


def _verifier(fd: int, pattern: _Pass) -> Callable[[int, int], None]:
    assert pattern  # what was random cannot be compared
    wanted = _repeated(pattern)

    def act(at: int, length: int) -> None:
        if os.pread(fd, length, at) != wanted[:length]:
            raise HostError(f"what was written at byte {at} reads otherwise", hint="the disk is damaged")

    return act


def _repeated(pattern: bytes) -> bytes:
    return pattern * (_PIECE // len(pattern))
