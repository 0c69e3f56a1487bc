"""Putting the host to sleep for a while.

Source: virNodeSuspend of libvirt; Documentation/admin-guide/pm/sleep-states.rst and ABI/testing/rtc-cdev of Linux
"""

from __future__ import annotations

import asyncio
import logging
import math
from pathlib import Path

from vmherd.driver.host import SuspendTarget
from vmherd.errors import ArgumentUnsupported, InvalidArgument, InvalidState
from vmherd.state.node import kernel
from vmherd.util.files import on_host

log = logging.getLogger("vmherd.host")

#: Seconds that whoever asked gets to hear that it worked.
_NOTICE = 10.0
_SHORTEST = 60.0
_ALARM = "sys/class/rtc/rtc0/wakealarm"

_NAMES = {
    SuspendTarget.MEM: "Suspend-to-RAM",
    SuspendTarget.DISK: "Suspend-to-Disk",
    SuspendTarget.HYBRID: "Hybrid-Suspend",
}
_pending: set[asyncio.Task[None]] = set()


async def suspend(root: Path, target: SuspendTarget, duration: float, *, notice: float = _NOTICE) -> None:
    """Set the alarm clock, and go to sleep after ``notice`` seconds.

    Raises InvalidArgument for less than a minute, ArgumentUnsupported where the host has no such sleep,
    InvalidState while it is about to sleep already.
    """
    if target not in able(root):
        raise ArgumentUnsupported(_NAMES[target], hint="/sys/power/state tells how this host can sleep")
    if duration < _SHORTEST:
        raise InvalidArgument("Suspend duration is too short", hint=f"at least {_SHORTEST:g} seconds")
    if _pending:
        raise InvalidState("the host is about to sleep already")
    with on_host("set the alarm that wakes this host"):
        (root / _ALARM).write_text("0\n")  # else the kernel refuses to change one that is set
        (root / _ALARM).write_text(f"+{math.ceil(duration + notice)}\n")
    task = asyncio.create_task(_sleep(root, target, notice))
    _pending.add(task)
    task.add_done_callback(_pending.discard)


def able(root: Path) -> set[SuspendTarget]:
    """The ways in which this host can sleep."""
    states = (kernel.text(root / "sys/power/state") or "").split()
    ways = (kernel.text(root / "sys/power/disk") or "").replace("[", "").replace("]", "").split()
    found = {SuspendTarget.MEM} if "mem" in states else set()
    if "disk" in states:
        found |= {SuspendTarget.DISK, *([SuspendTarget.HYBRID] if "suspend" in ways else [])}
    return found


async def _sleep(root: Path, target: SuspendTarget, notice: float) -> None:
    await asyncio.sleep(notice)
    power = root / "sys/power"
    try:
        if target is not SuspendTarget.MEM:
            (power / "disk").write_text("suspend\n" if target is SuspendTarget.HYBRID else "platform\n")
        # The kernel returns from this when the host is awake again: the thread sleeps, too.
        await asyncio.to_thread((power / "state").write_text, "mem\n" if target is SuspendTarget.MEM else "disk\n")
    except OSError as problem:
        log.warning("the host does not go to sleep: %s", problem)
