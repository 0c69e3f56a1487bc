"""Events over the wire: one callback for each kind, while anybody here listens."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from vmherd.errors import InvalidArgument, NotSupported, VmherdError
from vmherd.events import DomainEvent, EventId, QemuMonitorEvent, Subscription
from vmherd.remote.connection import RemoteConnection
from vmherd.rpc.events import BY_PROCEDURE, SHAPES
from vmherd.rpc.protocol import Procedure

log = logging.getLogger("vmherd.remote")

#: Older ways to tell what another kind tells as well, and more of it.
_TWICE = (EventId.IO_ERROR, EventId.BLOCK_JOB)


class RemoteEvents(RemoteConnection):
    """Callbacks on the other side for subscriptions here."""

    _callbacks: Sequence[tuple[str, int]] = ()
    _turn: asyncio.Lock | None = None

    async def events(self, *wanted: type[DomainEvent]) -> Subscription[DomainEvent]:
        if self._turn is None:
            self._turn = asyncio.Lock()
        subscription: Subscription[DomainEvent] = Subscription(self._unsubscribe, wanted)
        self._subscriptions.append(subscription)
        try:
            async with self._turn:
                await self._listen(with_monitor=QemuMonitorEvent in wanted)
        except BaseException:
            subscription.close()
            raise
        if self._gone:
            subscription.close()
        return subscription

    async def _listen(self, *, with_monitor: bool) -> None:
        """Register for every kind that the other side has, once; for those of QEMU's monitor where asked for."""
        known = {name for name, _ in self._callbacks}
        if "domain" not in known:
            kinds = [number for number in SHAPES if number not in _TWICE]
            found = await asyncio.gather(*(self._registered(number) for number in kinds))
            self._callbacks = [*self._callbacks, *(("domain", number) for number in found if number is not None)]
        if with_monitor and "monitor" not in known:
            name = "connect_domain_monitor_event_register"
            number = await self._call(name, None, None, 0, program="qemu")
            self._callbacks = [*self._callbacks, ("monitor", number)]

    async def _registered(self, event: EventId) -> int | None:
        try:
            return int(await self._call("connect_domain_event_callback_register_any", event, None))
        except (NotSupported, InvalidArgument):
            return None  # an older daemon has fewer kinds
        except VmherdError:
            if event is EventId.LIFECYCLE:
                raise
            return None

    def _unsubscribe(self, subscription: Subscription[DomainEvent]) -> None:
        self._subscriptions.remove(subscription)
        if not self._subscriptions and not self._gone and self._callbacks:
            callbacks, self._callbacks = self._callbacks, ()
            self.afterwards(self._deregister(callbacks))

    async def _deregister(self, callbacks: Sequence[tuple[str, int]]) -> None:
        for kind, number in callbacks:
            try:
                if kind == "domain":
                    await self._call("connect_domain_event_callback_deregister_any", number)
                else:
                    await self._call("connect_domain_monitor_event_deregister", number, program="qemu")
            except VmherdError as problem:
                log.debug("cannot deregister callback %d: %s", number, problem)

    def _told(self, procedure: Procedure, values: Any) -> None:
        try:
            event = self._event(procedure, values)
        except msgspec.ValidationError as problem:
            log.warning("an event that means nothing here: %s: %s", procedure.name, problem)
            return
        if event is None:
            return
        event = replace(event, time=time.time())
        for subscription in self._subscriptions:
            if subscription.wants(event):
                subscription.put(event)

    def _event(self, procedure: Procedure, values: Any) -> DomainEvent | None:
        if procedure.program.name == "qemu":
            return _monitor_event(values)
        shape = BY_PROCEDURE.get(procedure.number)
        return shape.parse(values)[1] if shape else None


def _monitor_event(values: Any) -> QemuMonitorEvent:
    return QemuMonitorEvent(
        uuid=values.dom.uuid,
        name=values.dom.name,
        event=values.event,
        seconds=values.seconds,
        micros=values.micros,
        details=values.details or "",
    )
