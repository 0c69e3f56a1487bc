"""The content of a volume of this host while somebody reads or replaces it.

Files are read ahead and written behind in a thread of the stream's own, in large pieces: the event loop only hands
them on, and a disk that hangs makes nobody else wait.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from vmherd.driver.content import Told, VolumeContent, nobody
from vmherd.errors import HostError, InvalidArgument, OperationFailed
from vmherd.resources.storage.works import Held
from vmherd.util import sparse
from vmherd.util.files import on_host

#: Bytes of one message of a stream, so that nothing is cut or joined on the way.
_PIECE = 262120
#: Bytes that are read or written at a time, and may wait to be.
_BATCH = 8 * _PIECE
#: Where the largest file ends.
_LARGEST = (1 << 63) - 1


class Download(VolumeContent):
    """The bytes of an open file or disk; ``fd`` is its own from now on."""

    def __init__(self, fd: int, start: int, end: int, *, holes: bool) -> None:
        self.sparse = holes
        self._fd = fd
        self._end = end
        parts = sparse.extents(fd, start, end) if holes else iter([sparse.Extent(start, max(end - start, 0), True)])
        self._extents = parts
        self._part = sparse.Extent(start, 0, True)
        self._ready: deque[bytes | int] = deque()
        self._executor: Executor = ThreadPoolExecutor(1, "download")
        self._ahead: asyncio.Future[list[bytes | int]] | None = None
        self._closed = False

    async def read(self) -> bytes | int:
        if not self._ready:
            self._ready.extend(await (self._ahead or self._fetch()))
            # The next batch is read while this one is sent.
            self._ahead = self._fetch() if self._ready else None
        return self._ready.popleft() if self._ready else b""

    def _fetch(self) -> asyncio.Future[list[bytes | int]]:
        if self._closed:
            raise OperationFailed("the volume is not read any more")
        return asyncio.get_running_loop().run_in_executor(self._executor, self._batch)

    def _batch(self) -> list[bytes | int]:
        found: list[bytes | int] = []
        size = 0
        with on_host("read the volume"):
            while size < _BATCH and (part := self._next()):
                found.append(part)
                size += 1 if isinstance(part, int) else len(part)
        return found

    def _next(self) -> bytes | int:
        if not self._part.length:
            part = next(self._extents, None)
            if part is None:
                return b""
            self._part = part
        at, length, data = self._part
        if not data:
            self._part = sparse.Extent(at + length, 0, True)
            return length
        piece = os.pread(self._fd, min(_PIECE, length), at)
        self._part = sparse.Extent(at + len(piece), length - len(piece) if piece else 0, True)
        return piece

    async def write(self, data: bytes) -> None:
        raise OperationFailed("the volume is only read")

    async def skip(self, length: int) -> None:
        raise OperationFailed("the volume is only read")

    async def finish(self) -> None:
        await self.close()

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._ahead:
                await asyncio.wait((self._ahead,))
                self._ahead.exception()  # nobody wants to read it any more
            self._executor.shutdown(wait=False)
            os.close(self._fd)


class Target(Protocol):
    """Where an upload goes.  These block."""

    fd: int

    def commit(self, end: int) -> None:
        """All is there, ``end`` is where it ends: put it into its place, and on the disk."""

    def abandon(self) -> None:
        """Whether it is in its place or not: nobody writes any more."""


class Upload(VolumeContent):
    """Writes into ``target`` from ``start`` on, at most ``length`` bytes (0: as many as come).

    ``done`` is called when all is in its place; ``held`` keeps others out and ends with this.
    """

    def __init__(
        self, target: Target, start: int, length: int, held: Held, done: Callable[[], Awaitable[None]], *, holes: bool
    ) -> None:
        self.sparse = holes
        self._target = target
        self._at = self._start = start
        self._left = length or _LARGEST - start
        self._bounded = bool(length)
        self._held = held
        self._done = done
        self._waiting: list[bytes | int] = []
        self._size = 0
        self._writing: asyncio.Future[None] | None = None
        self._executor: Executor = ThreadPoolExecutor(1, "upload")
        self._closed = False

    async def write(self, data: bytes) -> None:
        self._count(len(data))
        self._waiting.append(data)
        self._size += len(data)
        await self._go_on()

    async def skip(self, length: int) -> None:
        if not self.sparse:
            raise InvalidArgument("holes were not announced", hint="upload with the flag for a sparse stream")
        if length < 0:
            raise InvalidArgument(f"a hole of {length} bytes")
        self._count(length)
        self._waiting.append(length)
        await self._go_on()

    def _count(self, length: int) -> None:
        self._held.check()
        if self._closed:
            raise OperationFailed("the volume is not written any more")
        if length > self._left:
            text = "cannot write to stream: No space left on device"  # as libvirt
            raise HostError(text, hint="send no more than the length that was announced" if self._bounded else "")
        self._left -= length

    async def _go_on(self) -> None:
        """Write what waits, unless that is being done; wait for it where there is too much."""
        if self._writing and (self._writing.done() or self._size > _BATCH):
            await self._written()
        if not self._writing:
            batch, self._waiting, self._size = self._waiting, [], 0
            self._writing = asyncio.get_running_loop().run_in_executor(self._executor, self._put, batch)

    async def _written(self) -> None:
        if self._writing:
            writing = self._writing
            await asyncio.wait((writing,))
            self._writing = None
            writing.result()

    def _put(self, batch: list[bytes | int]) -> None:
        with on_host("write the volume"):
            for part in batch:
                if isinstance(part, int):
                    sparse.make_zero(self._target.fd, self._at, part)
                    self._at += part
                else:
                    sparse.put(self._target.fd, part, self._at)
                    self._at += len(part)
            self._held.work.tick(self._at - self._start)

    async def read(self) -> bytes | int:
        raise OperationFailed("the volume is only written")

    async def finish(self) -> None:
        try:
            await self._flush()
            self._held.check()
            await self._in_thread(self._commit)
        finally:
            await self.close()
        await self._done()

    async def _flush(self) -> None:
        while self._writing or self._waiting:
            await self._written()
            if self._waiting:
                await self._go_on()

    def _commit(self) -> None:
        with on_host("write the volume"):
            self._target.commit(self._at)

    async def _in_thread(self, function: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, function)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._writing:
            await asyncio.wait((self._writing,))
        try:
            await self._in_thread(self._target.abandon)
        finally:
            self._executor.shutdown(wait=False)
            await self._held.end()

    async def take_from(self, path: Path, *, told: Told = nobody) -> None:
        """The kernel copies it, or lets both share it."""
        with on_host(f"read {path}"), path.open("rb", buffering=0) as file:
            total = sparse.length_of(file.fileno())
            self._count(total)
            self._held.work.total = total

            def tick(done: int) -> None:
                self._held.work.tick(done)
                told(done, total)

            def work() -> None:
                sparse.make_zero(self._target.fd, self._at, total)
                sparse.copy(file.fileno(), self._target.fd, 0, total, at=self._at, tick=tick)
                self._at += total

            try:
                await self._held.work.run(work)
            except BaseException:
                await self.close()
                raise
        await self.finish()
