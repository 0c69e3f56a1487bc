"""A change of the configuration that can be taken back: as it was is kept until the change is committed."""

from __future__ import annotations

import msgspec

from vmherd.errors import InvalidState
from vmherd.resources.interface.links import Link
from vmherd.state.store import Store
from vmherd.util.process import boot_id

_KIND, _ID = "interface-change", "change"
_encode = msgspec.msgpack.Encoder().encode


class Change(msgspec.Struct, kw_only=True):
    """How it was: definitions, documents of what we had started, devices.  ``undoing``: a rollback has begun."""

    definitions: dict[str, str]
    live: dict[str, str]
    links: list[Link]
    boot: str
    undoing: bool = False

    @property
    def is_of_this_boot(self) -> bool:
        return self.boot == boot_id()


_decode = msgspec.msgpack.Decoder(Change).decode


def begin(store: Store, change: Change) -> None:
    """Keep how it is.  Raises InvalidState where a change has begun already."""
    with store.transaction(durable=True):
        if current(store):
            raise InvalidState("there is already a pending transaction", hint="commit it, or roll it back")
        store.insert(_KIND, _ID, _ID, _encode(change))


def current(store: Store) -> Change | None:
    record = store.get(_KIND, _ID)
    return _decode(record.body) if record else None


def pending(store: Store) -> Change:
    """Raises InvalidState where no change has begun."""
    found = current(store)
    if found is None:
        raise InvalidState("no pending transaction", hint="begin one first")
    return found


def note_undoing(store: Store, change: Change) -> None:
    """Whoever comes next finishes the rollback, should we be killed."""
    change.undoing = True
    with store.transaction(durable=True):
        store.replace(_KIND, _ID, _encode(change))


def end(store: Store) -> None:
    store.delete(_KIND, _ID)
