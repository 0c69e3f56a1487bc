"""What is kept of filters and cards."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec

from vmherd.conf.nwfilter import Binding, Filter, parse_binding, parse_filter
from vmherd.errors import BindingNotFound, FilterNotFound
from vmherd.state.notify import ping
from vmherd.state.objects import Definition, ObjectTable
from vmherd.state.objects import Entry as AnyEntry
from vmherd.state.store import Store

_KEPT = "nwfilter-kept"
_SELF = "applied"


class Card(Definition, kw_only=True):
    """A binding is active as long as its device is there.

    ``index`` is the kernel's number of the device, 0 where nobody has seen it yet.  ``leases`` are the addresses that
    were learned, with the time when each ends, as time(2) has it; None for never.
    """

    index: int = 0
    leases: dict[str, float | None] = msgspec.field(default_factory=dict)

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(self.leases)


Entry = AnyEntry[Definition]
CardEntry = AnyEntry[Card]


class Applied(msgspec.Struct, kw_only=True):
    """``marker`` names the rules that the kernel has, or is about to get; "" for none.

    ``builtin`` is the number of the set of built-in filters that was put into the table.
    """

    marker: str = ""
    builtin: int = 0


_decode = msgspec.msgpack.Decoder(Applied).decode
_encode = msgspec.msgpack.Encoder().encode


class Records:
    """The filters, the cards they are applied to, and what the kernel has of both."""

    def __init__(self, store: Store, listeners: Path) -> None:
        """``listeners`` is where processes hear of each other's changes."""
        self.store = store
        store.committed = lambda: ping(listeners)
        self.filters = ObjectTable(store, "nwfilter", Definition, FilterNotFound)
        self.cards = ObjectTable(store, "nwfilter-binding", Card, BindingNotFound)

    @property
    def applied(self) -> Applied:
        record = self.store.get(_KEPT, _SELF)
        return _decode(record.body) if record else Applied()

    def keep(self, applied: Applied) -> None:
        with self.store.transaction():
            if self.store.get(_KEPT, _SELF):
                self.store.replace(_KEPT, _SELF, _encode(applied))
            else:
                self.store.insert(_KEPT, _SELF, _SELF, _encode(applied))

    def filter(self, name: str) -> Filter:
        """Raises FilterNotFound; a UUID is no name."""
        record = self.store.find("nwfilter", name)
        if record is None:
            raise FilterNotFound(name)
        return _filter(self.filters.get(record.uuid).document)

    def has_cards(self) -> bool:
        return bool(self.store.revisions("nwfilter-binding"))

    def forget(self, device: str) -> None:
        self.store.delete("nwfilter-binding", device)


# Documents are read again and again while cards come and go.
@lru_cache(maxsize=256)
def _filter(text: str) -> Filter:
    return parse_filter(text)


@lru_cache(maxsize=1024)
def binding_of(text: str) -> Binding:
    return parse_binding(text)
