"""Events of networks, pools, devices of the host and secrets as the remote program tells them.

Source: the *_event_* procedures of the remote program; virNetworkEventID and its like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vmherd import events
from vmherd.events import ResourceEvent
from vmherd.rpc import protocol
from vmherd.rpc.protocol import Procedure


class ResourceShape(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of event is told: a callback's number, the object, and of a life what happened and why.

    No resource knows more than one reason, which is 0.
    """

    #: The procedure that tells it, without "_event" and what comes before it.
    name: str
    event: type[ResourceEvent]

    @property
    def life(self) -> bool:
        return "event" in self.event.__struct_fields__

    def message(self, number: int, reference: Sequence[Any], event: ResourceEvent) -> tuple[Any, ...]:
        """What is told to the callback of that number; ``reference`` is how the protocol names the object."""
        told = (number, reference)
        return (*told, event.event, 0) if self.life else told  # type: ignore[attr-defined]

    def parse(self, values: Any) -> ResourceEvent:
        """The event that was told.  Raises msgspec.ValidationError for numbers that mean nothing."""
        named = values[1]._asdict()
        if "usageType" in named:
            told = {"name": named["uuid"], "uuid": named["uuid"]}
            told |= {"usage_type": named["usageType"], "usage_id": named["usageID"]}
        else:
            told = named
        if self.life:
            told["event"] = values[2]
        return msgspec.convert(told, self.event)


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A resource with events: its ``word`` in the names of procedures, its driver, and its events by their numbers."""

    word: str
    driver: str
    shapes: tuple[ResourceShape, ...]

    @property
    def title(self) -> str:
        return self.word.replace("_", " ")

    def procedure(self, number: int) -> Procedure:
        """What tells the event of that number."""
        return protocol.program("remote").by_name[f"{self.word}_event_{self.shapes[number].name}"]


#: Every resource with events, by its word.
KINDS: Mapping[str, Kind] = {
    kind.word: kind
    for kind in (
        Kind(
            word="network",
            driver="network",
            shapes=(ResourceShape(name="lifecycle", event=events.NetworkEvent),),
        ),
        Kind(
            word="storage_pool",
            driver="storage",
            shapes=(
                ResourceShape(name="lifecycle", event=events.PoolEvent),
                ResourceShape(name="refresh", event=events.PoolRefreshEvent),
            ),
        ),
        Kind(
            word="node_device",
            driver="nodedev",
            shapes=(
                ResourceShape(name="lifecycle", event=events.NodeDeviceEvent),
                ResourceShape(name="update", event=events.NodeDeviceUpdateEvent),
            ),
        ),
        Kind(
            word="secret",
            driver="secret",
            shapes=(
                ResourceShape(name="lifecycle", event=events.SecretEvent),
                ResourceShape(name="value_changed", event=events.SecretValueEvent),
            ),
        ),
    )
}

#: The resource and the shape by the number of the procedure that tells it.
BY_PROCEDURE: Mapping[int, tuple[Kind, ResourceShape]] = {
    kind.procedure(number).number: (kind, shape) for kind in KINDS.values() for number, shape in enumerate(kind.shapes)
}
