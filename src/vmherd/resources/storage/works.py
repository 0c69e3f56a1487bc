"""What takes long on a volume: in a thread of its own, seen by all processes, with progress, and one at a time."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from vmherd.driver.types import JobInfo
from vmherd.errors import InvalidState
from vmherd.state.jobs import Job, Jobs

P = ParamSpec("P")
T = TypeVar("T")

#: How the names of files begin that are no volumes yet.
UNFINISHED = ".vmherd-new-"
#: Seconds between two notes of how far it is.
_INTERVAL = 0.1


class _Stopped(Exception):
    """The thread noticed that nobody wants its work any more."""


class Work:
    """What is being done to a volume.

    ``total`` is how many bytes there are to do, 0 where nobody knows; ``hidden`` the name of a file that is being
    made.
    """

    def __init__(self, job: Job, hidden: str) -> None:
        self._job = job
        self.hidden = hidden
        self._stop = threading.Event()
        self._told = 0.0
        self.total = 0

    def tick(self, done: int) -> None:
        """So many bytes are done; raises in a thread whose work is not wanted any more."""
        if self._stop.is_set():
            raise _Stopped
        now = time.monotonic()
        if self.total and now - self._told > _INTERVAL:
            self._told = now
            self._job.count(min(done, self.total), self.total)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it in a thread.  When this is cancelled, it waits until the thread has noticed at its next ``tick``."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                result = function(*args, **kwargs)
            except BaseException as problem:  # noqa: BLE001  it is raised where it is waited for
                loop.call_soon_threadsafe(done.set_exception, problem)
            else:
                loop.call_soon_threadsafe(done.set_result, result)

        threading.Thread(target=work, daemon=True, name="volume").start()
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            self._stop.set()
            while not done.done():
                await _undisturbed(done)
            done.exception()
            raise


async def _undisturbed(done: asyncio.Future[T]) -> None:
    try:
        await asyncio.wait((done,))
    except asyncio.CancelledError:
        return  # it is cancelled already


class Works:
    """The works on all volumes, whose lock files are in ``folder``.

    ``prefix`` is how the names of their hidden files begin: other hosts, and other users, may share the pool.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._jobs = Jobs(folder, noun="volume", remember=False)
        whose = f"{_host()} {folder}"
        self.prefix = f"{UNFINISHED}{hashlib.sha256(whose.encode()).hexdigest()[:8]}-"

    @staticmethod
    def key(pool: str, name: str) -> str:
        """What stands for the volume of that name in the pool with that UUID."""
        return f"{pool}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"

    @asynccontextmanager
    async def hold(self, pool: str, name: str, operation: str) -> AsyncIterator[Work]:
        """Do something to a volume; raises Busy while something is done to it already, Cancelled after ``abort``."""
        key = self.key(pool, name)
        async with self._jobs.hold(key, operation, patience=0, title=repr(name)) as job:
            yield Work(job, self.prefix + key)

    async def begin(self, pool: str, name: str, operation: str) -> Held:
        """As ``hold``, for what lasts longer than the call that begins it."""
        ready: asyncio.Future[Work] = asyncio.get_running_loop().create_future()
        over = asyncio.Event()

        async def keep() -> None:
            try:
                async with self.hold(pool, name, operation) as work:
                    ready.set_result(work)
                    await over.wait()
            except BaseException as problem:
                if ready.done():
                    raise
                ready.set_exception(problem)

        task = asyncio.create_task(keep())
        try:
            return Held(await asyncio.shield(ready), task, over)
        except asyncio.CancelledError:
            over.set()
            raise

    def info(self, pool: str, name: str) -> JobInfo | None:
        """What is done to a volume now, whoever does it."""
        return self._jobs.info(self.key(pool, name))

    def abort(self, pool: str, name: str) -> None:
        """Ask for an end of it; raises InvalidState if there is nothing."""
        self._jobs.abort(self.key(pool, name))

    def require_none(self, pool: str, title: str) -> None:
        """Raise InvalidState while something is done to any volume of a pool."""
        if any(self._jobs.held(each.stem) for each in self._folder.glob(f"{pool}-*.job")):
            raise InvalidState(f"pool '{title}' has asynchronous jobs running.", hint="wait for them, or end them")

    @asynccontextmanager
    async def left_behind(self, key: str) -> AsyncIterator[None]:
        """Tidy up after a work whose process has died; raises Busy where it goes on."""
        async with self._jobs.hold(key, "tidy up", patience=0):
            yield


def _host() -> str:
    """What tells this host from others."""
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError:
        return os.uname().nodename


class Held:
    """A work that goes on until ``end``."""

    def __init__(self, work: Work, task: asyncio.Task[None], over: asyncio.Event) -> None:
        self.work = work
        self._task = task
        self._over = over

    def check(self) -> None:
        """Raise Cancelled if somebody has aborted it."""
        if self._task.done():
            self._task.result()

    async def end(self) -> None:
        """Let others have the volume."""
        self._over.set()
        await asyncio.wait((self._task,))
        if self._task.done() and not self._task.cancelled():
            self._task.exception()  # whoever works on it was told by `check`
