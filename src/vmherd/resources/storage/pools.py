"""What each operation on pools does, and in which order; how is a matter of the backends."""

from __future__ import annotations

from uuid import uuid4

from vmherd.conf.storage import Pool, PoolType, parse_pool, render_pool
from vmherd.conf.storage.capabilities import capabilities
from vmherd.driver.storage import PoolInfo, PoolState
from vmherd.errors import AlreadyExists, HostError, InvalidArgument, InvalidState
from vmherd.events import PoolLifecycle, ResourceEvent
from vmherd.resources.storage import conflicts
from vmherd.resources.storage.backends import offered
from vmherd.resources.storage.life import BUILDING, PoolLife, fresh
from vmherd.resources.storage.stock import Entry, lifecycle, refreshed


class Pools(PoolLife):
    """Pools: defined, built, started, looked at, stopped."""

    async def pool_list(self) -> list[PoolInfo]:
        return [await self._info(entry) for entry in self._table.all()]

    async def pool_uuid(self, key: str) -> str:
        return self._table.find(key).uuid

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

        def keep() -> Entry:
            entry = self._own(pool)
            conflicts.check(pool, self._others(entry.uuid))
            entry.record.config = render_pool(pool)
            self._table.put(entry, [lifecycle(entry, PoolLifecycle.DEFINED)])
            return entry

        with self._store.transaction(durable=True):
            entry = keep()
        return await self._info(entry)

    def _read(self, xml: str) -> Pool:
        self.require_writable()
        pool = parse_pool(xml)
        self._backend(pool.type)
        pool.uuid = pool.uuid or str(uuid4())
        return pool

    def _own(self, pool: Pool) -> Entry:
        """The entry that a document is about, a new one if there is none.

        Raises AlreadyExists where another pool has the name or the UUID.
        """
        new = fresh(pool)
        for entry in self._table.all():
            if (entry.uuid, entry.name) == (new.uuid, new.name):
                return entry
            if entry.uuid == new.uuid:
                text = f"pool '{entry.name}' is already defined with uuid {entry.uuid}"
                raise AlreadyExists(text, hint="leave <uuid> out")
            if entry.name == new.name:
                text = f"pool '{entry.name}' already exists with uuid {entry.uuid}"
                raise AlreadyExists(text, hint=f"add <uuid>{entry.uuid}</uuid>, or choose another name")
        return new

    def _others(self, uuid: str) -> list[Pool]:
        return [parse_pool(entry.document) for entry in self._table.all() if entry.uuid != uuid]

    async def pool_create(self, xml: str, *, build: bool = False, overwrite: bool | None = None) -> PoolInfo:
        pool = self._read(xml)
        new = self._own(pool)
        conflicts.check(pool, self._others(new.uuid))
        async with self._alone(new.uuid, "start", new) as entry:
            if entry.live is not None:
                raise InvalidState(f"pool is already active as '{entry.name}'", hint="stop it first")
            await self._build_and_start(entry, pool, build=build, overwrite=overwrite)
        return await self._info(self._table.get(entry.uuid))

    async def pool_undefine(self, uuid: str) -> None:
        self.require_writable()
        async with self._alone(uuid, "undefine") as entry:
            _require_inactive(entry, "still")
            entry.record.config, entry.record.autostart = None, False
            self._table.put(entry, [lifecycle(entry, PoolLifecycle.UNDEFINED)])

    async def pool_build(self, uuid: str, *, overwrite: bool | None = None) -> None:
        self.require_writable()
        async with self._alone(uuid, "build") as entry:
            _require_inactive(entry)
            await self._build(entry, parse_pool(entry.document), overwrite)
            self._table.put(entry, [lifecycle(entry, PoolLifecycle.CREATED)])

    async def pool_start(self, uuid: str, *, build: bool = False, overwrite: bool | None = None) -> None:
        self.require_writable()
        async with self._alone(uuid, "start") as entry:
            _require_inactive(entry)
            await self._build_and_start(entry, parse_pool(entry.document), build=build, overwrite=overwrite)

    async def _build_and_start(self, entry: Entry, pool: Pool, *, build: bool, overwrite: bool | None) -> None:
        if build or overwrite is not None:
            await self._build(entry, pool, overwrite)
        await self._start(entry, pool)

    async def pool_stop(self, uuid: str) -> None:
        self.require_writable()
        async with self._alone(uuid, "stop") as entry:
            await self._stop(entry)

    async def pool_delete(self, uuid: str) -> None:
        self.require_writable()
        async with self._alone(uuid, "delete") as entry:
            _require_inactive(entry, "still")
            pool = parse_pool(entry.document)
            await self._backend(pool.type).delete(pool)
            self._table.put(entry, [lifecycle(entry, PoolLifecycle.DELETED)])

    async def pool_sources(self, kind: str, spec: str = "") -> str:
        try:
            type_ = PoolType(kind)
        except ValueError:
            raise InvalidArgument(f"unknown storage pool type {kind}") from None
        return await self._backend(type_).sources(spec)

    async def pool_capabilities(self) -> str:
        return capabilities(offered())

    async def pool_refresh(self, uuid: str) -> None:
        entry = self._active(uuid)
        async with self._lock(uuid):
            self._content[uuid] = await self._look(parse_pool(entry.document))
        with self._store.transaction():
            self._store.record_events([refreshed(entry)])

    async def pool_set_autostart(self, uuid: str, enabled: bool) -> None:
        def note(entry: Entry) -> list[ResourceEvent]:
            if entry.record.config is None:
                raise InvalidState("pool has no config file", hint="define it; a transient one cannot start by itself")
            entry.record.autostart = enabled
            return []

        self.require_writable()
        self._table.change(uuid, note)

    async def _info(self, entry: Entry) -> PoolInfo:
        pool, state = parse_pool(entry.document), PoolState.INACTIVE
        if entry.record.doing == BUILDING and self._jobs.held(entry.uuid):
            state = PoolState.BUILDING
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


def _require_inactive(entry: Entry, word: str = "already") -> None:
    if entry.live is not None:
        raise InvalidState(f"storage pool '{entry.name}' is {word} active", hint="stop it first")
