"""Jobs: one per domain, seen and ended from other processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vmherd.errors import Busy, Cancelled, InvalidState
from vmherd.state.jobs import Jobs

UUID = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path / "jobs")


async def test_a_second_job_waits_for_the_first(jobs: Jobs) -> None:
    order: list[str] = []

    async def work(name: str) -> None:
        async with jobs.hold(UUID, name):
            order.append(f"{name} in")
            await asyncio.sleep(0.05)
            order.append(f"{name} out")

    await asyncio.gather(work("a"), work("b"))
    assert [order[0][2:], order[1][2:], order[2][2:], order[3][2:]] == ["in", "out", "in", "out"]


async def test_jobs_of_different_domains_run_side_by_side(jobs: Jobs) -> None:
    async with jobs.hold(UUID, "a"), jobs.hold(OTHER, "b", patience=0):
        assert jobs.held(UUID)
        assert jobs.held(OTHER)


async def test_impatience_names_the_job_in_the_way(jobs: Jobs) -> None:
    async with jobs.hold(UUID, "migrate"):
        with pytest.raises(Busy, match="'migrate'"):
            async with jobs.hold(UUID, "start", patience=0.05):
                pass


async def test_everyone_sees_operation_and_progress(jobs: Jobs, tmp_path: Path) -> None:
    async with jobs.hold(UUID, "copy") as job:
        job.progress(0.25)
        info = Jobs(tmp_path / "jobs").info(UUID)
        assert info is not None
        assert (info.operation, info.progress, info.pid) == ("copy", 0.25, os.getpid())
        job.progress(None)
    assert jobs.info(UUID) is None


async def test_abort_from_elsewhere_cancels_the_work(jobs: Jobs, tmp_path: Path) -> None:
    cleaned = False
    with pytest.raises(Cancelled, match="'copy'"):
        async with jobs.hold(UUID, "copy"):
            Jobs(tmp_path / "jobs").abort(UUID)
            try:
                await asyncio.sleep(30)
            finally:
                cleaned = True
    assert cleaned
    async with jobs.hold(UUID, "next", patience=0):  # an old request to abort does not hit it
        await asyncio.sleep(0.15)


async def test_an_ordinary_cancel_stays_one(jobs: Jobs) -> None:
    async def work() -> None:
        async with jobs.hold(UUID, "copy"):
            await asyncio.sleep(30)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not jobs.held(UUID)


def test_nothing_to_abort_is_an_error(jobs: Jobs) -> None:
    with pytest.raises(InvalidState):
        jobs.abort(UUID)


async def test_a_job_ends_with_its_process(jobs: Jobs, tmp_path: Path) -> None:
    code = (
        "import asyncio; from pathlib import Path; from vmherd.state.jobs import Jobs\n"
        "async def main():\n"
        f"    async with Jobs(Path({str(tmp_path / 'jobs')!r})).hold({UUID!r}, 'start'):\n"
        "        print('held', flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        info = jobs.info(UUID)
        assert info is not None
        assert info.pid == holder.pid
        os.kill(holder.pid, signal.SIGKILL)
    assert jobs.info(UUID) is None


async def test_a_job_leaves_no_file_and_those_who_waited_come_one_by_one(jobs: Jobs, tmp_path: Path) -> None:
    async with jobs.hold(UUID, "first"):
        waiting = [asyncio.create_task(_hold(jobs, "second")) for _ in range(3)]
        await asyncio.sleep(0.05)
    await asyncio.gather(*waiting)
    assert not list(tmp_path.rglob("*.job"))
    async with jobs.hold(UUID, "third", patience=0):
        with pytest.raises(Busy):
            await _hold(jobs, "fourth", patience=0)


async def _hold(jobs: Jobs, operation: str, *, patience: float = 5) -> None:
    async with jobs.hold(UUID, operation, patience=patience):
        pass
