"""What happens to networks, pools, devices and secrets, to whom it was promised: the callbacks of a client."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from vmherd.driver.resource import ResourceDriver
from vmherd.errors import InvalidArgument
from vmherd.events import ResourceEvent, SecretEvent, SecretValueEvent, Subscription
from vmherd.rpc.resourceevents import KINDS, Kind

if TYPE_CHECKING:
    from vmherd.daemon.wire.client import Client


class _Callback(msgspec.Struct, frozen=True, kw_only=True):
    """``event`` is the number of what it is about, ``only`` the one object, by UUID or else name; "": all of them."""

    kind: Kind
    event: int
    only: str = ""

    def wants(self, event: ResourceEvent) -> bool:
        return type(event) is self.kind.shapes[self.event].event and self.only in ("", event.uuid or event.name)


class ResourceCallbacks:
    """The callbacks that one client has registered for resources, and a task for each kind that serves them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[int, _Callback] = {}
        self._numbers = itertools.count(1)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()

    async def add(self, word: str, driver: ResourceDriver[ResourceEvent], event: int, only: str = "") -> int:
        """Tell the client of an event of the resource ``word`` from now on; the number of the callback.

        Raises InvalidArgument for an event there is not.
        """
        kind = KINDS[word]
        if not 0 <= event < len(kind.shapes):
            raise InvalidArgument(f"unsupported {kind.title} event ID {event}")
        async with self._turn:
            if word not in self._tasks:
                subscription = await driver.events()
                self._tasks[word] = asyncio.create_task(self._serve(kind, subscription))
        number = next(self._numbers)
        self._known[number] = _Callback(kind=kind, event=event, only=only)
        return number

    def remove(self, word: str, number: int) -> None:
        """Raises InvalidArgument for a number that is not registered."""
        callback = self._known.get(number)
        if callback is None or callback.kind.word != word:
            raise InvalidArgument(f"{KINDS[word].title} event callback {number} not registered")
        del self._known[number]

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    async def _serve(self, kind: Kind, subscription: Subscription[ResourceEvent]) -> None:
        async with subscription:
            async for event in subscription:
                # What it may see can have changed since it registered.
                if self._client.holder.has(f"{kind.word}:getattr"):
                    self._tell(event)

    def _tell(self, event: ResourceEvent) -> None:
        for number, callback in list(self._known.items()):
            if callback.wants(event):
                shape = callback.kind.shapes[callback.event]
                message = shape.message(number, _reference(event), event)
                self._client.tell(callback.kind.procedure(callback.event), message)


def _reference(event: ResourceEvent) -> Sequence[Any]:
    """How the protocol names what an event is about."""
    if isinstance(event, SecretEvent | SecretValueEvent):
        return event.uuid, event.usage_type, event.usage_id
    return (event.name, event.uuid) if event.uuid else (event.name,)
