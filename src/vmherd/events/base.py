"""What all events have in common."""

from __future__ import annotations

import re

import msgspec


def _kind(qualified_name: str) -> str:
    """The word of a class: "device-removed" of DeviceRemovedEvent."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", qualified_name.removesuffix("Event")).lower()


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag=_kind):
    """One thing that happened to one object.

    ``seq`` grows by one with each event of a store, ``time`` is seconds since the epoch.
    """

    uuid: str
    name: str
    seq: int = 0
    time: float = 0.0

    @classmethod
    def kind(cls) -> str:
        """The word of the class: "lifecycle", "device-removed", ..."""
        return _kind(cls.__name__)
