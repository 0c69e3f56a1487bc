"""Processes: their names, their ends, and what they inherit."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from vmherd.util.process import (
    ProcessId,
    cpu_times,
    end,
    find_by_argument,
    identify,
    is_alive,
    resident_size,
    send_signal,
    spawn,
    wait_exit,
)


async def started(tmp_path: Path, code: str) -> ProcessId:
    """A Python process that runs ``code`` and then prints "up"."""
    out = tmp_path / "out"
    with out.open("wb") as output:
        pid = spawn([sys.executable, "-c", code], output=output.fileno())
    async with asyncio.timeout(10):
        while b"up" not in out.read_bytes():
            await asyncio.sleep(0.01)
    process = identify(pid)
    assert process is not None
    return process


SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


async def test_a_spawned_process_has_a_session_of_its_own_and_nothing_on_stdin(tmp_path: Path) -> None:
    process = await started(tmp_path, f"import sys; assert sys.stdin.read() == ''; {SLEEP}")
    assert os.getsid(process.pid) == process.pid
    assert await end(process)


async def test_a_pid_used_again_is_another_process(tmp_path: Path) -> None:
    process = await started(tmp_path, SLEEP)
    impostor = ProcessId(process.pid, process.started - 1, process.boot)
    assert is_alive(process)
    assert not is_alive(impostor)
    assert await end(impostor)
    assert is_alive(process), "the process now at that pid was hit"
    assert await end(process)
    assert not is_alive(process)


async def test_a_stubborn_process_is_killed_only_by_force(tmp_path: Path) -> None:
    process = await started(tmp_path, STUBBORN)
    assert not await end(process, patience=0.2, force=False)
    assert is_alive(process)
    assert await end(process, patience=0.2)
    assert not is_alive(process)


async def test_a_stopped_process_can_be_ended(tmp_path: Path) -> None:
    process = await started(tmp_path, SLEEP)
    os.kill(process.pid, signal.SIGSTOP)
    assert await end(process, patience=0.2)


async def test_waiting_for_a_process_that_is_gone_returns_at_once() -> None:
    await asyncio.wait_for(wait_exit(2**22 - 3), 1)


async def test_a_process_is_found_by_a_word_of_its_command_line(tmp_path: Path) -> None:
    word = str(tmp_path / "unmistakable")
    with (tmp_path / "out").open("wb") as output:
        pid = spawn([sys.executable, "-c", SLEEP, word], output=output.fileno())
    async with asyncio.timeout(5):
        while find_by_argument(word) != pid:  # the kernel shows the command line a moment after exec
            await asyncio.sleep(0.01)
    assert find_by_argument(word[:-1]) is None
    process = identify(pid)
    assert process is not None
    await end(process)


async def test_no_zombie_is_left(tmp_path: Path) -> None:
    process = await started(tmp_path, "print('up', flush=True); import time; time.sleep(0.1)")
    await wait_exit(process.pid)
    async with asyncio.timeout(5):
        while Path(f"/proc/{process.pid}").exists():
            await asyncio.sleep(0.01)


async def test_nothing_is_inherited_but_what_is_passed(tmp_path: Path) -> None:
    kept, leaked = os.open("/dev/null", os.O_RDONLY), os.open("/dev/zero", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    with (tmp_path / "out").open("wb") as output:
        code = (
            "import os\n"
            "links = [f'/proc/self/fd/{f}' for f in os.listdir('/proc/self/fd') if int(f) > 2]\n"
            "print(sorted(os.readlink(link) for link in links if os.path.exists(link)))\n"
        )
        pid = spawn([sys.executable, "-c", code], output=output.fileno(), pass_fds=[kept])
        await wait_exit(pid)
    os.close(kept)
    os.close(leaked)
    shown = (tmp_path / "out").read_text()
    assert "/dev/null" in shown
    assert "/dev/zero" not in shown


def test_a_program_that_is_missing_is_an_os_error() -> None:
    async def attempt() -> None:
        spawn(["/nonexistent/program"], output=2)

    with pytest.raises(FileNotFoundError):
        asyncio.run(attempt())


def test_cpu_and_memory_of_a_process_are_counted() -> None:
    sum(range(2_000_000))
    assert sum(cpu_times(os.getpid())) > 0
    assert (resident_size(os.getpid()) or 0) > 1 << 20
    assert resident_size(2**22 - 3) is None


async def test_a_process_that_never_began_is_ended_already() -> None:
    nobody = ProcessId(0, 0, "")
    assert not send_signal(nobody, signal.SIGTERM)
    assert await end(nobody)
