"""What is in a drive: changed while the guest runs, by way of its tray.

Source: qemuDomainChangeMediaBlockdev of libvirt; blockdev-open-tray and its relatives in QEMU's qapi/block.json.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack
from typing import Any

from vmherd.conf.domain import Domain
from vmherd.conf.domain.disk import Disk
from vmherd.conf.domain.plug import replace
from vmherd.errors import OperationFailed
from vmherd.hypervisors.qemu import grants
from vmherd.hypervisors.qemu.command import blockdev
from vmherd.hypervisors.qemu.command.device import alias
from vmherd.hypervisors.qemu.hotplug import launching, place, removal
from vmherd.hypervisors.qemu.hotplug.disks import DRIVES
from vmherd.hypervisors.qemu.hotplug.orders import Executor, orders
from vmherd.hypervisors.qemu.hotplug.running import Means, Running
from vmherd.hypervisors.qemu.hotplug.view import alone
from vmherd.hypervisors.qemu.monitor import Monitor
from vmherd.hypervisors.qemu.startup import adjust, files
from vmherd.util.files import on_host

#: Seconds a guest has to open a drive that it has locked, and between our looks.
PATIENCE, _PAUSE = 5.0, 0.05


def same_drive(domain: Domain, wanted: Disk) -> Disk | None:
    """The drive of the guest that ``wanted`` means, if it is one whose medium can be changed."""
    if wanted.device not in DRIVES:
        return None
    there = (each for each in domain.devices.disks if each.target.dev == wanted.target.dev)
    return next((each for each in there if each.device is wanted.device), None)


def with_medium(drive: Disk, wanted: Disk) -> Disk:
    """``drive`` with what is in ``wanted``."""
    changed = drive.copy()
    for name in ("type", "source", "backing_store", "auth", "encryption"):
        setattr(changed, name, getattr(wanted, name))
    if changed.driver and wanted.driver:
        changed.driver.type = wanted.driver.type
    changed.target.tray = None
    return changed


async def change(running: Running, drive: Disk, wanted: Disk, means: Means, *, force: bool = False) -> None:
    """Put what is in ``wanted`` into a drive of the guest, or leave it empty.

    Raises OperationFailed where the guest has locked the drive, unless ``force`` opens it all the same.
    """
    changed = with_medium(drive, wanted)
    place.check_instead(running.domain, drive, changed, means)
    with on_host(f"change the medium in {drive.target.dev} of {running.name!r}"):
        async with running.monitor() as monitor:
            await _Change(running, drive, changed, means, monitor).run(force=force)


class _Change:
    """One drive that gets another medium."""

    def __init__(self, running: Running, drive: Disk, changed: Disk, means: Means, monitor: Monitor) -> None:
        self._running = running
        self._id = alias(drive)
        self._changed = changed
        self._means = means
        self._monitor = monitor
        self._view = alone(running.domain, changed)
        self._given: frozenset[str] = frozenset()

    async def run(self, *, force: bool) -> None:
        state = await self._state()
        had = grants.paths_of(self._running, self._id)
        async with AsyncExitStack() as undo:
            undo.callback(self._take_back_all_but, had)
            node = None if self._changed.is_empty else await self._open_image(undo)
            if "tray_open" in state and not state["tray_open"]:
                undo.push_async_callback(self._close)
                await self._open_tray(force=force)
            if old := state.get("inserted", {}).get("node-name"):
                await self._monitor.execute("blockdev-remove-medium", {"id": self._id})
                undo.push_async_callback(self._insert, old)
            if node:
                await self._insert(node)
                undo.push_async_callback(self._monitor.execute, "blockdev-remove-medium", {"id": self._id})
            if "tray_open" in state:
                await self._close()
            await adjust.plugged(self._view, self._monitor)
            self._note()
            undo.pop_all()
        await removal.remove_unused_images(self._monitor)
        self._take_back_all_but(self._given)

    def _take_back_all_but(self, paths: frozenset[str]) -> None:
        """What the drive may reach is these alone."""
        grants.take_back(self._running, self._id, grants.paths_of(self._running, self._id) - paths)

    async def _state(self) -> dict[str, Any]:
        """What QEMU tells of the drive."""
        for each in await self._monitor.execute("query-block"):
            if self._id in each.get("qdev", "").split("/"):
                found: dict[str, Any] = each
                return found
        raise OperationFailed(f"QEMU has no drive {self._id!r}", hint="start the guest anew")

    async def _open_image(self, undo: AsyncExitStack) -> str:
        """Have QEMU open the image; the node for the drive."""
        files.require(self._view)
        with ExitStack() as ours:
            opened, log = launching.resources(self._running, ours)
            launch = await launching.launch(self._running, self._view, self._means, opened, log, self._monitor)
            self._given = await grants.give(self._running, self._means, self._view, launch, self._id)
            images = blockdev.plan(self._view, launch).chains[0]
            argv = [word for image in reversed(images) for word in blockdev.arguments(image, launch)]
            executor = Executor(self._monitor)
            for order in orders(argv, opened.inherited, self._id):
                await executor.run(order)
                undo.push_async_callback(executor.take_back, order)
            blockdev.tell_numbers(self._view, launch)
        return images[0].top

    async def _open_tray(self, *, force: bool) -> None:
        """A guest that has locked it is asked."""
        await self._monitor.execute("blockdev-open-tray", {"id": self._id, "force": force})
        for _ in range(round(PATIENCE / _PAUSE)):
            if (await self._state()).get("tray_open"):
                return
            await asyncio.sleep(_PAUSE)
        text = f"the guest has locked the drive {self._changed.target.dev} and does not open it"
        raise OperationFailed(text, hint="unmount it in the guest, or use --force")

    async def _close(self) -> None:
        await self._monitor.execute("blockdev-close-tray", {"id": self._id})

    async def _insert(self, node: str) -> None:
        await self._monitor.execute("blockdev-insert-medium", {"id": self._id, "node-name": node})

    def _note(self) -> None:
        def put(domain: Domain) -> None:
            found = removal.named(domain, self._id)
            if isinstance(found, Disk):
                replace(domain, found, with_medium(found, self._changed))

        self._running.note(put)
