"""From blocking calls to coroutines: one event loop in a thread of its own, for the whole process."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any, Self, TypeVar

from vmherd.driver.types import Console as AsyncConsole
from vmherd.errors import InvalidState, NotResponding

T = TypeVar("T")

#: Seconds that a call which was interrupted gets to clean up.
_CLEANUP = 10.0


class _Thread:
    """The thread and its loop, started at the first call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(target=self._loop.run_forever, name="vmherd", daemon=True)
                thread.start()
                atexit.register(self._end, self._loop, thread)
            return self._loop

    def _end(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CLEANUP)


_thread = _Thread()


def _after_fork() -> None:
    """Threads do not come along into a child process: it starts its own."""
    global _thread
    _thread = _Thread()


os.register_at_fork(after_in_child=_after_fork)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Do ``coroutine`` and return what it does; an interrupted call is cancelled and cleans up.

    Raises InvalidState inside a running event loop, which it would block.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        coroutine.close()
        raise InvalidState("a blocking call inside an event loop", hint="use vmherd.aconnect there, and await")
    over = threading.Event()

    async def work() -> T:
        try:
            return await coroutine
        finally:
            over.set()

    future = asyncio.run_coroutine_threadsafe(work(), _thread.loop())
    try:
        return future.result()
    except BaseException:
        if future.cancel():
            over.wait(_CLEANUP)
        raise


def iterate(source: AsyncGenerator[T, None]) -> Iterator[T]:
    """The items of an asynchronous generator as they come; leaving the loop closes it."""

    async def step() -> T:
        return await anext(source)

    try:
        while True:
            try:
                item = run(step())
            except StopAsyncIteration:
                return
            yield item
    finally:
        run(source.aclose())


class Console:
    """Both directions of a guest's character device.  Use it as a context manager, or ``close`` it."""

    def __init__(self, wrapped: AsyncConsole) -> None:
        self._wrapped = wrapped

    def read(self, size: int = 65536, *, timeout: float | None = None) -> bytes:
        """At least one byte, at most ``size``; b"" when the guest closed the line.

        Raises NotResponding if the guest says nothing for ``timeout`` seconds.
        """

        async def work() -> bytes:
            try:
                async with asyncio.timeout(timeout):
                    return await self._wrapped.read(size)
            except TimeoutError:
                raise NotResponding(f"the guest said nothing for {timeout:g} s") from None

        return run(work())

    def write(self, data: bytes) -> None:
        """Send all of ``data``."""
        run(self._wrapped.write(data))

    def close(self) -> None:
        """Give the line back.  The guest runs on."""
        run(self._wrapped.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
