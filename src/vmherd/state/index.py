"""The domains of a store in memory, by UUID, name and id, so that reading them costs no query.

An entry is never changed, only replaced: what is derived from one and kept with it lives as long as it is true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmherd.state.domains import Entry


class Index:
    """Whoever changes a domain in the store puts it here, too."""

    def __init__(self) -> None:
        self._by_uuid: dict[str, Entry] = {}
        self._by_name: dict[str, Entry] = {}
        self._by_id: dict[int, Entry] = {}
        self._ordered: list[Entry] | None = None

    def __getitem__(self, uuid: str) -> Entry:
        return self._by_uuid[uuid]

    def find(self, key: str) -> Entry | None:
        """The entry with this name, UUID as it is kept, or id, in this order."""
        found = self._by_name.get(key) or self._by_uuid.get(key)
        if found is None and key.isascii() and key.isdigit():
            return self._by_id.get(int(key))
        return found

    def ordered(self) -> list[Entry]:
        """Every entry, ordered by name."""
        if self._ordered is None:
            self._ordered = [entry for _, entry in sorted(self._by_name.items())]
        return list(self._ordered)

    def put(self, entry: Entry) -> None:
        """Add an entry, in place of that with its UUID."""
        self.drop(entry.uuid)
        self._by_uuid[entry.uuid] = self._by_name[entry.name] = entry
        if entry.live:
            self._by_id[entry.live.id] = entry

    def drop(self, uuid: str) -> None:
        """Forget an entry; none of that UUID is fine too."""
        self._ordered = None
        entry = self._by_uuid.pop(uuid, None)
        if entry is None:
            return
        # Two that swapped their names are put one after the other: what has the name by then keeps it.
        if self._by_name.get(entry.name) is entry:
            del self._by_name[entry.name]
        if entry.live:
            self._by_id.pop(entry.live.id, None)

    def outdated(self, revisions: Mapping[str, int]) -> Iterator[str]:
        """The UUIDs of entries that are not as the store has them: other, new or gone."""
        for uuid, revision in revisions.items():
            known = self._by_uuid.get(uuid)
            if known is None or known.revision != revision:
                yield uuid
        yield from [uuid for uuid in self._by_uuid if uuid not in revisions]
