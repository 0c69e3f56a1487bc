"""Building, starting and stopping pools, so that a kill at any instant leaves nothing half done.

What is begun is noted before anything happens, and a job holds the pool in all processes.  Whoever finds a note of a
pool that nobody holds puts it right: a start is taken back, a stop completed, a build cleaned up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from vmherd.conf.storage import Pool, parse_pool, render_pool
from vmherd.errors import Busy, InvalidState, PoolNotFound, VmherdError
from vmherd.events import PoolLifecycle
from vmherd.resources.storage.backends import Backend
from vmherd.resources.storage.stock import Content, Entry, PoolRecord, Stock, lifecycle
from vmherd.util.process import boot_id

log = logging.getLogger("vmherd.storage")

BUILDING, _STOPPING = "build", "stop"


class PoolLife(Stock):
    """The changes of pools that take more than a note in the store."""

    @asynccontextmanager
    async def _alone(self, uuid: str, what: str, new: Entry | None = None) -> AsyncIterator[Entry]:
        """A pool that nothing else happens to meanwhile, or ``new`` where there is none."""
        async with self._jobs.hold(uuid, what):
            try:
                entry = self._table.get(uuid)
            except PoolNotFound:
                if new is None:
                    raise
                yield new
            else:
                await self._put_right(entry)
                yield entry

    async def _settle(self) -> None:
        """Put right what was left by processes that were killed."""
        for entry in self._table.all():
            if entry.record.doing or entry.record.coming:
                with suppress(Busy, PoolNotFound):  # somebody is at work there, or has been
                    async with self._jobs.hold(entry.uuid, "put right", patience=0):
                        await self._put_right(self._table.get(entry.uuid))

    async def _put_right(self, entry: Entry) -> None:
        record = entry.record
        if not (record.doing or record.coming):
            return
        try:
            if record.doing == BUILDING:
                pool = parse_pool(entry.document)
                await self._backend(pool.type).unbuild(pool)
            if record.coming and record.boot == boot_id() and record.ours:
                await self._take_down(parse_pool(record.coming))
            if record.doing == _STOPPING and entry.live:
                await self._end(entry, parse_pool(entry.live))
        except VmherdError as problem:
            log.warning("cannot put pool %r right: %s", entry.name, problem)
        record.doing, record.coming = "", None
        self._table.put(entry)

    async def _build(self, entry: Entry, pool: Pool, overwrite: bool | None) -> None:
        entry.record.doing = BUILDING
        if entry.record.config is not None:
            self._table.put(entry)
        try:
            await self._backend(pool.type).build(pool, overwrite)
        finally:
            entry.record.doing = ""
            if entry.record.config is not None:
                self._table.put(entry)

    async def _start(self, entry: Entry, pool: Pool) -> None:
        """Make an inactive pool available.  All is taken back where that fails."""
        backend, record = self._backend(pool.type), entry.record
        text = render_pool(parse_pool(render_pool(pool)))
        record.live, record.coming, record.boot = None, text, boot_id()
        record.ours = not await backend.ready(pool)
        self._table.put(entry)
        try:
            content = await self._bring_up(backend, pool, ours=record.ours)
        except BaseException:
            record.coming = None
            self._table.put(entry)
            raise
        record.live, record.coming = text, None
        self._table.put(entry, [lifecycle(entry, PoolLifecycle.STARTED)])
        self._content[entry.uuid] = content

    async def _bring_up(self, backend: Backend, pool: Pool, *, ours: bool) -> Content:
        try:
            if ours:
                await backend.start(pool)
            return await self._look(pool)
        except BaseException:
            if ours:
                with suppress(VmherdError):  # what made it fail is told
                    await self._take_down(pool)
            raise

    async def _take_down(self, pool: Pool) -> None:
        backend = self._backend(pool.type)
        if await backend.ready(pool):
            await backend.stop(pool)

    async def _stop(self, entry: Entry) -> None:
        """Make an active pool unavailable, if it was us who made it available; it stays active where that fails."""
        if entry.live is None:
            raise InvalidState(f"storage pool '{entry.name}' is not active")
        self._around.works.require_none(entry.uuid, entry.name)
        entry.record.doing = _STOPPING
        self._table.put(entry)
        try:
            await self._end(entry, parse_pool(entry.live))
        finally:
            entry.record.doing = ""
            self._table.put(entry)

    async def _end(self, entry: Entry, pool: Pool) -> None:
        if entry.record.ours:
            await self._take_down(pool)
        entry.record.live = None
        self._table.put(entry, [lifecycle(entry, PoolLifecycle.STOPPED)])
        self._content.pop(entry.uuid, None)

    async def _autostart(self) -> None:
        """Start the pools that shall be there after a boot: once, whatever is stopped or restarted later."""
        async with self._jobs.hold("autostart", "start the pools of this host"):
            mark = self._around.run / "autostarted"
            if mark.exists() and mark.read_text() == boot_id():
                return
            wanted = [entry for entry in self._table.all() if entry.record.autostart and entry.live is None]
            await asyncio.gather(*map(self._try_to_start, wanted))
            mark.write_text(boot_id())

    async def _try_to_start(self, entry: Entry) -> None:
        try:
            async with self._alone(entry.uuid, "start") as now:
                if now.live is None:
                    await self._start(now, parse_pool(now.document))
        except VmherdError as problem:
            log.warning("cannot start pool %r by itself: %s", entry.name, problem)


def fresh(pool: Pool) -> Entry:
    """The entry of a pool that is not known yet."""
    assert pool.uuid  # whoever reads a document sees to both
    assert pool.name
    return Entry(pool.uuid, pool.name, PoolRecord())
