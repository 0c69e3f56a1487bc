"""What both the operations of pools and those of volumes stand on: the table, the backends, what was found in pools."""

from __future__ import annotations

import asyncio

import msgspec

from vmherd.conf.storage import Pool, PoolType, Volume, parse_pool
from vmherd.driver.storage import StorageDriver
from vmherd.driver.uri import ConnectURI
from vmherd.errors import InvalidState, PoolNotFound
from vmherd.events import PoolEvent, PoolLifecycle, PoolRefreshEvent, ResourceEvent, Subscription
from vmherd.resources.storage.backends import Backend, Surroundings, backend_of
from vmherd.resources.storage.works import Works
from vmherd.state.hub import EventHub
from vmherd.state.jobs import Jobs
from vmherd.state.objects import Definition, ObjectTable
from vmherd.state.objects import Entry as AnyEntry
from vmherd.state.places import Places
from vmherd.state.store import Store


class PoolRecord(Definition, kw_only=True):
    """``ours``: what makes the pool available was brought by us, so that we take it away when it stops.

    ``doing`` is what was begun and is not done yet.
    """

    ours: bool = False
    doing: str = ""


Entry = AnyEntry[PoolRecord]


class Content(msgspec.Struct):
    """What was found in an active pool."""

    pool: Pool
    volumes: dict[str, Volume]


class Stock(StorageDriver):
    """Pools in a store, and what is known of their content."""

    def __init__(self, uri: ConnectURI, places: Places) -> None:
        super().__init__(uri)
        self._store = Store(places.state / "state.db")
        self._table = ObjectTable(self._store, "pool", PoolRecord, PoolNotFound)
        self._hub: EventHub[ResourceEvent] = EventHub(self._store, places.run / "listeners")
        self._around = Surroundings(uri, places.run, Works(places.run / "works"))
        self._jobs = Jobs(places.run / "pools", noun="storage pool")
        self._content: dict[str, Content] = {}
        self._seen = self._store.foreign_changes(), self._store.last_seq()
        self._locks: dict[str, asyncio.Lock] = {}

    async def close(self) -> None:
        self._hub.close()
        self._store.close()

    async def events(self, *wanted: type[ResourceEvent]) -> Subscription[ResourceEvent]:
        return self._hub.subscribe(*wanted)

    def _backend(self, kind: PoolType) -> Backend:
        return backend_of(kind, self._around)

    def _lock(self, uuid: str) -> asyncio.Lock:
        return self._locks.setdefault(uuid, asyncio.Lock())

    def _active(self, uuid: str) -> Entry:
        entry = self._table.get(uuid)
        if entry.live is None:
            raise InvalidState(f"storage pool '{entry.name}' is not active", hint="start it first")
        return entry

    async def _known(self, entry: Entry) -> Content:
        """What is in an active pool; it is looked at once after the daemon has started."""
        self._hear_others()
        async with self._lock(entry.uuid):
            content = self._content.get(entry.uuid)
            if content is None:
                content = self._content[entry.uuid] = await self._look(parse_pool(entry.document))
            return content

    def _hear_others(self) -> None:
        """Forget what is known of pools where another process has changed something."""
        version, seq = self._seen
        now = self._store.foreign_changes()
        if now != version:
            for event in self._store.events_after(seq):
                seq = event.seq
                self._content.pop(event.uuid, None)
            self._seen = now, seq

    async def _look(self, pool: Pool) -> Content:
        backend = self._backend(pool.type)
        await backend.tidy(pool)
        return Content(pool, await backend.refresh(pool))


def lifecycle(entry: Entry, what: PoolLifecycle) -> PoolEvent:
    return PoolEvent(uuid=entry.uuid, name=entry.name, event=what)


def refreshed(entry: Entry) -> PoolRefreshEvent:
    return PoolRefreshEvent(uuid=entry.uuid, name=entry.name)
