"""Places disks and smart cards on their controllers, and adds the controllers that addresses speak of.

Source: virDomainDiskDefAssignAddress and virDomainDefAddImplicitControllers
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import count

from vmherd.conf.domain.address import CcidAddress, DriveAddress, Master, VirtioSerialAddress
from vmherd.conf.domain.chardev import Channel, ChannelTargetType, Console, ConsoleTargetType
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.disk import Disk, DiskBus
from vmherd.conf.domain.domain import Devices, Domain
from vmherd.conf.domain.hostdev import HostdevType
from vmherd.errors import DocumentError

_SCSI_SELF = 7  # the unit of the SCSI controller itself
#: The first of the two ports of its USB 2 controller that each companion serves.
_COMPANIONS = {"ich9-uhci1": 0, "ich9-uhci2": 2, "ich9-uhci3": 4}
#: No guest has more of one type; a larger number is a slip, and would fill the host's memory.
_MOST_CONTROLLERS = 256
_DRIVES = {
    DiskBus.SCSI: ControllerType.SCSI,
    DiskBus.FDC: ControllerType.FDC,
    DiskBus.IDE: ControllerType.IDE,
    DiskBus.SATA: ControllerType.SATA,
}


def fill(domain: Domain, *, wide_scsi: bool) -> None:
    """Give drive addresses and add the controllers that are missing, in place; those that are there have numbers."""
    devices = domain.devices
    devices.disks = ordered(devices.disks)
    for disk in devices.disks:
        if disk.address is None:
            disk.address = drive_address(disk, wide_scsi=wide_scsi)
    _place_scsi_hostdevs(devices, units=16 if wide_scsi else _SCSI_SELF)
    _place_smartcards(devices)
    for type_, indexes in _needed(devices).items():
        for index in indexes:
            add_controller(devices.controllers, type_, index)
    _add_scsi_for_hostdevs(devices)
    _place_ports(devices)


def ordered(disks: list[Disk]) -> list[Disk]:
    """The disks of a bus side by side in the order of their targets; the first one is what boots.

    Source: virDomainDiskInsert of libvirt
    """
    groups: dict[DiskBus | None, list[Disk]] = {}
    for disk in disks:
        groups.setdefault(disk.target.bus, []).append(disk)
    return [disk for group in groups.values() for disk in sorted(group, key=_number)]


def _number(disk: Disk) -> int:
    return drive_number(disk.target.dev) or 0


def drive_number(dev: str) -> int | None:
    """The place a target name asks for: 0 for sda, 27 for sdab; None when it is no such name."""
    match = re.fullmatch(r"(?:[fhsv]d|xvd|ubd)([a-z]{1,6})[0-9]*", dev)
    if match is None:
        return None
    number = 0
    for letter in match[1]:
        number = number * 26 + ord(letter) - ord("a") + 1
    return number - 1


def drive_address(disk: Disk, *, wide_scsi: bool = False) -> DriveAddress | None:
    """Where the target name puts the disk; None on a bus without drive addresses."""
    number = drive_number(disk.target.dev)
    if number is None:
        return None
    match disk.target.bus:
        case DiskBus.IDE:
            return DriveAddress(controller=number // 4, bus=number % 4 // 2, unit=number % 2)
        case DiskBus.SATA:
            return DriveAddress(controller=number // 6, unit=number % 6)
        case DiskBus.FDC:
            return DriveAddress(controller=number // 2, unit=number % 2)
        case DiskBus.SCSI if wide_scsi:
            unit = number % 15
            return DriveAddress(controller=number // 15, unit=unit + (unit >= _SCSI_SELF))
        case DiskBus.SCSI:
            return DriveAddress(controller=number // 7, unit=number % 7)
    return None


def add_controller(
    controllers: list[Controller], type_: ControllerType, index: int, model: str | None = None
) -> Controller:
    """The controller of this type and index, added at the end if there is none."""
    for each in controllers:
        if each.type is type_ and each.index == index:
            return each
    added = Controller(type=type_, index=index, model=model)
    controllers.append(added)
    return added


def next_number(taken: Iterable[int], place: str) -> int:
    """One more than the highest of the numbers that are taken, which a document holds in 32 bits."""
    number = 1 + max(taken, default=-1)
    if number < 1 << 32:
        return number
    raise DocumentError(f"no number is left above {number - 1}", place=place, hint="use small numbers")


def number_controllers(controllers: list[Controller]) -> None:
    """Put the controllers of a type side by side, and give each one without an index the lowest that is free.

    The parts of one USB 2 controller stand one behind the other and share an index.  Source:
    virDomainAssignControllerIndexes
    """
    for controller in controllers:
        if controller.master is None and controller.model in _COMPANIONS:
            controller.master = Master(startport=_COMPANIONS[controller.model])
    controllers[:] = _arranged(controllers)
    for place, controller in enumerate(controllers):
        before = controllers[place - 1] if place else None
        if controller.index is None and before and _is_usb2(before) and _is_usb2(controller):
            group = [each.model for each in controllers[:place] if _is_usb2(each) and each.index == before.index]
            controller.index = None if controller.model in group else before.index
        if controller.index is None:
            used = {each.index for each in controllers if each.type is controller.type}
            controller.index = next(number for number in range(len(used) + 1) if number not in used)


def _arranged(controllers: list[Controller]) -> list[Controller]:
    """Each controller among those of its type, by index.  Source: virDomainControllerInsertPreAlloced of libvirt"""
    found: list[Controller] = []
    for controller in controllers:
        same = [place for place, each in enumerate(found) if each.type is controller.type]
        later = [place for place in same if _precedes(controller, found[place])]
        found.insert(later[0] if later else same[-1] + 1 if same else len(found), controller)
    return found


def _precedes(new: Controller, old: Controller) -> bool:
    """By index; the master of a USB 2 controller before its companions."""
    if new.index is None:
        return False
    if old.index is not None and old.index > new.index:
        return True
    return old.index == new.index and new.master is None and old.master is not None


def _is_usb2(controller: Controller) -> bool:
    return controller.type is ControllerType.USB and (controller.model or "").startswith(("ich9-ehci", "ich9-uhci"))


def _needed(devices: Devices) -> dict[ControllerType, Iterable[int]]:
    """For each type, the controllers up to the highest one that an address speaks of; of virtio-serial just those."""
    highest: dict[ControllerType, int] = {}
    for bus, type_ in _DRIVES.items():
        on_bus = (disk.address for disk in devices.disks if disk.target.bus is bus)
        _raise(highest, type_, (address.controller for address in on_bus if isinstance(address, DriveAddress)))
    cards = [card.address.controller for card in devices.smartcards if isinstance(card.address, CcidAddress)]
    needed: dict[ControllerType, Iterable[int]] = {type_: _up_to(type_, number) for type_, number in highest.items()}
    needed[ControllerType.VIRTIO_SERIAL] = sorted({_serial_controller(port) for port in _virtio_ports(devices)})
    needed[ControllerType.CCID] = _up_to(ControllerType.CCID, max(cards, default=-1))
    return needed


def _add_scsi_for_hostdevs(devices: Devices) -> None:
    """Controllers for SCSI devices of the host, of the model of the last one that such a device fills up.

    Source: virDomainDefMaybeAddHostdevSCSIcontroller
    """
    models = {each.index: each.model for each in devices.controllers if each.type is ControllerType.SCSI}
    highest, model = -1, None
    for hostdev in devices.hostdevs:
        address = hostdev.address
        if hostdev.type is HostdevType.SCSI and isinstance(address, DriveAddress) and address.controller > highest:
            highest = address.controller
            model = models.get(highest) or model
    for index in _up_to(ControllerType.SCSI, highest):
        add_controller(devices.controllers, ControllerType.SCSI, index, model)


def _up_to(type_: ControllerType, number: int) -> range:
    if number < _MOST_CONTROLLERS:
        return range(number + 1)
    raise DocumentError(
        f"an address speaks of {type_} controller {number}, and each up to it would be added",
        place="domain/devices",
        hint=f"number controllers from 0 to {_MOST_CONTROLLERS - 1} at most",
    )


def _raise(highest: dict[ControllerType, int], type_: ControllerType, numbers: Iterable[int]) -> None:
    number = max(numbers, default=-1)
    if number > highest.get(type_, -1):
        highest[type_] = number


def _virtio_ports(devices: Devices) -> list[Channel | Console]:
    channels = [each for each in devices.channels if each.target.type is ChannelTargetType.VIRTIO]
    consoles = [each for each in devices.consoles if each.target and each.target.type is ConsoleTargetType.VIRTIO]
    return [*channels, *consoles]


def _serial_controller(port: Channel | Console) -> int:
    return port.address.controller if isinstance(port.address, VirtioSerialAddress) else 0


def _place_ports(devices: Devices) -> None:
    """Number the channels whose address names the controller only, on from those before; 0 leaves it open.

    Source: virDomainDefParseXML
    """
    highest: dict[tuple[int, int], int] = {}
    for each in _virtio_ports(devices):
        address = each.address
        if not isinstance(address, VirtioSerialAddress):
            continue
        bus = (address.controller, address.bus)
        if isinstance(each, Channel):
            if not address.port:
                before = [highest[bus]] if bus in highest else []
                address.port = next_number(before, "domain/devices/channel/address/@port")
            highest[bus] = max(highest.get(bus, 0), address.port)


def _place_scsi_hostdevs(devices: Devices, *, units: int) -> None:
    """Give SCSI host devices the lowest free units.  Source: virDomainHostdevAssignAddress"""
    scsi = [each for each in devices.hostdevs if each.type is HostdevType.SCSI]
    on_scsi = [disk.address for disk in devices.disks if disk.target.bus is DiskBus.SCSI]
    drives = [each for each in (*on_scsi, *(host.address for host in scsi)) if isinstance(each, DriveAddress)]
    taken = {(each.controller, each.unit) for each in drives if each.bus == each.target == 0}
    for hostdev in scsi:
        if hostdev.address is None:
            free = ((c, unit) for c in count() for unit in range(units) if unit != _SCSI_SELF)
            place = next(each for each in free if each not in taken)
            taken.add(place)
            hostdev.address = DriveAddress(controller=place[0], unit=place[1])


def _place_smartcards(devices: Devices) -> None:
    taken = [each.address.slot for each in devices.smartcards if isinstance(each.address, CcidAddress)]
    for card in devices.smartcards:
        if card.address is None:
            slot = next_number(taken, "domain/devices/smartcard/address/@slot")
            taken.append(slot)
            card.address = CcidAddress(controller=0, slot=slot)
