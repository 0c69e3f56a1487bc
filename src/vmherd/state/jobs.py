"""One job per domain at a time, across all processes: visible, with progress, and cancellable.

A job is an exclusive lock on a small file that says what goes on.  The kernel drops the lock when its holder
dies, so no job outlives its process.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from vmherd.driver.types import JobInfo
from vmherd.errors import Busy, Cancelled, InvalidState
from vmherd.util.files import on_host, write_atomically

#: Seconds to wait for another job to end; libvirt's QEMU driver waits as long (QEMU_JOB_WAIT_TIME).
PATIENCE = 30.0
_POLL = 0.02


class Job:
    """A job that is being done.  ``progress`` tells how far it is."""

    def __init__(self, fd: int, info: JobInfo) -> None:
        self._fd = fd
        self._info = info
        self._write()

    def progress(self, done: float | None) -> None:
        """``done`` from 0 to 1, None where it cannot be told."""
        self._info = msgspec.structs.replace(self._info, progress=done)
        self._write()

    def count(self, processed: int, total: int) -> None:
        """``processed`` of ``total`` bytes are done."""
        done = processed / total if total else None
        self._info = msgspec.structs.replace(self._info, progress=done, processed=processed, total=total)
        self._write()

    def _write(self) -> None:
        text = msgspec.json.encode(self._info)
        os.pwrite(self._fd, text, 0)
        os.ftruncate(self._fd, len(text))


class EndedJob(msgspec.Struct, frozen=True):
    """A job that was done, and how long it took."""

    info: JobInfo
    seconds: float


class Jobs:
    """The jobs of all domains whose lock files are in ``folder``."""

    def __init__(
        self,
        folder: Path,
        done: Callable[[str, EndedJob], None] = lambda *_: None,
        *,
        noun: str = "domain",
        remember: bool = True,
    ) -> None:
        """``done`` hears of each job that counted what it did, with the UUID, while it still holds its domain.

        ``noun`` is what has jobs here; ``remember`` keeps how the last one of each went, see ``ended``.
        """
        self._folder = folder
        self._done = done
        self._noun = noun
        self._remember = remember
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @asynccontextmanager
    async def hold(
        self, uuid: str, operation: str, *, patience: float = PATIENCE, title: str = ""
    ) -> AsyncIterator[Job]:
        """Do something to a domain that nothing else may happen to meanwhile; ``title`` is what people call it.

        Raises Busy after ``patience`` seconds, naming the job that holds the domain; Cancelled, in place of
        CancelledError, where ``abort`` ended it.
        """
        with on_host(f"begin {operation!r}"):
            fd = await self._lock(uuid, patience, title or uuid)
        try:
            with on_host(f"begin {operation!r}"):
                self._abort_path(uuid).unlink(missing_ok=True)
                job = Job(fd, JobInfo(operation=operation, started=time.time(), progress=None, pid=os.getpid()))
            async with self._abortable(uuid, operation):
                yield job
            self._record(uuid, job)
        finally:
            self._path(uuid).unlink(missing_ok=True)  # first: whoever waits for the lock sees that it is void
            os.close(fd)

    async def _lock(self, uuid: str, patience: float, title: str) -> int:
        deadline = time.monotonic() + patience
        while (fd := _try_lock(self._path(uuid))) is None:
            if time.monotonic() >= deadline:
                holder = self.info(uuid)
                doing = f"{holder.operation!r} by process {holder.pid}" if holder else "another job"
                hint = "wait for it, or end it" + (" with 'vmherd abort'" if self._noun == "domain" else "")
                raise Busy(f"{self._noun} {title} is busy with {doing}", hint=hint)
            await asyncio.sleep(_POLL)
        return fd

    @asynccontextmanager
    async def _abortable(self, uuid: str, operation: str) -> AsyncIterator[None]:
        task = asyncio.current_task()
        assert task is not None  # a coroutine always runs in one
        aborted = False

        async def watch() -> None:
            nonlocal aborted
            # A file, since the wish comes from another process; a tenth of a second is soon enough for a person.
            while not self._abort_path(uuid).exists():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            aborted = True
            task.cancel()

        watcher = asyncio.create_task(watch())
        try:
            yield
        except asyncio.CancelledError:
            if not aborted:
                raise
            task.uncancel()
            raise Cancelled(f"{operation!r} was aborted") from None
        finally:
            watcher.cancel()
            self._abort_path(uuid).unlink(missing_ok=True)

    def held(self, uuid: str) -> bool:
        """Whether a job holds a domain now."""
        return self._look(uuid) is not None

    def info(self, uuid: str) -> JobInfo | None:
        """The job that holds a domain now, whoever does it."""
        text = self._look(uuid)
        if text is None:
            return None
        try:
            return msgspec.json.decode(text, type=JobInfo)
        except msgspec.DecodeError:  # it is just being written
            return JobInfo(operation="unknown", started=time.time())

    def _look(self, uuid: str) -> bytes | None:
        try:
            fd = os.open(self._path(uuid), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return os.pread(fd, 4096, 0)
        finally:
            os.close(fd)
        return None

    def _record(self, uuid: str, job: Job) -> None:
        """Note the end of a job that counted what it did, for whoever asks how it went."""
        if job._info.total and self._remember:
            ended = EndedJob(job._info, time.time() - job._info.started)
            self._done(uuid, ended)
            with suppress(OSError):  # it is done all the same
                write_atomically(self._ended_path(uuid), msgspec.json.encode(ended))

    def ended(self, uuid: str, *, keep: bool = False) -> EndedJob | None:
        """The last job that counted what it did; told once, unless it is to be kept."""
        path = self._ended_path(uuid)
        try:
            ended = msgspec.json.decode(path.read_bytes(), type=EndedJob)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        if not keep:
            path.unlink(missing_ok=True)
        return ended

    def abort(self, uuid: str) -> None:
        """Ask the job of a domain to stop; raises InvalidState if there is none."""
        if not self.held(uuid):
            raise InvalidState(f"no job is running for {self._noun} {uuid}")
        self._abort_path(uuid).touch()

    def _path(self, uuid: str) -> Path:
        return self._folder / f"{uuid}.job"

    def _ended_path(self, uuid: str) -> Path:
        return self._folder / f"{uuid}.ended"

    def _abort_path(self, uuid: str) -> Path:
        return self._folder / f"{uuid}.abort"


def _try_lock(path: Path) -> int | None:
    """The locked descriptor of the file that is at ``path`` now, or None while somebody else has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_nlink:
            return fd
    except BlockingIOError:
        pass
    # Either it is taken, or its holder removed it before it let go: a lock on a removed file keeps nobody out.
    os.close(fd)
    return None
