"""Plugging a device into a guest that runs.

``_Plug.run`` is the table of contents.  Each step leaves what must be undone; a failure or a cancel anywhere undoes all
of it, in reverse, and a manager that dies leaves a note for the next one (``reconcile``).
"""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack

from vmherd.conf.domain.address import Device
from vmherd.conf.domain.disk import Disk
from vmherd.conf.domain.hostdev import UsbSource
from vmherd.conf.domain.plug import insert
from vmherd.conf.domain.plug.persistent import drop_generated_alias
from vmherd.errors import HostError
from vmherd.events import DeviceAddedEvent
from vmherd.hypervisors.qemu import grants
from vmherd.hypervisors.qemu.command import blockdev, disk, override
from vmherd.hypervisors.qemu.helpers import storagehelpers
from vmherd.hypervisors.qemu.hotplug import detach, journal, launching, media, place, removal
from vmherd.hypervisors.qemu.hotplug.families import family
from vmherd.hypervisors.qemu.hotplug.orders import Executor, Order, orders
from vmherd.hypervisors.qemu.hotplug.running import Means, Running
from vmherd.hypervisors.qemu.hotplug.view import alone
from vmherd.hypervisors.qemu.monitor import Monitor
from vmherd.hypervisors.qemu.startup import adjust, channels, files, readback
from vmherd.util.files import on_host
from vmherd.util.xmlmodel import Element, render


async def attach(running: Running, means: Means, device: Element) -> None:
    """Plug a device in, after a controller for it if the guest has none.

    A drive that is there gets what is in ``device``.  Raises HostError, HypervisorError with QEMU's own message;
    then nothing is left, but for the controller.
    """
    chosen = family(device, "attach")
    assert isinstance(device, Device)  # a family has no others
    device = device.copy()
    drop_generated_alias(device)
    device = place.complete_alone(running.domain, device, means)
    view = alone(running.domain, device)
    channels.name(view, running.folder)
    channels.tell_encryption(view, means.config.chardev.tls)
    if isinstance(device, Disk) and (drive := media.same_drive(running.domain, device)):
        await media.change(running, drive, device, means)
        return
    chosen.may_come(running.domain, device)
    new = place.fit(running.domain, device, means)
    async with running.monitor(events=True) as monitor:
        for each in new:
            with on_host(f"attach a device to {running.name!r}"):
                await _Plug(running, each, means, monitor).run()


class _Plug:
    """One device on its way into one guest."""

    def __init__(self, running: Running, device: Device, means: Means, monitor: Monitor) -> None:
        assert device.alias is not None  # `place.fit` gives one
        self._running = running
        self._device = device
        self._alias = device.alias.name
        self._caps = override.capabilities(running.domain, means.caps)
        self._means = means
        self._monitor = monitor
        self._executor = Executor(monitor)
        self._view = alone(running.domain, device)

    async def run(self) -> None:
        """Plug it in."""
        folder = self._running.folder
        async with AsyncExitStack() as undo:
            files.require(self._view)
            journal.write(folder, journal.Note(self._alias, render(self._device)))
            undo.push_async_callback(self._forget)
            with ExitStack() as ours:  # what QEMU gets, we close
                await self._make(ours, undo)
            await self._finish()
            undo.pop_all()
        journal.clear(folder)

    async def _make(self, ours: ExitStack, undo: AsyncExitStack) -> None:
        """The host's end, then QEMU's."""
        folder = self._running.folder
        opened, log = launching.resources(self._running, ours)
        launch = await launching.launch(self._running, self._view, self._means, opened, log, self._monitor)
        self._require_present()
        await grants.give(self._running, self._means, self._view, launch, self._alias)
        journal.write(folder, journal.Note(self._alias, render(self._device)))  # a card knows its place now
        argv = family(self._device, "attach").arguments(self._view, self._device, self._caps, launch)
        if disk.leaves_reservations(self._view) and not disk.leaves_reservations(self._running.domain):
            argv = [*disk.reservations(self._view, launch), *argv]
        await storagehelpers.start(self._view, folder, log)
        grants.open_helpers(self._running, self._alias)
        for order in orders(argv, opened.inherited, self._alias):
            await self._executor.run(order)
            undo.push_async_callback(self._take_back, order)
        blockdev.tell_numbers(self._view, launch)

    def _require_present(self) -> None:
        """A USB device that may be missing when a guest starts is worth nothing to one that runs."""
        source = getattr(self._device, "source", None)
        if isinstance(source, UsbSource) and source.address is None:
            raise HostError("the USB device is not there", hint="'lsusb' lists them")

    async def _take_back(self, order: Order) -> None:
        if self._executor.lost:
            return
        if order.command == "device_add":
            await detach.remove(self._monitor, self._alias, detach.PATIENCE)
        else:
            await self._executor.take_back(order)

    async def _forget(self) -> None:
        """The host's end; unless QEMU keeps the device, or may: then whoever comes next puts it in order."""
        if self._executor.lost:
            return
        if self._alias not in await removal.present(self._monitor):
            await removal.let_go_host_side(self._running, self._device)
            journal.clear(self._running.folder)

    async def _finish(self) -> None:
        """What only the monitor gives, and the document."""
        await readback.ptys(self._view, self._monitor)
        await readback.modules(self._view, self._monitor)
        await adjust.plugged(self._view, self._monitor)
        event = DeviceAddedEvent(uuid=self._running.uuid, name=self._running.name, alias=self._alias)
        self._running.note(lambda domain: insert(domain, self._device.copy()), [event])
