"""QEMU writes the state of its guest, or reads one: begun, followed and ended through its monitor.

A monitor serves one at a time, so that whoever follows looks, and leaves again.
Source: migrate, query-migrate, migrate-incoming and dump-guest-memory in QEMU's qapi/migration.json and dump.json
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from vmherd.errors import InvalidState, NotResponding, OperationFailed
from vmherd.hypervisors.qemu.monitor import Monitor

#: Makes a connection to the guest's monitor.
Reach = Callable[[], AbstractAsyncContextManager[Monitor]]
#: Hears how many bytes are done, of how many.
Told = Callable[[int, int], None]

#: Bytes per second: as fast as it goes.  QEMU takes no more than this.
_UNLIMITED = (1 << 63) - 1
#: Seconds between two looks, at first and at last.
_SOON, _LATER = 0.02, 0.5
#: Seconds in which a QEMU answers that reads its guest's memory.
_LOADING = 60.0
#: Seconds in which QEMU stops to write when it is told to.
_CANCEL = 20.0

_RUNNING = ("setup", "active", "device", "cancelling", "pre-switchover", "wait-unplug")


async def refuse_blocked(monitor: Monitor) -> None:
    """Raise InvalidState if a device of the guest cannot be saved, or QEMU will not."""
    if (await monitor.execute("query-status"))["status"] == "postmigrate":
        hint = "resume it, and suspend it again where it shall be saved paused"
        raise InvalidState("a guest that stood still while it was dumped cannot be saved until it ran", hint=hint)
    blockers = (await monitor.execute("query-migrate")).get("blocked-reasons")
    if blockers:
        raise InvalidState(f"the guest cannot be saved: {'; '.join(blockers)}")


async def begin(monitor: Monitor, fd: int) -> None:
    """Have QEMU write its guest's state to a descriptor."""
    await _plainly(monitor)
    await monitor.execute("migrate-set-parameters", {"max-bandwidth": _UNLIMITED})
    await monitor.hand_over(fd, _NAME)
    await monitor.execute("migrate", {"uri": f"fd:{_NAME}"})


async def _plainly(monitor: Monitor) -> None:
    """Without what some migration before this one may have wanted."""
    capabilities = await monitor.execute("query-migrate-capabilities")
    disturbing = [each["capability"] for each in capabilities if each["state"] and each["capability"] != "events"]
    if disturbing:
        off = [{"capability": name, "state": False} for name in disturbing]
        await monitor.execute("migrate-set-capabilities", {"capabilities": off})


async def written(reach: Reach, told: Told) -> None:
    """Return when QEMU has written everything.  Raises OperationFailed with its reason."""
    pause = _SOON
    while True:
        async with reach() as monitor:
            state = await monitor.execute("query-migrate")
        ram = state.get("ram")
        if ram:
            told(ram["total"] - ram["remaining"], ram["total"])
        if state["status"] not in _RUNNING:
            break
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LATER)
    if state["status"] != "completed":
        reason = state.get("error-desc", f"the migration is {state['status']}")
        raise OperationFailed(f"QEMU could not write the guest's state: {reason}", hint="is there room on the disk?")


async def cancel(reach: Reach) -> None:
    """Make QEMU write no more.  Raises HypervisorError if it does not answer, or does not stop."""
    async with reach() as monitor:
        if (await monitor.execute("query-migrate")).get("status", "none") not in _RUNNING:
            return
        await monitor.execute("migrate_cancel")
        for _ in range(round(_CANCEL / _SOON)):
            if (await monitor.execute("query-migrate"))["status"] not in _RUNNING:
                return
            await asyncio.sleep(_SOON)
    raise NotResponding("QEMU does not stop to write its guest's state", hint="'vmherd poweroff' ends it")


async def load(monitor: Monitor, fd: int) -> None:
    """Have a QEMU that waits for it read a guest's state from a descriptor that it inherited.

    Raises HypervisorError if it does not: QEMU ends then, and its log tells why.
    """
    await monitor.execute("migrate-incoming", {"uri": f"fd:{fd}"}, patience=_LOADING)
    pause = _SOON
    while (state := await monitor.execute("query-migrate", patience=_LOADING)).get("status", "setup") in _RUNNING:
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LATER)
    if state["status"] != "completed":
        raise OperationFailed(f"QEMU could not read the guest's state: {state.get('error-desc', state['status'])}")


async def dump(monitor: Monitor, fd: int, format_: str) -> None:
    """Have QEMU write the guest's memory for a debugger; its vCPUs stand still meanwhile."""
    await monitor.hand_over(fd, _NAME)
    arguments: dict[str, Any] = {"paging": False, "protocol": f"fd:{_NAME}", "detach": True, "format": format_}
    await monitor.execute("dump-guest-memory", arguments)


async def dumped(reach: Reach, told: Told) -> None:
    """Return when the dump is complete.  Raises OperationFailed."""
    pause = _SOON
    while True:
        async with reach() as monitor:
            state = await monitor.execute("query-dump")
        told(state["completed"], state["total"])
        if state["status"] != "active":
            break
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LATER)
    if state["status"] != "completed":
        raise OperationFailed("QEMU could not write the dump", hint="is there room on the disk?")


_NAME = "vmherd-file"
