"""Events of QEMU's monitor, as they are, to whom they were promised.

Source: virConnectDomainQemuMonitorEventRegister of libvirt.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from vmherd.daemon.wire.flags import DomainRef, only
from vmherd.errors import DomainNotFound, InvalidArgument
from vmherd.events import DomainEvent, QemuMonitorEvent, Subscription
from vmherd.rpc import protocol

if TYPE_CHECKING:
    from vmherd.daemon.wire.client import Client
    from vmherd.driver.hypervisor import HypervisorDriver

_REGEX, _NOCASE = 1, 2
#: More than any event's name is long; a pattern takes time.
_LONGEST = 256


class MonitorCallbacks:
    """What one client wants to hear of QEMU's monitors, and the task that tells it."""

    def __init__(self, client: Client, driver: HypervisorDriver) -> None:
        self._client = client
        self._driver = driver
        self._wanted: dict[int, tuple[Callable[[str], bool], str | None]] = {}
        self._numbers = itertools.count(1)
        self._task: asyncio.Task[None] | None = None

    async def add(self, event: str | None, uuid: str | None, flags: int) -> int:
        """Tell the client of events whose name is ``event``, None: of any; the number of the callback.

        Raises InvalidArgument for flags or a pattern that cannot be.
        """
        only(flags, _REGEX | _NOCASE)
        fits = _fitting(event, flags)
        if self._task is None:
            subscription = await self._driver.events(QemuMonitorEvent)
            self._task = asyncio.create_task(self._serve(subscription))
        number = next(self._numbers)
        self._wanted[number] = (fits, uuid)
        return number

    def remove(self, number: int) -> None:
        """Raises InvalidArgument for a number that is not registered."""
        if self._wanted.pop(number, None) is None:
            raise InvalidArgument(f"qemu monitor event callback {number} not registered")

    def close(self) -> None:
        if self._task:
            self._task.cancel()

    async def _serve(self, subscription: Subscription[DomainEvent]) -> None:
        async with subscription:
            async for event in subscription:
                assert isinstance(event, QemuMonitorEvent)  # no others were asked for
                if self._client.holder.sees(event.name, event.uuid):
                    await self._tell(event)

    async def _tell(self, event: QemuMonitorEvent) -> None:
        numbers = [
            number for number, (fits, uuid) in self._wanted.items() if uuid in (None, event.uuid) and fits(event.event)
        ]
        if not numbers:
            return
        domain = await self._reference(event)
        message = (domain, event.event, event.seconds, event.micros, event.details or None)
        for number in numbers:
            self._client.tell(protocol.program("qemu").by_name["domain_monitor_event"], (number, *message))

    async def _reference(self, event: QemuMonitorEvent) -> DomainRef:
        try:
            number = (await self._driver.domain_find(event.uuid)).id
        except DomainNotFound:  # it is gone
            number = None
        return DomainRef(event.name, event.uuid, -1 if number is None else number)


def _fitting(event: str | None, flags: int) -> Callable[[str], bool]:
    if event is None:
        return lambda _: True
    if len(event) > _LONGEST:
        raise InvalidArgument(f"the name of an event has at most {_LONGEST} characters")
    pattern = event if flags & _REGEX else f"^{re.escape(event)}$"
    try:
        compiled = re.compile(pattern, re.IGNORECASE if flags & _NOCASE else 0)
    except re.error as problem:
        raise InvalidArgument(f"{event!r} is no regular expression: {problem}") from None
    return lambda name: compiled.search(name) is not None
