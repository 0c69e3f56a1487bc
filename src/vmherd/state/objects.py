"""Definitions in a store, and what is active of them since the host booted: pools, networks, ..."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from vmherd.errors import VmherdError
from vmherd.events import ResourceEvent
from vmherd.state.store import Record, Store
from vmherd.util.process import boot_id


class Definition(msgspec.Struct, kw_only=True):
    """``config`` is the definition, ``live`` the document it was started with, ``boot`` when (the kernel's boot id).

    ``coming`` is the document of a start that has not come to its end: noted before anything is made, so that
    whoever finds it after a kill knows what to take down.
    """

    config: str | None = None
    autostart: bool = False
    live: str | None = None
    boot: str = ""
    coming: str | None = None

    @property
    def is_void(self) -> bool:
        """Whether there is nothing left to keep."""
        return self.config is None and (self.boot != boot_id() or (self.live is None and self.coming is None))


D = TypeVar("D", bound=Definition)


class Entry(msgspec.Struct, Generic[D], frozen=True):
    """An object as it was when it was read."""

    uuid: str
    name: str
    record: D

    @property
    def live(self) -> str | None:
        """The document of an active object."""
        return self.record.live if self.record.boot == boot_id() else None

    @property
    def document(self) -> str:
        """How it is, or would be started."""
        text = self.live or self.record.config or self.record.coming
        assert text is not None  # a record without all of them leaves the table
        return text


_encode = msgspec.msgpack.Encoder().encode


class ObjectTable(Generic[D]):
    """Every object of one kind in one store; ``record`` is the class of what is kept of each.

    ``missing`` makes the error for a name or a UUID that is not there.
    """

    def __init__(self, store: Store, kind: str, record: type[D], missing: Callable[[str], VmherdError]) -> None:
        self.store = store
        self._kind = kind
        self._missing = missing
        self._decode = msgspec.msgpack.Decoder(record).decode
        self._forget_gone()

    def _forget_gone(self) -> None:
        """Objects without a definition ended with the host."""
        for entry in self.all():
            if entry.record.is_void:
                self.store.delete(self._kind, entry.uuid)

    def all(self) -> list[Entry[D]]:
        """Every object, ordered by name."""
        return [self._entry(record) for record in self.store.all(self._kind)]

    def get(self, uuid: str) -> Entry[D]:
        """Raises what ``missing`` makes."""
        record = self.store.get(self._kind, uuid)
        if record is None:
            raise self._missing(uuid)
        return self._entry(record)

    def find(self, key: str) -> Entry[D]:
        """The object with this name or UUID; raises what ``missing`` makes."""
        record = self.store.find(self._kind, key) or self.store.get(self._kind, key)
        if record is None:
            raise self._missing(key)
        return self._entry(record)

    def put(self, entry: Entry[D], events: Sequence[ResourceEvent] = ()) -> None:
        """Keep an object as it is now, and tell; it is forgotten when neither defined nor active.

        Raises AlreadyExists for a new one whose name another has.
        """
        with self.store.transaction(durable=True):
            known = self.store.get(self._kind, entry.uuid)
            if entry.record.is_void:
                self.store.delete(self._kind, entry.uuid)
            elif known is None:
                self.store.insert(self._kind, entry.uuid, entry.name, _encode(entry.record))
            else:
                self.store.replace(self._kind, entry.uuid, _encode(entry.record))
            self.store.record_events(events)

    def change(self, uuid: str, mutate: Callable[[Entry[D]], Sequence[ResourceEvent]]) -> Entry[D]:
        """Change an object in one transaction with the events that ``mutate`` returns; what it raises undoes all."""
        with self.store.transaction(durable=True):
            entry = self.get(uuid)
            self.put(entry, mutate(entry))
        return entry

    def _entry(self, record: Record) -> Entry[D]:
        return Entry(record.uuid, record.name, self._decode(record.body))
