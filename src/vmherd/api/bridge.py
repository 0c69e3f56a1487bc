"""From blocking calls to coroutines: one event loop in a thread of its own, for the whole process."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any, NoReturn, Self, TypeVar

from vmherd.driver.types import Console as AsyncConsole
from vmherd.errors import InvalidState, NotResponding

T = TypeVar("T")

#: Seconds that a call which was interrupted gets to clean up.
_CLEANUP = 10.0


class Loop:
    """The event loop of this process and its thread, started at the first call.

    It belongs to one process: threads do not come along into a child made by fork, and what was opened here
    stays open here, so a child must not even close it.
    """

    def __init__(self) -> None:
        # One thread may enter twice: the garbage collector ends iterations wherever it happens to run.
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended = False

    @property
    def inherited(self) -> bool:
        """Whether it is that of a parent process."""
        return self is not _current

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Do ``coroutine`` and return what it does; an interrupted call is cancelled and cleans up.

        Raises InvalidState inside a running event loop, which it would block, and in a child process.
        """
        if problem := self._problem():
            coroutine.close()
            raise problem
        over = threading.Event()

        async def work() -> T:
            try:
                return await coroutine
            finally:
                over.set()

        future = asyncio.run_coroutine_threadsafe(work(), self._running())
        try:
            return future.result()
        except BaseException:
            if future.cancel():
                over.wait(_CLEANUP)
            if self._ended:
                _leave()
            raise

    def iterate(self, source: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        """The items of an asynchronous generator as they come; leaving the loop closes it."""

        async def step() -> T:
            return await anext(source)

        try:
            while True:
                try:
                    item = self.run(step())
                except StopAsyncIteration:
                    return
                yield item
        finally:
            self._close(source)

    def end(self) -> None:
        """Cancel what still runs, let it clean up, and take no more calls."""
        with self._lock:
            self._ended = True
        if self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_CLEANUP)

    def _problem(self) -> InvalidState | None:
        if self.inherited:
            return InvalidState(
                "a connection of the parent process", hint="call vmherd.connect in the child process, after the fork"
            )
        if _inside_event_loop():
            return InvalidState("a blocking call inside an event loop", hint="use vmherd.aconnect there, and await")
        return None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._ended:
                _leave()
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=[self._loop], name="vmherd", daemon=True)
                self._thread.start()
            return self._loop

    def _close(self, source: AsyncGenerator[T, None]) -> None:
        """End an iteration, also where the garbage collector does it: in an event loop, in a child, at exit."""
        if self.inherited or self._ended:
            return
        closing = asyncio.run_coroutine_threadsafe(source.aclose(), self._running())
        if not _inside_event_loop():
            closing.result(_CLEANUP)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Serve calls until the loop is stopped; what still runs then is cancelled and awaited."""
    with asyncio.Runner(loop_factory=lambda: loop):
        loop.run_forever()


def _inside_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _leave() -> NoReturn:
    """Answer a call that comes while Python exits.

    Beside the main thread only daemon threads are left, which stop without a word, wherever they are.
    """
    if threading.current_thread() is not threading.main_thread():
        threading.Event().wait()
    raise InvalidState("a blocking call while Python exits", hint="close connections before: use them in a 'with'")


_current = Loop()


def loop() -> Loop:
    """The loop of this process."""
    return _current


def _after_fork() -> None:
    global _current
    _current = Loop()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(lambda: _current.end())


class Console:
    """Both directions of a guest's character device.  Use it as a context manager, or ``close`` it."""

    def __init__(self, wrapped: AsyncConsole) -> None:
        self._wrapped = wrapped
        self._loop = loop()
        self._readers: set[asyncio.Task[bytes]] = set()
        self._closed = False

    def read(self, size: int = 65536, *, timeout: float | None = None) -> bytes:
        """At least one byte, at most ``size``; b"" when the guest, or another thread here, closed the line.

        Raises NotResponding if the guest says nothing for ``timeout`` seconds.
        """
        return self._loop.run(self._read(size, timeout))

    def write(self, data: bytes) -> None:
        """Send all of ``data``."""
        self._loop.run(self._wrapped.write(data))

    def close(self) -> None:
        """Give the line back.  The guest runs on."""
        self._loop.run(self._close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._loop.inherited:
            self.close()

    async def _read(self, size: int, timeout: float | None) -> bytes:
        if self._closed:
            return b""
        reader = asyncio.ensure_future(self._wrapped.read(size))
        self._readers.add(reader)
        try:
            await asyncio.wait([reader], timeout=timeout)
        finally:
            silent = reader.cancel()
            self._readers.discard(reader)
        if silent:
            raise NotResponding(f"the guest said nothing for {timeout:g} s")
        return b"" if reader.cancelled() else reader.result()

    async def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for reader in self._readers:
            reader.cancel()
        if self._readers:
            await asyncio.wait(self._readers)  # they look at the descriptor until they have ended
        await self._wrapped.close()
