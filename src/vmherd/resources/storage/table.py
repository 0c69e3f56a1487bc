"""The pools: what is defined, and what is active since the host booted."""

from __future__ import annotations

from pathlib import Path

import msgspec

from vmherd.errors import PoolNotFound
from vmherd.state.store import Record, Store
from vmherd.util.process import boot_id

KIND = "pool"


class PoolRecord(msgspec.Struct, kw_only=True):
    """``config`` is the definition, ``live`` the document it was started with, ``boot`` when (the kernel's boot id)."""

    config: str | None = None
    autostart: bool = False
    live: str | None = None
    boot: str = ""


class Entry(msgspec.Struct, frozen=True):
    """A pool as it was when it was read."""

    uuid: str
    name: str
    record: PoolRecord

    @property
    def live(self) -> str | None:
        """The document of an active pool."""
        return self.record.live if self.record.boot == boot_id() else None

    @property
    def document(self) -> str:
        """How it is, or would be started."""
        text = self.live or self.record.config
        assert text is not None  # a record without both leaves the table
        return text


_decode = msgspec.msgpack.Decoder(PoolRecord).decode
_encode = msgspec.msgpack.Encoder().encode


class PoolTable:
    """Every pool of one store."""

    def __init__(self, database: Path | None) -> None:
        self.store = Store(database)
        self._forget_gone()

    def _forget_gone(self) -> None:
        """Pools without a definition ended with the host."""
        for entry in self.all():
            if entry.record.config is None and entry.live is None:
                self.store.delete(KIND, entry.uuid)

    def all(self) -> list[Entry]:
        """Every pool, ordered by name."""
        return [_entry(record) for record in self.store.all(KIND)]

    def get(self, uuid: str) -> Entry:
        """Raises PoolNotFound."""
        record = self.store.get(KIND, uuid)
        if record is None:
            raise PoolNotFound(uuid)
        return _entry(record)

    def find(self, key: str) -> Entry:
        """The pool with this name or UUID; raises PoolNotFound."""
        record = self.store.find(KIND, key) or self.store.get(KIND, key)
        if record is None:
            raise PoolNotFound(key)
        return _entry(record)

    def put(self, entry: Entry) -> None:
        """Keep a pool as it is now; it is forgotten when neither defined nor active."""
        with self.store.transaction(durable=True):
            known = self.store.get(KIND, entry.uuid)
            if entry.record.config is None and entry.live is None:
                self.store.delete(KIND, entry.uuid)
            elif known is None:
                self.store.insert(KIND, entry.uuid, entry.name, _encode(entry.record))
            else:
                self.store.replace(KIND, entry.uuid, _encode(entry.record))


def _entry(record: Record) -> Entry:
    return Entry(record.uuid, record.name, _decode(record.body))
