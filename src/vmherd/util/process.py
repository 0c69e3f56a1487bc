"""Processes that outlive us: naming them beyond doubt, waiting for them, ending them.

A pid alone is not a name, since pids are used again: (pid, start time, boot id) is.  Linux: proc(5), pidfd_open(2).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

import msgspec

from vmherd.util.apart import apart
from vmherd.util.descriptors import readable

_PROC = Path("/proc")


class ProcessId(msgspec.Struct, frozen=True):
    """``started`` is in clock ticks after boot, ``boot`` the kernel's random id of this boot."""

    pid: int
    started: int
    boot: str


class User(Protocol):
    """Who a program runs as, by numbers; ``groups`` are those beside ``gid``."""

    @property
    def uid(self) -> int: ...
    @property
    def gid(self) -> int: ...
    @property
    def groups(self) -> Sequence[int]: ...


@cache
def boot_id() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> ProcessId | None:
    """Name a process; None if it is gone or a zombie."""
    fields = _stat(pid)
    if fields is None or fields[0] in "ZX":
        return None
    return ProcessId(pid, int(fields[19]), boot_id())


def is_alive(process: ProcessId) -> bool:
    """Whether that very process still runs."""
    return process.pid > 0 and identify(process.pid) == process


def cpu_times(pid: int) -> tuple[float, float]:
    """Seconds of CPU a process used so far in user and in system mode; zeros if it is gone."""
    fields = _stat(pid)
    if fields is None:
        return 0.0, 0.0
    tick = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / tick, int(fields[12]) / tick


def resident_size(pid: int) -> int | None:
    """Bytes of memory a process has resident; None if it is gone."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


class ThreadStat(msgspec.Struct, frozen=True):
    """Seconds of CPU a thread used so far, and the CPU it ran on last."""

    cpu_time: float
    cpu: int


def thread_stat(pid: int, tid: int) -> ThreadStat | None:
    """What a thread of a process did; None if it is gone."""
    fields = _stat(pid, f"task/{tid}/")
    if fields is None:
        return None
    tick = os.sysconf("SC_CLK_TCK")
    return ThreadStat(cpu_time=(int(fields[11]) + int(fields[12])) / tick, cpu=int(fields[36]))


def find_by_argument(argument: str) -> int | None:
    """The pid of a process with exactly this word on its command line: one of ours, of any user if we are root."""
    word = os.fsencode(argument)
    for entry in os.scandir(_PROC):
        if not entry.name.isdigit():
            continue
        try:
            arguments = Path(entry.path, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if word in arguments and os.geteuid() in (0, entry.stat().st_uid):
            return int(entry.name)
    return None


def spawn(
    argv: Sequence[str],
    *,
    output: int,
    pass_fds: Sequence[int] = (),
    env: dict[str, str] | None = None,
    cwd: Path = Path("/"),
    before: Callable[[], None] | None = None,
    user: User | None = None,
) -> int:
    """Start a program in a session of its own, with nothing on stdin and both outputs in ``output``; its pid.

    It gets no descriptor but ``pass_fds``, and outlives us.  While the running loop lasts, it leaves no zombie.
    ``before`` is done in a thread of its own, whose namespaces, rights and labels the program gets.  It runs as
    ``user``, or as we do.
    Raises OSError if it cannot be started.
    """

    def start() -> subprocess.Popen[bytes]:
        if before:
            before()
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=pass_fds,
            env=env,
            cwd=cwd,
            start_new_session=True,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=user.groups if user else None,
        )

    child = apart(start) if before else start()
    reaper = asyncio.get_running_loop().create_task(_reap(child))
    _reapers.add(reaper)
    reaper.add_done_callback(_reapers.discard)
    return child.pid


_reapers: set[asyncio.Task[None]] = set()


async def _reap(child: subprocess.Popen[bytes]) -> None:
    try:
        await wait_exit(child.pid)
    finally:
        # Left running, it is no longer ours to wait for: the kernel gives it to init when we end.
        if child.poll() is None:
            child.returncode = 0


async def wait_exit(pid: int) -> None:
    """Return when a process has ended, at once if it is gone.  It need not be our child."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await readable(fd)
    finally:
        os.close(fd)


async def end(process: ProcessId, *, patience: float = 10.0, force: bool = True) -> bool:
    """Ask a process to end, and after ``patience`` seconds make it; whether it ended.

    Without ``force`` it is asked only.
    """
    if not send_signal(process, signal.SIGTERM):
        return True
    if not (force and is_stopped(process.pid)) and await _ended(process, patience):
        return True
    if not force:
        return False
    send_signal(process, signal.SIGKILL)
    return await _ended(process, patience)


def end_soon(processes: Iterable[ProcessId], *, patience: float) -> None:
    """Ask processes to end, and make those that are there after ``patience`` seconds; blocks that long at most."""
    deadline = time.monotonic() + patience
    asked = [process for process in processes if send_signal(process, signal.SIGTERM)]
    for process in asked:
        if not _ends_by(process.pid, deadline):
            send_signal(process, signal.SIGKILL)


def _ends_by(pid: int, deadline: float) -> bool:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0])
    finally:
        os.close(fd)


async def _ended(process: ProcessId, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await wait_exit(process.pid)
    except TimeoutError:
        return False
    return True


def is_stopped(pid: int) -> bool:
    """Whether a process stands still by SIGSTOP, so that it cannot even end when asked."""
    fields = _stat(pid)
    return fields is not None and fields[0] in "Tt"


def send_signal(process: ProcessId, number: signal.Signals) -> bool:
    """Signal that very process; whether it was there.  The pidfd makes sure that no other one is hit."""
    if process.pid <= 0:
        return False
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(process):
            return False
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


def _stat(pid: int, thread: str = "") -> list[str] | None:
    """The fields of /proc/PID/stat after the command's name, which may hold blanks and parentheses."""
    try:
        text = (_PROC / str(pid) / f"{thread}stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def thread_times(pid: int, thread: int) -> tuple[int, int]:
    """Nanoseconds a thread had a CPU, and those it was ready but had none; zeros if it is gone."""
    folder = _PROC / str(pid) / "task" / str(thread)
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        delay = int((folder / "schedstat").read_text().split()[1])
    except OSError:
        return 0, 0
    return (int(fields[11]) + int(fields[12])) * _SECOND // os.sysconf("SC_CLK_TCK"), delay


def waiting_time(pid: int, thread: int) -> int:
    """Nanoseconds a thread waited for input and output; 0 where the kernel does not count them."""
    if not _counts_waiting():
        return 0
    try:
        text = (_PROC / str(pid) / "task" / str(thread) / "sched").read_text()
    except OSError:
        return 0
    match = _WAITED.search(text)
    return round(float(match[1]) * _MILLISECOND) if match else 0


_SECOND, _MILLISECOND = 1_000_000_000, 1_000_000
_WAITED = re.compile(r"\bwait_sum\s*:\s*([\d.]+)")


@cache
def _counts_waiting() -> bool:
    with contextlib.suppress(OSError):
        return bool(_WAITED.search((_PROC / "self" / "sched").read_text()))
    return False
