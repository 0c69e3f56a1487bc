"""The table of domains: what is defined, what runs, and what the two share.

A domain has a definition (``config``: how it starts next time), a life (``live``: how it runs now), or both.
Without a definition it is transient and leaves the table when it stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from uuid import UUID

import msgspec

from vmherd.driver.types import DomainInfo, ShutoffReason, State
from vmherd.errors import DomainNotFound
from vmherd.events import DomainEvent, Lifecycle, LifecycleEvent
from vmherd.state.index import Index
from vmherd.state.store import Record, Store

KIND = "domain"


class Summary(msgspec.Struct, kw_only=True):
    """What lists show of a document, so that no list parses one.  Sizes in bytes."""

    title: str = ""
    max_memory: int = 0
    memory: int = 0
    vcpus: int = 0


class Writing(msgspec.Struct, frozen=True, kw_only=True):
    """A guest's state on its way into the file ``path``, "" if that is not to be removed when it breaks off.

    ``resume`` is whether the guest goes on then, ``cancelled`` the RunningReason that it has then.
    """

    path: str
    resume: bool
    cancelled: int


class Live(msgspec.Struct, kw_only=True):
    """A domain that runs, or is being started.

    ``pid``, ``started`` (clock ticks after boot) and ``boot`` (the kernel's boot id) name the hypervisor
    process beyond doubt; all empty for a driver without processes.  ``ready`` is False until the start was
    completed.  ``stop_reason`` is set before somebody ends the process on purpose, so that whoever sees it
    end knows why.  ``restart`` makes the next shutdown of the guest a reboot.  ``clock_base`` is
    what a varying clock was off at the start, in seconds, once the guest set it.
    ``restored_from`` is the image that its state comes from, "" for a guest that booted; ``writing`` is what goes on
    while its state is written to a file.
    """

    id: int
    xml: str
    summary: Summary
    state: State = State.PAUSED
    reason: int = 0
    since: float = 0.0
    ready: bool = False
    pid: int = 0
    started: int = 0
    boot: str = ""
    on_poweroff: str = "destroy"
    on_reboot: str = "restart"
    on_crash: str = "destroy"
    stop_reason: ShutoffReason | None = None
    restart: bool = False
    clock_base: int | None = None
    restored_from: str = ""
    writing: Writing | None = None


class DomainRecord(msgspec.Struct, kw_only=True):
    """What the store keeps of a domain; ``reason`` and ``since`` are of its last stop.

    ``saved`` is whether it goes on from its managed image when it starts next, ``agent_timeout`` how long the agent in
    it gets for its answers (virDomainAgentResponseTimeoutValues, or seconds).
    """

    config: str | None = None
    summary: Summary = msgspec.field(default_factory=Summary)
    autostart: bool = False
    reason: int = 0
    since: float = 0.0
    saved: bool = False
    agent_timeout: int = -2
    live: Live | None = None


class Entry(msgspec.Struct, frozen=True, dict=True):
    """A domain as it was when it was read; several may hold it, so only a Mutation may change its record.

    ``revision`` is that of the store: the same one means the same domain, unchanged.
    """

    uuid: str
    name: str
    record: DomainRecord
    revision: int = 0

    @cached_property
    def derived(self) -> dict[str, str]:
        """What was made of this entry and is asked for again, such as its document; by any key."""
        return {}

    @property
    def live(self) -> Live | None:
        return self.record.live

    @cached_property
    def info(self) -> DomainInfo:
        """The summary every list shows: the very same object for as long as nothing changes."""
        record, live = self.record, self.record.live
        summary = live.summary if live else record.summary
        return DomainInfo(
            uuid=self.uuid,
            name=self.name,
            state=live.state if live else State.SHUTOFF,
            reason=live.reason if live else record.reason,
            id=live.id if live else None,
            persistent=record.config is not None,
            autostart=record.autostart,
            managed_save=record.saved,
            since=live.since if live else record.since,
            title=summary.title,
            max_memory=summary.max_memory,
            memory=summary.memory,
            vcpus=summary.vcpus,
            pid=(live.pid or None) if live else None,
        )

    def event(self, event: Lifecycle, detail: int = 0) -> DomainEvent:
        return LifecycleEvent(uuid=self.uuid, name=self.name, event=event, detail=detail)


#: Changes a record in place; returns the events to publish, or None to leave everything as it was.
Mutation = Callable[[Entry], "list[DomainEvent] | None"]

_decode = msgspec.msgpack.Decoder(DomainRecord).decode
_encode = msgspec.msgpack.Encoder().encode


class DomainTable:
    """Every domain of one store.  They are kept in memory, which costs a look at each reading (``Index``)."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._forget()
        store.undone = self._forget

    def all(self) -> list[Entry]:
        """Every domain, ordered by name."""
        return self._index().ordered()

    def get(self, uuid: str) -> Entry:
        """The domain with this UUID; raises DomainNotFound."""
        try:
            return self._index()[uuid]
        except KeyError:
            raise DomainNotFound(uuid) from None

    def find(self, key: str) -> Entry:
        """The domain with this name, UUID or id, in this order; raises DomainNotFound."""
        index = self._index()
        found = index.find(key) or index.find(_as_uuid(key))
        if found is None:
            raise DomainNotFound(key)
        return found

    def insert(self, entry: Entry, events: list[DomainEvent]) -> Entry:
        """Add a domain; it as it is kept.  Raises AlreadyExists for a taken name or UUID."""
        with self.store.transaction(durable=True):
            revision = self.store.insert(KIND, entry.uuid, entry.name, _encode(entry.record))
            self.store.record_events(events)
            return self._note(entry, revision)

    def change(self, uuid: str, mutate: Mutation, *, durable: bool = False) -> Entry:
        """Change a domain in one transaction; it leaves the table when neither defined nor alive any more.

        Raises DomainNotFound; what ``mutate`` raises undoes everything.
        """
        with self.store.transaction(durable=durable):
            entry = self._own(uuid)
            events = mutate(entry)
            if events is None:
                return entry
            if entry.record.config is None and entry.record.live is None:
                self.store.delete(KIND, uuid)
                self._known.drop(uuid)
            else:
                entry = self._note(entry, self.store.replace(KIND, uuid, _encode(entry.record)))
            self.store.record_events(events)
        return entry

    def rename(self, uuid: str, name: str, mutate: Callable[[Entry], None]) -> Entry:
        """Give a domain another name, in one transaction with ``mutate``, which may refuse; tell it as libvirt does.

        Raises DomainNotFound, and AlreadyExists for a name that is taken.
        """
        with self.store.transaction(durable=True):
            old = self._own(uuid)
            mutate(old)
            self.store.rename(KIND, uuid, name)
            entry = Entry(uuid, name, old.record)
            entry = self._note(entry, self.store.replace(KIND, uuid, _encode(entry.record)))
            self.store.record_events([old.event(Lifecycle.UNDEFINED, 1), entry.event(Lifecycle.DEFINED, 2)])
        return entry

    def _own(self, uuid: str) -> Entry:
        """A domain that nobody else holds, so that it can be changed."""
        record = self.store.get(KIND, uuid)
        if record is None:
            raise DomainNotFound(uuid)
        return _entry(record)

    def _note(self, entry: Entry, revision: int) -> Entry:
        entry = Entry(entry.uuid, entry.name, entry.record, revision)
        self._known.put(entry)
        return entry

    def _forget(self) -> None:
        """Read everything anew next time: what we know may have been undone."""
        self._known = Index()
        self._seen: int | None = None

    def _index(self) -> Index:
        """Every domain as it is now.  Our own changes are in it already; those of others are looked for."""
        seen = self.store.foreign_changes()
        if seen == self._seen:
            return self._known
        if self._seen is None:
            for record in self.store.all(KIND):
                self._known.put(_entry(record))
        else:
            self._catch_up()
        self._seen = seen
        return self._known

    def _catch_up(self) -> None:
        for uuid in self._known.outdated(self.store.revisions(KIND)):
            record = self.store.get(KIND, uuid)
            if record:
                self._known.put(_entry(record))
            else:
                self._known.drop(uuid)


def _entry(record: Record) -> Entry:
    return Entry(record.uuid, record.name, _decode(record.body), record.revision)


def _as_uuid(key: str) -> str:
    """A UUID in the notation the store has, however it was written; "" for what is none."""
    try:
        return str(UUID(key))
    except ValueError:
        return ""


def set_state(live: Live, state: State, reason: int) -> None:
    """Note a new state and when it began."""
    if (live.state, live.reason) != (state, reason):
        live.state, live.reason, live.since = state, int(reason), time.time()


def mark_stopped(record: DomainRecord, reason: ShutoffReason) -> None:
    """Note that the domain does not run any more, and why."""
    record.live = None
    record.reason, record.since = int(reason), time.time()
