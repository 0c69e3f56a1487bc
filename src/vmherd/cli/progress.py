"""Signs of life for whatever takes over a second; silent where nobody watches."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from vmherd.api.aio import Domain
from vmherd.driver.types import JobInfo

if TYPE_CHECKING:
    from rich.progress import Progress

#: Seconds before the first sign: quick things stay quiet.
_PATIENCE = 0.5
#: Seconds between two looks at a job.
_LOOK = 0.2


@asynccontextmanager
async def working(what: str) -> AsyncIterator[None]:
    """Show that ``what`` goes on and for how long, on standard error if it is a terminal, from half a second on."""
    if not sys.stderr.isatty():
        yield
        return
    spinner = asyncio.create_task(_spin(what))
    try:
        yield
    finally:
        spinner.cancel()
        await asyncio.gather(spinner, return_exceptions=True)


async def _spin(what: str) -> None:
    await asyncio.sleep(_PATIENCE)
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task(what, total=None)
        await asyncio.Event().wait()


@asynccontextmanager
async def job_of(domain: Domain | None, what: str) -> AsyncIterator[None]:
    """Show how far the job of a guest is, as ``working`` does; without a guest only that something goes on."""
    async with following(domain.job if domain else None, what):
        yield


@asynccontextmanager
async def following(job: Callable[[], Awaitable[JobInfo | None]] | None, what: str) -> AsyncIterator[None]:
    """Show how far a job is, as ``working`` does; where there is none to ask for, only that something goes on."""
    if job is None or not sys.stderr.isatty():
        async with working(what):
            yield
        return
    follower = asyncio.create_task(_follow(job, what))
    try:
        yield
    finally:
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)


async def _follow(job: Callable[[], Awaitable[JobInfo | None]], what: str) -> None:
    await asyncio.sleep(_PATIENCE)
    with _bar() as progress:
        task = progress.add_task(what, total=None)
        while True:
            found = await job()
            if found and found.total:
                progress.update(task, completed=found.processed, total=found.total)
            await asyncio.sleep(_LOOK)


def _bar() -> Progress:
    """How far something is that counts bytes."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    description = TextColumn("{task.description}")
    return Progress(description, *columns, console=Console(stderr=True), transient=True)


@contextmanager
def transfer(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far a transfer is; what this yields is told how many bytes are done, of how many."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with _bar() as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@asynccontextmanager
async def steps(title: str) -> AsyncIterator[Callable[[str], None]]:
    """Show work that goes on in named steps; each is told by calling what this yields.

    On a terminal the current step is shown while it lasts; elsewhere each step is a line on standard error.
    """
    if not sys.stderr.isatty():
        yield lambda step: print(f"{title}: {step}", file=sys.stderr, flush=True)
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda step: progress.update(task, description=f"{title}: {step}")
