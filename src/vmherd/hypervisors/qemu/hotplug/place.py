"""Fitting a device into a machine that runs: defaults, a place, a name; and whether it may be there.

The machine stays what it is: of all that completion would add, a SCSI controller only can be plugged in as well.
Source: qemuDomainAttachDeviceDiskLiveInternal, qemuDomainEnsurePCIAddress and virDomainUSBAddressEnsure of libvirt.
"""

from __future__ import annotations

from typing import TypeVar

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import Device, DriveAddress
from vmherd.conf.domain.buses import add_controller, drive_address
from vmherd.conf.domain.chardev import Console, Parallel, Serial
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.disk import Disk, DiskBus
from vmherd.conf.domain.domain import devices_of
from vmherd.conf.domain.memdev import MemoryDevice
from vmherd.conf.domain.net import Interface
from vmherd.conf.domain.plug import insert, replace
from vmherd.conf.domain.redirdev import Hub
from vmherd.errors import HypervisorError
from vmherd.hypervisors.qemu import alias, complete, memory, validate
from vmherd.hypervisors.qemu.address import usb
from vmherd.hypervisors.qemu.hotplug.running import Means
from vmherd.hypervisors.qemu.hotplug.view import alone, without_devices

D = TypeVar("D", bound=Device)


def fit(domain: Domain, device: Device, means: Means) -> list[Device]:
    """What is to be plugged into the guest of ``domain``, which stays as it is: controllers first, ``device`` last.

    Raises DocumentError, HypervisorError where there is no room for it.
    """
    before, after = domain, domain.copy()
    there = {id(each) for each in devices_of(after.devices)}
    new = device.copy()
    insert(after, new)
    _add_scsi(after, new)
    if isinstance(new, MemoryDevice):
        memory.align_module(after, new)
    _complete(after, means)
    added = [each for each in devices_of(after.devices) if id(each) not in there and each is not new]
    controllers = [each for each in added if each.alias is None]  # a console that mirrors a line has the line's name
    _refuse_growth(controllers)
    validate.check_added(before, after, means.caps)
    validate.check_added_here(without_devices(before), alone(after, new))
    for each in (*controllers, new):
        alias.add(after, each)
    return [*controllers, new]


def _add_scsi(domain: Domain, new: Device) -> None:
    """A SCSI disk may need more controllers; they are like those that are there.

    Source: qemuDomainFindOrCreateSCSIDiskController of libvirt
    """
    if isinstance(new, Disk) and new.target.bus is DiskBus.SCSI:
        place = new.address if isinstance(new.address, DriveAddress) else drive_address(new)
        controllers = domain.devices.controllers
        models = [each.model for each in controllers if each.type is ControllerType.SCSI]
        for index in range(place.controller + 1 if place and models else 0):
            add_controller(controllers, ControllerType.SCSI, index, models[-1])


def check_instead(domain: Domain, old: Device, new: Device, means: Means) -> None:
    """Raise Unsupported for what is wrong with ``new`` in the place of ``old``, and was not with that."""
    after = domain.copy()
    found = next(each for each in devices_of(after.devices) if each.alias == old.alias)
    replace(after, found, new)
    validate.check_added(domain, after, means.caps)
    validate.check_added_here(alone(domain, old), alone(domain, new))


def complete_alone(domain: Domain, device: D, means: Means) -> D:
    """``device`` with the defaults it would get in the machine of ``domain``, and no place of its own."""
    new = device.copy()
    _complete(alone(domain.copy(), new), means)
    _forget_chosen(new, device)
    if isinstance(new, MemoryDevice):
        memory.align_module(domain, new)
    return new


def _forget_chosen(new: Device, told: Device) -> None:
    """Take back what depends on the other devices of the guest."""
    new.address, new.alias = told.address, told.alias
    if isinstance(new, Interface) and isinstance(told, Interface):
        new.mac = told.mac
    for kind in (Serial, Parallel, Console):
        if isinstance(new, kind) and isinstance(told, kind) and new.target:
            new.target.port = told.target.port if told.target else None


def _complete(domain: Domain, means: Means) -> None:
    complete.complete(domain, means.caps, running=True, config=means.config)
    usb.assign(domain)


def _refuse_growth(added: list[Device]) -> None:
    """Raise HypervisorError where the machine would have to become another one."""
    for each in added:
        kind = str(each.type) if isinstance(each, Controller | Hub) else ""
        if kind != ControllerType.SCSI:
            text, hint = _LACKS.get(kind, (f"the guest has no {kind or type(each).__xml__.tag} for it", _HINT))
            raise HypervisorError(text, hint=hint)


_HINT = "define the guest with one"
#: What a full machine says, by the type of what it would need.
_LACKS = {
    "pci": ("No more available PCI slots", "define the guest with more <controller type='pci'/>, or detach something"),
    "virtio-serial": ("Unable to find a free virtio-serial port", "define the guest with another such controller"),
    "usb": ("No free USB ports", "define the guest with <hub type='usb'/>"),
}
