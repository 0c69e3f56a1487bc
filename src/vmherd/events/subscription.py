"""One reader's events: a queue that has an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Generic, Self, TypeVar

from vmherd.events.base import Event
from vmherd.events.domain import QemuMonitorEvent

E = TypeVar("E", bound=Event)

BACKLOG = 1024


class Subscription(Generic[E]):
    """The events of the classes ``wanted``; all but those of QEMU's monitor where none is named.

    A reader that lags BACKLOG events loses the oldest, and can see how many.
    """

    def __init__(self, closed: Callable[[Subscription[E]], None], wanted: tuple[type[E], ...] = ()) -> None:
        self._queue: asyncio.Queue[E | None] = asyncio.Queue(BACKLOG)
        self._closed: Callable[[Subscription[E]], None] | None = closed
        self._wanted = wanted
        self.lost = 0

    def wants(self, event: E) -> bool:
        """Whether the reader asked for events of this class."""
        if self._wanted:
            return isinstance(event, self._wanted)
        return not isinstance(event, QemuMonitorEvent)

    def put(self, event: E | None) -> None:
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

    def __aiter__(self) -> AsyncIterator[E]:
        return self

    async def __anext__(self) -> E:
        event = await self._queue.get()
        if event is None:
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
