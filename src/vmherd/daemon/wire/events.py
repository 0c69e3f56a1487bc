"""What happens, to whom it was promised: one subscription of each driver for all clients, callbacks by number.

Source: the remote program's *_event_callback_* procedures, and virDomainEventID.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from vmherd.errors import InvalidArgument
from vmherd.events import DomainEvent
from vmherd.rpc import protocol
from vmherd.rpc.protocol import Procedure

if TYPE_CHECKING:
    from vmherd.daemon.wire.client import Client
    from vmherd.driver.hypervisor import HypervisorDriver

#: virDomainEventID by the kinds of ours.
LIFECYCLE = 0


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """``event`` is a virDomainEventID; ``uuid`` the one domain it is about, None: all of them."""

    number: int
    event: int
    uuid: str | None


class Callbacks:
    """The callbacks that one client has registered, and the task that serves them."""

    def __init__(self, client: Client, driver: HypervisorDriver) -> None:
        self._client = client
        self._driver = driver
        self._known: dict[int, Callback] = {}
        self._last = 0
        self._task: asyncio.Task[None] | None = None

    async def add(self, event: int, uuid: str | None) -> int:
        """Tell the client of an event from now on; the number of the callback."""
        if self._task is None:
            subscription = await self._driver.events()
            self._task = asyncio.create_task(self._serve(subscription))
        self._last += 1
        self._known[self._last] = Callback(number=self._last, event=event, uuid=uuid)
        return self._last

    def remove(self, number: int) -> None:
        """Raises InvalidArgument for a number that is not registered."""
        if self._known.pop(number, None) is None:
            raise InvalidArgument(f"domain event callback {number} not registered")

    def close(self) -> None:
        if self._task:
            self._task.cancel()

    async def _serve(self, subscription: Any) -> None:
        async with subscription:
            async for event in subscription:
                for callback in self._wanting(event):
                    procedure, values = _message(event)
                    self._client.tell(procedure, (callback.number, *values))

    def _wanting(self, event: DomainEvent) -> Iterator[Callback]:
        for callback in list(self._known.values()):
            if callback.event == LIFECYCLE and callback.uuid in (None, event.uuid):
                yield callback


def _message(event: DomainEvent) -> tuple[Procedure, tuple[Any, ...]]:
    domain = (event.name, event.uuid, -1)
    procedure = protocol.program("remote").by_name["domain_event_callback_lifecycle"]
    return procedure, ((domain, int(event.event), event.detail),)
