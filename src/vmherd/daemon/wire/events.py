"""What happens, to whom it was promised: the callbacks of a client, by number."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import msgspec

from vmherd.daemon.wire.flags import DomainRef
from vmherd.errors import DomainNotFound, InvalidArgument
from vmherd.events import DomainEvent, EventId, Subscription
from vmherd.rpc.events import SHAPES

if TYPE_CHECKING:
    from vmherd.daemon.wire.client import Client
    from vmherd.driver.hypervisor import HypervisorDriver


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """``uuid`` is the one domain it is about, None: all of them.

    ``old`` ones were registered without asking for a number, and are told without it.
    """

    number: int
    event: EventId
    uuid: str | None = None
    old: bool = False


class Callbacks:
    """The callbacks that one client has registered for domains, and the task that serves them."""

    def __init__(self, client: Client, driver: HypervisorDriver) -> None:
        self._client = client
        self._driver = driver
        self._known: dict[int, Callback] = {}
        self._numbers = itertools.count(1)
        self._task: asyncio.Task[None] | None = None

    async def add(self, event: int, uuid: str | None = None, *, old: bool = False) -> int:
        """Tell the client of an event from now on; the number of the callback.

        Raises InvalidArgument for an event there is not.
        """
        if event not in SHAPES:
            raise InvalidArgument(f"unsupported event ID {event}")
        if self._task is None:
            subscription = await self._driver.events()
            self._task = asyncio.create_task(self._serve(subscription))
        number = next(self._numbers)
        self._known[number] = Callback(number=number, event=EventId(event), uuid=uuid, old=old)
        return number

    def remove(self, number: int) -> None:
        """Raises InvalidArgument for a number that is not registered."""
        if self._known.pop(number, None) is None:
            raise InvalidArgument(f"domain event callback {number} not registered")

    def remove_old(self, event: int) -> None:
        """Remove what was registered without a number; InvalidArgument if nothing was."""
        for callback in self._known.values():
            if callback.old and callback.event == event:
                self.remove(callback.number)
                return
        raise InvalidArgument(f"domain event {event} not registered")

    def close(self) -> None:
        if self._task:
            self._task.cancel()

    async def _serve(self, subscription: Subscription[DomainEvent]) -> None:
        async with subscription:
            async for event in subscription:
                if not self._client.holder.sees(event.name, event.uuid):
                    continue
                if wanting := [callback for callback in self._known.values() if _wants(callback, event)]:
                    domain = await self._reference(event)
                    for callback in wanting:
                        self._tell(callback, event, domain)

    async def _reference(self, event: DomainEvent) -> DomainRef:
        try:
            number = (await self._driver.domain_find(event.uuid)).id
        except DomainNotFound:  # the event is that it is gone
            number = None
        return DomainRef(event.name, event.uuid, -1 if number is None else number)

    def _tell(self, callback: Callback, event: DomainEvent, domain: DomainRef) -> None:
        shape = SHAPES[callback.event]
        message = shape.message(event, domain)
        if callback.old and shape.broadcast:
            self._client.tell(shape.broadcast, message)
        else:
            self._client.tell(shape.procedure, shape.numbered(callback.number, message))


def _wants(callback: Callback, event: DomainEvent) -> bool:
    return callback.event in event.ids and callback.uuid in (None, event.uuid)
