"""The table of domains: what is defined, what runs, and what the two share.

A domain has a definition (``config``: how it starts next time), a life (``live``: how it runs now), or both.
Without a definition it is transient and leaves the table when it stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

import msgspec

from vmherd.driver.types import DomainInfo, ShutoffReason, State
from vmherd.errors import DomainNotFound
from vmherd.events import DomainEvent, Lifecycle
from vmherd.state.store import Record, Store

KIND = "domain"


class Summary(msgspec.Struct, kw_only=True):
    """What lists show of a document, so that no list parses one.  Sizes in bytes."""

    title: str = ""
    max_memory: int = 0
    memory: int = 0
    vcpus: int = 0


class Live(msgspec.Struct, kw_only=True):
    """A domain that runs, or is being started.

    ``pid``, ``started`` (clock ticks after boot) and ``boot`` (the kernel's boot id) name the hypervisor
    process beyond doubt; all empty for a driver without processes.  ``ready`` is False until the start was
    completed.  ``stop_reason`` is set before somebody ends the process on purpose, so that whoever sees it
    end knows why.  ``restart`` makes the next shutdown of the guest a reboot.
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


class DomainRecord(msgspec.Struct, kw_only=True):
    """What the store keeps of a domain; ``reason`` and ``since`` are of its last stop."""

    config: str | None = None
    summary: Summary = msgspec.field(default_factory=Summary)
    autostart: bool = False
    reason: int = 0
    since: float = 0.0
    live: Live | None = None


class Entry(msgspec.Struct, frozen=True):
    """A domain as it was when it was read."""

    uuid: str
    name: str
    record: DomainRecord

    @property
    def live(self) -> Live | None:
        return self.record.live

    @property
    def info(self) -> DomainInfo:
        """The summary every list shows."""
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
            since=live.since if live else record.since,
            title=summary.title,
            max_memory=summary.max_memory,
            memory=summary.memory,
            vcpus=summary.vcpus,
            pid=(live.pid or None) if live else None,
        )

    def event(self, event: Lifecycle, detail: int = 0) -> DomainEvent:
        return DomainEvent(uuid=self.uuid, name=self.name, event=event, detail=detail)


#: Changes a record in place; returns the events to publish, or None to leave everything as it was.
Mutation = Callable[[Entry], "list[DomainEvent] | None"]

_decode = msgspec.msgpack.Decoder(DomainRecord).decode
_encode = msgspec.msgpack.Encoder().encode


class DomainTable:
    """Every domain of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def all(self) -> list[Entry]:
        """Every domain, ordered by name."""
        return [_entry(record) for record in self.store.all(KIND)]

    def get(self, uuid: str) -> Entry:
        """The domain with this UUID; raises DomainNotFound."""
        record = self.store.get(KIND, uuid)
        if record is None:
            raise DomainNotFound(uuid)
        return _entry(record)

    def find(self, key: str) -> Entry:
        """The domain with this name, UUID or id, in this order; raises DomainNotFound."""
        record = self.store.find(KIND, key) or self._by_uuid(key)
        if record:
            return _entry(record)
        if key.isascii() and key.isdigit():
            for entry in self.all():
                if entry.live and entry.live.id == int(key):
                    return entry
        raise DomainNotFound(key)

    def _by_uuid(self, key: str) -> Record | None:
        try:
            return self.store.get(KIND, str(UUID(key)))
        except ValueError:
            return None

    def insert(self, entry: Entry, events: list[DomainEvent]) -> None:
        """Add a domain; raises AlreadyExists for a taken name or UUID."""
        with self.store.transaction(durable=True):
            self.store.insert(KIND, entry.uuid, entry.name, _encode(entry.record))
            self.store.record_events(events)

    def change(self, uuid: str, mutate: Mutation, *, durable: bool = False) -> Entry:
        """Change a domain in one transaction; it leaves the table when neither defined nor alive any more.

        Raises DomainNotFound; what ``mutate`` raises undoes everything.
        """
        with self.store.transaction(durable=durable):
            entry = self.get(uuid)
            events = mutate(entry)
            if events is None:
                return entry
            if entry.record.config is None and entry.record.live is None:
                self.store.delete(KIND, uuid)
            else:
                self.store.replace(KIND, uuid, _encode(entry.record))
            self.store.record_events(events)
        return entry


def _entry(record: Record) -> Entry:
    return Entry(record.uuid, record.name, _decode(record.body))


def set_state(live: Live, state: State, reason: int) -> None:
    """Note a new state and when it began."""
    if (live.state, live.reason) != (state, reason):
        live.state, live.reason, live.since = state, int(reason), time.time()


def mark_stopped(record: DomainRecord, reason: ShutoffReason) -> None:
    """Note that the domain does not run any more, and why."""
    record.live = None
    record.reason, record.since = int(reason), time.time()
