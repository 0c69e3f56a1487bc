"""Work that may block for ever, such as a look at a server of files that is gone: aside, and with a deadline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from vmherd.errors import HostError

P = ParamSpec("P")
T = TypeVar("T")

#: Threads that may hang at the same time before nothing more is tried.
_MOST = 64
_turns = threading.BoundedSemaphore(_MOST)


async def aside(patience: float, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do ``work`` in a thread of its own, which nobody waits for longer than ``patience`` seconds.

    Unlike those of asyncio's executor, one that hangs takes nobody else's place, and does not keep the program from
    ending.  Raises HostError where it takes too long, or where too many hang already; else what ``work`` raises.
    """
    if not _turns.acquire(blocking=False):
        raise HostError("too many files of this host do not answer", hint=_HINT)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work(*args, **kwargs)
        except BaseException as problem:  # noqa: BLE001 - it is raised where it is waited for
            _call(loop, _fail, done, problem)
        else:
            _call(loop, _finish, done, result)
        finally:
            _turns.release()

    threading.Thread(target=run, daemon=True, name=f"aside-{work.__name__}").start()
    try:
        async with asyncio.timeout(patience):
            return await done
    except TimeoutError:
        raise HostError(f"the host did not answer within {patience:g} s", hint=_HINT) from None


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: object) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, *args)


def _finish(done: asyncio.Future[T], result: T) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[T], problem: BaseException) -> None:
    if not done.done():
        done.set_exception(problem)


_HINT = "is a server of files gone? 'mount' shows where they come from"


async def whole(work: Coroutine[Any, Any, T]) -> T:
    """Do something to its end, also if we are cancelled meanwhile: a thread that changes things cannot be stopped."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
