"""A guest's state on its way into a file: paused, written, and then either ended or let go on.

What goes on is noted in the guest's record (``Writing``) before anything is done.  So whoever finds it half-done can
tell, and put it right: before ``Life.saved`` the guest goes on as it was, after that it has only to end.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from vmherd.driver.types import PausedReason, RunningReason, ShutoffReason, State
from vmherd.errors import HypervisorError
from vmherd.hypervisors.qemu.folders import Folders
from vmherd.hypervisors.qemu.life import Life
from vmherd.hypervisors.qemu.monitor import connected
from vmherd.hypervisors.qemu.saved import carry, image, transfer
from vmherd.hypervisors.qemu.saved.image import Compression, Image
from vmherd.state.domains import Entry, Live, Writing
from vmherd.state.jobs import Job
from vmherd.util.files import on_host

log = logging.getLogger("vmherd.qemu")


class Outgoing:
    """One run of a guest whose state goes to ``path``; the caller holds ``job``."""

    def __init__(self, life: Life, folders: Folders, entry: Entry, live: Live, job: Job, path: Path) -> None:
        self._life = life
        self._uuid = entry.uuid
        self._live = live
        self._job = job
        self._path = path
        self._reach: transfer.Reach = lambda: connected(folders.control(entry.uuid))

    @property
    def _running(self) -> bool:
        return self._live.state is State.RUNNING

    async def save(self, content: Image, *, managed: bool, bypass_cache: bool) -> None:
        """Write the guest to an image and end it; a failure lets it go on, and leaves no image."""
        await self._refuse_blocked()
        carry.require(content.compression)
        async with self._undone(content.encode(whole=False), RunningReason.SAVE_CANCELED):
            await self._pause(PausedReason.SAVE)
            await self._write(content.stream, content.compression, bypass_cache=bypass_cache)
            with on_host("save the guest"):
                await asyncio.to_thread(image.complete, self._path)
            self._life.saved(self._uuid, self._live.id, managed=managed)
        await self._life.stop(self._uuid, self._live, ShutoffReason.SAVED)

    @asynccontextmanager
    async def dumping(self, *, live: bool) -> AsyncIterator[None]:
        """A dump is written in the block; the guest goes on afterwards, unless it was ended."""
        async with self._undone(b"", RunningReason.UNPAUSED):
            if not live:
                await self._pause(PausedReason.DUMP)
            yield
            self._note("", RunningReason.UNPAUSED)  # the dump is whole: it stays
        await self._life.put_right(self._uuid)

    async def dump_everything(self, compression: Compression, *, bypass_cache: bool) -> None:
        """Write a file that QEMU can read, devices and all; the guest stands still then."""
        await self._refuse_blocked()
        await self._write(0, compression, bypass_cache=bypass_cache)

    async def dump_memory(self, format_: str, *, bypass_cache: bool) -> None:
        """Write the guest's memory for a debugger."""
        async with carry.into(self._path, 0, bypass_cache=bypass_cache) as way:
            async with self._reach() as monitor:
                await transfer.dump(monitor, way.fd, format_)
            way.let_go()
            await transfer.dumped(self._reach, self._job.count)
            await way.finish()

    async def reset(self) -> None:
        async with self._reach() as monitor:
            await monitor.execute("system_reset")

    async def crash(self) -> None:
        """End the guest as one that crashed."""
        await self._life.stop(self._uuid, self._live, ShutoffReason.CRASHED)

    async def _refuse_blocked(self) -> None:
        async with self._reach() as monitor:
            await transfer.refuse_blocked(monitor)

    @asynccontextmanager
    async def _undone(self, head: bytes, reason: RunningReason) -> AsyncIterator[None]:
        """The file is there, with ``head``; whatever breaks off the block, it is gone, and the guest goes on."""
        self._begin_file(head)
        self._note(str(self._path), reason)
        try:
            yield
        except BaseException:
            try:
                await self._life.put_right(self._uuid)
            except HypervisorError as problem:  # whoever next looks after the guest tries again
                log.warning("cannot let the guest %s go on yet: %s", self._uuid, problem)
            raise

    def _note(self, path: str, reason: RunningReason) -> None:
        writing = Writing(path=path, resume=self._running, cancelled=int(reason))
        self._life.writing(self._uuid, self._live.id, writing)

    def _begin_file(self, head: bytes) -> None:
        with on_host("save the guest"):
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, head)
            finally:
                os.close(fd)

    async def _pause(self, reason: PausedReason) -> None:
        if self._running:
            async with self._reach() as monitor:
                self._life.paused(self._uuid, self._live.id, reason)
                await monitor.execute("stop")

    async def _write(self, offset: int, compression: Compression, *, bypass_cache: bool) -> None:
        async with carry.into(self._path, offset, compression, bypass_cache=bypass_cache) as way:
            async with self._reach() as monitor:
                await transfer.begin(monitor, way.fd)
            way.let_go()
            await transfer.written(self._reach, self._job.count)
            await way.finish()
