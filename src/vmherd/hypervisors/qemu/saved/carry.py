"""What carries a guest's state between QEMU and a file: nothing at all, a program that compresses, or ourselves.

Past the file system's cache only whole blocks of memory that begins at a block go, which QEMU knows nothing of.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import shutil
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec

from vmherd.errors import HostError, OperationFailed
from vmherd.hypervisors.qemu.saved.image import ALIGNMENT, Compression
from vmherd.util.descriptors import readable, writable
from vmherd.util.files import on_host

P = ParamSpec("P")

#: Seconds that what carries may need for its end after QEMU's: it writes what it still has.
_FLUSH = 600.0


def require(compression: Compression) -> None:
    """Raise OperationFailed if the program that compresses is not installed."""
    if compression is not Compression.RAW and shutil.which(compression.program) is None:
        raise OperationFailed(
            f"Compression program for image format in configuration file isn't available: {compression.program}",
            hint=f"apt install {compression.program}, or choose another format in qemu.toml",
        )


class Carrier:
    """``fd`` is QEMU's end."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._work: list[asyncio.Task[None]] = []

    def does(self, work: Coroutine[Any, Any, None], *owned: int) -> None:
        """Do ``work`` beside, and close what it owns when it has ended, however that is."""
        task = asyncio.create_task(work)

        def close(_: asyncio.Task[None]) -> None:
            for fd in owned:
                os.close(fd)

        task.add_done_callback(close)
        self._work.append(task)

    def let_go(self) -> None:
        """QEMU has its end: close ours, so that the other end sees when QEMU is done."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    async def finish(self) -> None:
        """Return when everything that QEMU wrote is in the file.  Raises HostError where it is not."""
        self.let_go()
        try:
            async with asyncio.timeout(_FLUSH):
                await asyncio.gather(*self._work)
        except TimeoutError:
            raise HostError("what QEMU wrote does not reach the disk", hint="is the disk still there?") from None

    async def end(self) -> None:
        self.let_go()
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)


@asynccontextmanager
async def into(
    path: Path, offset: int, compression: Compression = Compression.RAW, *, bypass_cache: bool = False
) -> AsyncIterator[Carrier]:
    """The way from QEMU into a file that is there, from ``offset`` on.  Raises HostError."""
    carrier = _opened(path, os.O_WRONLY, offset, bypass_cache=bypass_cache)
    try:
        if bypass_cache:
            file = carrier.fd
            source, carrier.fd = _pipe()
            carrier.does(_write_past_cache(source, file, offset), source, file)
        if compression is not Compression.RAW:
            target = carrier.fd
            source, carrier.fd = _pipe()
            await _through(carrier, compression, "-c", source, target)
        yield carrier
    finally:
        await carrier.end()


@asynccontextmanager
async def out_of(
    path: Path, offset: int, compression: Compression = Compression.RAW, *, bypass_cache: bool = False
) -> AsyncIterator[Carrier]:
    """The way from ``offset`` of a file to QEMU.  Raises HostError."""
    carrier = _opened(path, os.O_RDONLY, offset, bypass_cache=bypass_cache)
    try:
        if bypass_cache:
            file = carrier.fd
            carrier.fd, target = _pipe()
            carrier.does(_read_past_cache(file, target, offset), file, target)
        if compression is not Compression.RAW:
            source = carrier.fd
            carrier.fd, target = _pipe()
            await _through(carrier, compression, "-dc", source, target)
        yield carrier
    finally:
        await carrier.end()


def _opened(path: Path, flags: int, offset: int, *, bypass_cache: bool) -> Carrier:
    with on_host("open the saved guest"):
        fd = os.open(path, flags | os.O_CLOEXEC | (os.O_DIRECT if bypass_cache else 0))
        os.lseek(fd, offset, os.SEEK_SET)
    return Carrier(fd)


async def _through(carrier: Carrier, compression: Compression, option: str, source: int, target: int) -> None:
    """Have the program read ``source`` and write ``target``, which it has then, and we no more."""
    try:
        process = await _program(compression, option, source, target)
    finally:
        os.close(source)
        os.close(target)
    carrier.does(_ended(process, compression))


def _pipe() -> tuple[int, int]:
    with on_host("move the guest's memory"):
        return os.pipe2(os.O_CLOEXEC)


async def _program(compression: Compression, option: str, source: int, target: int) -> Process:
    require(compression)
    extra = ["--ignore-warn"] if compression is Compression.LZOP else []
    with on_host(f"start {compression.program}"):
        return await asyncio.create_subprocess_exec(
            compression.program, option, *extra, stdin=source, stdout=target, stderr=DEVNULL, start_new_session=True
        )


async def _ended(process: Process, compression: Compression) -> None:
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if status:
        raise HostError(f"{compression.program} failed with status {status}", hint="is there room on the disk?")


async def _write_past_cache(source: int, target: int, offset: int) -> None:
    """Copy a pipe into a file opened with O_DIRECT."""
    os.set_blocking(source, False)
    buffer = mmap.mmap(-1, ALIGNMENT)
    while filled := await _fill(source, buffer):
        if filled < ALIGNMENT:  # the last: no whole block
            fcntl.fcntl(target, fcntl.F_SETFL, fcntl.fcntl(target, fcntl.F_GETFL) & ~os.O_DIRECT)
        with on_host("save the guest"):
            offset += await _apart(_write_all, target, memoryview(buffer)[:filled], offset)


async def _fill(source: int, buffer: mmap.mmap) -> int:
    """Fill a buffer from a pipe; how many bytes came before its end."""
    filled = 0
    while filled < len(buffer):
        try:
            size = os.readv(source, [memoryview(buffer)[filled:]])
        except BlockingIOError:
            await readable(source)
            continue
        if size == 0:
            break
        filled += size
    return filled


def _write_all(target: int, data: memoryview, offset: int) -> int:
    written = 0
    while written < len(data):
        written += os.pwrite(target, data[written:], offset + written)
    return written


async def _read_past_cache(source: int, target: int, offset: int) -> None:
    """Copy a file opened with O_DIRECT into a pipe, as long as somebody reads that."""
    os.set_blocking(target, False)
    buffer = mmap.mmap(-1, ALIGNMENT)
    while True:
        with on_host("restore the guest"):
            size = await _apart(os.preadv, source, [buffer], offset)
        if size == 0 or not await _pour(memoryview(buffer)[:size], target):
            return
        offset += size


async def _pour(data: memoryview, target: int) -> bool:
    """Write all to a pipe; whether somebody still reads it."""
    while data:
        try:
            data = data[os.write(target, data) :]
        except BlockingIOError:
            await writable(target)
        except BrokenPipeError:
            return False
    return True


async def _apart(function: Callable[P, int], *args: P.args, **kwargs: P.kwargs) -> int:
    """What ``function`` returns, called in a thread; also who is cancelled waits for it, since it uses descriptors."""
    call = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        await asyncio.wait([call])
        raise
