"""The content of a volume while it is read or replaced: bytes, and holes where there is nothing but zeros."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vmherd.util.sparse import Extent, extents, length_of, put

_PIECE = 1 << 20

#: Hears how many bytes are done, of how many; holes count.
Told = Callable[[int, int], None]


def nobody(done: int, total: int) -> None:
    """Nobody wants to hear how far it is."""


@contextmanager
def _new(path: Path) -> Iterator[int]:
    """A new file, which stays if all goes well."""
    with path.open("xb", buffering=0) as file:
        try:
            yield file.fileno()
        except BaseException:
            path.unlink(missing_ok=True)
            raise


class VolumeContent(ABC):
    """Either reads or writes.  Whoever has it calls ``finish`` at the end, or ``close`` to break off.

    ``sparse`` says whether holes are told as such; without it they are zeros as any others.
    """

    sparse = False

    @abstractmethod
    async def read(self) -> bytes | int:
        """Bytes, or the length of a hole; b"" at the end."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Put bytes behind what was written before.  Raises HostError on a full disk."""

    @abstractmethod
    async def skip(self, length: int) -> None:
        """Put a hole behind what was written before."""

    @abstractmethod
    async def finish(self) -> None:
        """Everything was said: what was written is on the disk when this returns."""

    @abstractmethod
    async def close(self) -> None:
        """Break off, if it is not finished."""

    async def take_from(self, path: Path, *, told: Told = nobody) -> None:
        """Write a whole file, and finish."""
        with path.open("rb", buffering=0) as file:
            fd, total = file.fileno(), length_of(file.fileno())
            parts = extents(fd, 0, total) if self.sparse else [Extent(0, total, True)]
            for part in parts:
                if part.data:
                    await self._take(fd, part, total, told)
                else:
                    await self.skip(part.length)
                told(part.at + part.length, total)
        await self.finish()

    async def _take(self, fd: int, part: Extent, total: int, told: Told) -> None:
        at, end = part.at, part.at + part.length
        while at < end and (data := await asyncio.to_thread(os.pread, fd, min(_PIECE, end - at), at)):
            await self.write(data)
            at += len(data)
            told(at, total)

    async def save_to(self, path: Path, *, total: int = 0, told: Told = nobody) -> None:
        """Read all of it into a new file, and finish; ``total`` bytes are expected.  Half a file is removed."""
        with _new(path) as fd:
            await self._save(fd, total, told)

    async def _save(self, fd: int, total: int, told: Told) -> None:
        done = 0
        while part := await self.read():
            if isinstance(part, int):
                done += part
            else:
                await asyncio.to_thread(put, fd, part, done)
                done += len(part)
            told(done, max(total, done))
        os.ftruncate(fd, done)
        await self.finish()
