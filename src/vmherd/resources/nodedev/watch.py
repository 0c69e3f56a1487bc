"""Tells subscribers what becomes of devices: the kernel's events say when to look, two looks say what changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from vmherd.errors import VmherdError
from vmherd.events import (
    DeviceLifecycle,
    NodeDeviceEvent,
    NodeDeviceUpdateEvent,
    ResourceEvent,
    Subscription,
)
from vmherd.resources.nodedev.uevents import Monitor
from vmherd.resources.nodedev.view import View
from vmherd.state.notify import Listener

log = logging.getLogger("vmherd.nodedev")

#: Seconds in which devices come together: a card, its functions, their disks.
_SETTLE = 0.05


class Watch:
    """The subscribers, and a task that looks after devices while there are any.

    ``folder`` is where processes tell each other of definitions; ``look`` gives a new view.
    """

    def __init__(self, folder: Path, monitor: Monitor | None, look: Callable[[], Awaitable[View]]) -> None:
        self._folder = folder
        self._monitor = monitor
        self._look = look
        self._stale = False
        self._subscriptions: list[Subscription[ResourceEvent]] = []
        self._listener: Listener | None = None
        self._before: View | None = None
        self._changed: set[str] = set()
        self._woken = asyncio.Event()
        #: Whether the kernel told something, which comes in numbers; definitions come one by one.
        self._settling = False
        self._task: asyncio.Task[None] | None = None

    async def subscribe(self, *wanted: type[ResourceEvent]) -> Subscription[ResourceEvent]:
        if self._task is None:
            view = await self._look()
            self._changed.clear()
            self._begin(view)
        subscription: Subscription[ResourceEvent] = Subscription(self._unsubscribe, wanted)
        self._subscriptions.append(subscription)
        return subscription

    def _begin(self, view: View) -> None:
        self._before = view
        self._listener = Listener(self._folder, self._woken.set)
        if self._monitor:
            asyncio.get_running_loop().add_reader(self._monitor.socket, self._hear)
        self._task = asyncio.create_task(self._serve())

    def is_stale(self) -> bool:
        """Whether the kernel told anything since this was asked the last time."""
        self._hear()
        stale, self._stale = self._stale, False
        return stale

    def _hear(self) -> None:
        """Note what the kernel told."""
        told = list(self._monitor.heard()) if self._monitor else []
        if told:
            self._stale = self._settling = True
            self._changed |= {event.path for event in told if event and event.action not in ("add", "remove")}
            self._woken.set()

    async def _serve(self) -> None:
        while True:
            await self._woken.wait()
            if self._settling:
                await asyncio.sleep(_SETTLE)
            self._settling = False
            self._woken.clear()
            changed, self._changed = self._changed, set()
            try:
                now = await self._look()
            except VmherdError as problem:
                log.warning("cannot look after the devices of the host: %s", problem)
                continue
            assert self._before is not None  # since there is a task
            for event in _differences(self._before, now, changed):
                for subscription in self._subscriptions:
                    if subscription.wants(event):
                        subscription.put(event)
            self._before = now

    def _unsubscribe(self, subscription: Subscription[ResourceEvent]) -> None:
        self._subscriptions.remove(subscription)
        if not self._subscriptions:
            self._end()

    def _end(self) -> None:
        if self._task:
            self._task.cancel()
            self._task = None
        if self._monitor:
            asyncio.get_running_loop().remove_reader(self._monitor.socket)
        if self._listener:
            self._listener.close()
            self._listener = None

    def close(self) -> None:
        for subscription in list(self._subscriptions):
            subscription.close()


def _differences(before: View, now: View, changed: set[str]) -> list[ResourceEvent]:
    """What happened between two looks; ``changed`` are paths of devices that the kernel says are other ones."""
    running = {info.name: info for info in before.infos() if info.active}
    running_now = {info.name: info for info in now.infos() if info.active}
    events: list[ResourceEvent] = []

    def tell(names: set[str], event: DeviceLifecycle) -> None:
        events.extend(NodeDeviceEvent(name=name, event=event) for name in sorted(names))

    tell(before.defined.keys() - now.defined.keys(), DeviceLifecycle.UNDEFINED)
    tell(now.defined.keys() - before.defined.keys(), DeviceLifecycle.DEFINED)
    tell(running.keys() - running_now.keys(), DeviceLifecycle.DELETED)
    tell(running_now.keys() - running.keys(), DeviceLifecycle.CREATED)
    for name in sorted(running.keys() & running_now.keys()):
        path = now.tree.devices[name].device.path
        same = before.defined.get(name) == now.defined.get(name)
        if (path and path.removeprefix("/sys") in changed) or (name in now.defined and not same):
            events.append(NodeDeviceUpdateEvent(name=name))
    return events
