"""Putting in order what a change that broke off has left: QEMU knows a device that the document does not, or the
other way round.

The caller holds the guest's job.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import Device
from vmherd.conf.domain.domain import devices_of
from vmherd.conf.domain.plug import insert, parse_device
from vmherd.events import DeviceAddedEvent
from vmherd.hypervisors.qemu.folders import Folders
from vmherd.hypervisors.qemu.hotplug import journal, removal
from vmherd.hypervisors.qemu.hotplug.families import is_plugged
from vmherd.hypervisors.qemu.hotplug.running import Running
from vmherd.hypervisors.qemu.monitor import Monitor
from vmherd.state.domains import DomainTable, Entry


async def settle(table: DomainTable, folders: Folders, entry: Entry) -> None:
    """Finish, or take back, what somebody was plugging in who is no more."""
    note = journal.read(folders.guest(entry.uuid))
    if note is None or entry.live is None:
        return
    running = Running(table, folders, entry, entry.live)
    if not removal.named(running.domain, note.alias):
        async with running.monitor() as monitor:
            await _finish_or_take_back(running, note, monitor)
    journal.clear(running.folder)


async def _finish_or_take_back(running: Running, note: journal.Note, monitor: Monitor) -> None:
    device = parse_device(note.xml)
    assert isinstance(device, Device)
    if note.alias in await removal.present(monitor):
        event = DeviceAddedEvent(uuid=running.uuid, name=running.name, alias=note.alias)
        running.note(lambda domain: insert(domain, device.copy()), [event])
    else:
        await removal.let_go(note.alias, monitor)
        await removal.let_go_host_side(running, device)


async def forget(table: DomainTable, folders: Folders, entry: Entry, alias: str = "") -> None:
    """Take out of the document what the guest has let go: one device, or all that QEMU has no more."""
    if entry.live is None or not entry.live.ready:
        return
    running = Running(table, folders, entry, entry.live)
    if alias and not removal.named(running.domain, alias):
        return  # somebody waited for it, and has done so already
    async with running.monitor() as monitor:
        present = await removal.present(monitor)
        for name in [alias] if alias else _plugged(running.domain):
            if name not in present:
                await removal.finish(running, name, monitor)


def _plugged(domain: Domain) -> list[str]:
    """The names of the devices that can come and go."""
    return [each.alias.name for each in devices_of(domain.devices) if each.alias and is_plugged(each)]
