"""What everyone hears: the events of domains, with libvirt's numbers, and bounded subscriptions to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from enum import IntEnum
from typing import Self

import msgspec

BACKLOG = 1024


class Lifecycle(IntEnum):
    """virDomainEventType (include/libvirt/libvirt-domain.h)."""

    DEFINED = 0
    UNDEFINED = 1
    STARTED = 2
    SUSPENDED = 3
    RESUMED = 4
    STOPPED = 5
    SHUTDOWN = 6
    PMSUSPENDED = 7
    CRASHED = 8


#: The detail words of each lifecycle event, by libvirt's number.
DETAILS: dict[Lifecycle, tuple[str, ...]] = {
    Lifecycle.DEFINED: ("added", "updated", "renamed", "from snapshot"),
    Lifecycle.UNDEFINED: ("removed", "renamed"),
    Lifecycle.STARTED: ("booted", "migrated", "restored", "from snapshot", "wakeup"),
    Lifecycle.SUSPENDED: (
        "paused",
        "migrated",
        "io error",
        "watchdog",
        "restored",
        "from snapshot",
        "api error",
        "postcopy",
        "postcopy failed",
    ),
    Lifecycle.RESUMED: ("unpaused", "migrated", "from snapshot", "postcopy", "postcopy failed"),
    Lifecycle.STOPPED: ("shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from snapshot"),
    Lifecycle.SHUTDOWN: ("finished", "guest", "host"),
    Lifecycle.PMSUSPENDED: ("memory", "disk"),
    Lifecycle.CRASHED: ("panicked", "crashloaded"),
}


class DomainEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to one domain.

    ``seq`` grows by one with each event of a store, ``time`` is seconds since the epoch, ``detail`` is
    libvirt's detail number for ``event``.
    """

    uuid: str
    name: str
    event: Lifecycle
    detail: int = 0
    seq: int = 0
    time: float = 0.0

    @property
    def detail_name(self) -> str:
        """The detail in words: "booted", "destroyed", ..."""
        words = DETAILS[self.event]
        return words[self.detail] if self.detail < len(words) else str(self.detail)


class Subscription:
    """One reader's events.  A reader that lags BACKLOG events loses the oldest, and can see how many."""

    def __init__(self, closed: Callable[[Subscription], None]) -> None:
        self._queue: asyncio.Queue[DomainEvent | None] = asyncio.Queue(BACKLOG)
        self._closed: Callable[[Subscription], None] | None = closed
        self.lost = 0

    def put(self, event: DomainEvent | None) -> None:
        """Hand the reader an event; None ends its loop."""
        if self._queue.full():
            self._queue.get_nowait()
            self.lost += 1
        self._queue.put_nowait(event)

    def close(self) -> None:
        """End the reader's loop; nothing more comes."""
        if self._closed:
            self._closed(self)
            self._closed = None
            self.put(None)

    def __aiter__(self) -> AsyncIterator[DomainEvent]:
        return self

    async def __anext__(self) -> DomainEvent:
        event = await self._queue.get()
        if event is None:
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
