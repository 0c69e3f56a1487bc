"""What each operation on pools does, and in which order; how is a matter of the backends."""

from __future__ import annotations

import logging
from uuid import uuid4

from vmherd.conf.storage import Pool, parse_pool, render_pool
from vmherd.driver.storage import PoolInfo, PoolState
from vmherd.errors import AlreadyExists, HostError, InvalidState, PoolNotFound, VmherdError
from vmherd.events import PoolLifecycle
from vmherd.resources.storage.backends.base import Overwrite
from vmherd.resources.storage.stock import Entry, PoolRecord, Stock, lifecycle, refreshed
from vmherd.util.process import boot_id

log = logging.getLogger("vmherd.storage")


class Pools(Stock):
    """Pools: defined, built, started, looked at, stopped."""

    async def pool_list(self) -> list[PoolInfo]:
        return [await self._info(entry) for entry in self._table.all()]

    async def pool_find(self, key: str) -> PoolInfo:
        return await self._info(self._table.find(key))

    async def pool_xml(self, uuid: str, *, inactive: bool = False) -> str:
        entry = self._table.get(uuid)
        if entry.live is None or (inactive and entry.record.config):
            return entry.record.config or entry.document
        content = await self._known(entry)
        await self._backend(content.pool.type).measure(content.pool)
        return render_pool(content.pool)

    async def pool_define(self, xml: str) -> PoolInfo:
        pool = self._read(xml)
        entry = self._own(pool)
        entry.record.config = render_pool(pool)
        self._table.put(entry, [lifecycle(entry, PoolLifecycle.DEFINED)])
        return await self._info(entry)

    def _read(self, xml: str) -> Pool:
        pool = parse_pool(xml)
        self._backend(pool.type)
        pool.uuid = pool.uuid or str(uuid4())
        return pool

    def _own(self, pool: Pool) -> Entry:
        """The entry that a document is about, a new one if there is none; raises AlreadyExists for another's name."""
        assert pool.uuid  # `_read` gives one
        assert pool.name
        try:
            same = self._table.get(pool.uuid)
        except PoolNotFound:
            return Entry(pool.uuid, pool.name, PoolRecord())
        if same.name != pool.name:
            raise AlreadyExists(f"pool '{same.name}' is already defined with uuid {same.uuid}", hint="leave <uuid> out")
        return same

    async def pool_create(self, xml: str, *, build: bool = False) -> PoolInfo:
        pool = self._read(xml)
        entry = self._own(pool)
        await self._start(entry, pool, build=build)
        return await self._info(self._table.get(entry.uuid))

    async def pool_undefine(self, uuid: str) -> None:
        entry = self._inactive(uuid)
        entry.record.config = None
        self._table.put(entry, [lifecycle(entry, PoolLifecycle.UNDEFINED)])

    async def pool_build(self, uuid: str) -> None:
        entry = self._inactive(uuid)
        pool = parse_pool(entry.document)
        await self._backend(pool.type).build(pool, Overwrite.UNSAID)
        self._table.put(entry, [lifecycle(entry, PoolLifecycle.CREATED)])

    async def pool_start(self, uuid: str, *, build: bool = False) -> None:
        entry = self._table.get(uuid)
        await self._start(entry, parse_pool(entry.document), build=build)

    async def _start(self, entry: Entry, pool: Pool, *, build: bool) -> None:
        backend = self._backend(pool.type)
        async with self._lock(entry.uuid):
            if entry.live is not None:
                raise InvalidState(f"storage pool '{entry.name}' is already active")
            if build:
                await backend.build(pool, Overwrite.UNSAID)
            if not await backend.ready(pool):
                await backend.start(pool)
            await backend.tidy(pool)
            self._content[entry.uuid] = await self._look(pool)
            entry.record.live, entry.record.boot = render_pool(parse_pool(render_pool(pool))), boot_id()
            self._table.put(entry, [lifecycle(entry, PoolLifecycle.STARTED)])

    async def _autostart(self, entry: Entry) -> None:
        try:
            await self.pool_start(entry.uuid)
        except VmherdError as problem:
            log.warning("cannot start pool %r by itself: %s", entry.name, problem)

    async def pool_stop(self, uuid: str) -> None:
        entry = self._active(uuid)
        entry.record.live = None
        self._table.put(entry, [lifecycle(entry, PoolLifecycle.STOPPED)])
        self._content.pop(uuid, None)

    async def pool_delete(self, uuid: str) -> None:
        entry = self._inactive(uuid)
        pool = parse_pool(entry.document)
        await self._backend(pool.type).delete(pool)
        self._table.put(entry, [lifecycle(entry, PoolLifecycle.DELETED)])

    async def pool_refresh(self, uuid: str) -> None:
        entry = self._active(uuid)
        async with self._lock(uuid):
            self._content[uuid] = await self._look(parse_pool(entry.document))
        with self._store.transaction():
            self._store.record_events([refreshed(entry)])

    async def pool_set_autostart(self, uuid: str, enabled: bool) -> None:
        entry = self._table.get(uuid)
        if entry.record.config is None:
            raise InvalidState("pool has no config file", hint="define it; a transient one cannot start by itself")
        entry.record.autostart = enabled
        self._table.put(entry)

    async def _info(self, entry: Entry) -> PoolInfo:
        pool, state = parse_pool(entry.document), PoolState.INACTIVE
        if entry.live is not None:
            try:
                content = await self._known(entry)
                await self._backend(pool.type).measure(content.pool)
                pool, state = content.pool, PoolState.RUNNING
            except HostError:  # what it is made of has gone away
                state = PoolState.INACCESSIBLE
        return PoolInfo(
            uuid=entry.uuid,
            name=entry.name,
            type=str(pool.type),
            state=state,
            persistent=entry.record.config is not None,
            autostart=entry.record.autostart,
            path=(pool.target.path if pool.target else None) or "",
            capacity=pool.capacity,
            allocation=pool.allocation,
            available=pool.available,
        )
