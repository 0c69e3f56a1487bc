"""Places the devices of a bhyve guest on its one PCI bus.

Slot 0 has the host bridge, slot 1 is kept for the bridge to ISA, and every other device gets a slot of its own.
Source: bhyveDomainAssignPCIAddresses of libvirt
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import Device, PciAddress
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.disk import DiskBus
from vmherd.conf.domain.domain import devices_of
from vmherd.errors import DocumentError

_SLOTS = 32
_ISA_SLOT = 1


def assign(domain: Domain) -> None:
    """Give each PCI device that has no place the lowest free slot, in place.

    Raises DocumentError for a place that there is not, is taken or kept, and when the bus is full.
    """
    taken = {(_ISA_SLOT, function) for function in range(8)}
    for device in devices_of(domain.devices):
        if isinstance(device.address, PciAddress) and device.address.is_placed:
            _take(device, device.address, taken)
    for controller in domain.devices.controllers:
        if _is_isa(controller) and _wants_place(controller):
            controller.address = _in_slot(_ISA_SLOT)
            break
    for device in pci_devices(domain):
        if _wants_place(device):
            slot = _free_slot(device, {slot for slot, _ in taken})
            device.address = _in_slot(slot)
            taken.add((slot, 0))


def _take(device: Device, address: PciAddress, taken: set[tuple[int, int]]) -> None:
    segment, bus, slot, function = address.key
    place = f"domain/devices/{type(device).__xml__.tag}/address"
    if segment or bus or slot >= _SLOTS:
        text = f"bhyve guests have no PCI address {segment:04x}:{bus:02x}:{slot:02x}"
        raise DocumentError(text, place=place, hint=f"their one bus has slots 0 to {_SLOTS - 1}")
    if slot == _ISA_SLOT:
        if _is_isa(device):
            return
        raise DocumentError(
            "PCI slot 1 is kept for the bridge to ISA",
            place=place,
            hint="choose another slot, or leave <address> out",
        )
    if slot and (slot, function) in taken:
        text = f"PCI slot {slot}, function {function} is taken by another device"
        raise DocumentError(text, place=place, hint="leave out the <address> of one of the two")
    taken.add((slot, function))


def _is_isa(device: Device) -> bool:
    return isinstance(device, Controller) and device.type is ControllerType.ISA


def _wants_place(device: Device) -> bool:
    address = device.address
    return address is None or (isinstance(address, PciAddress) and not address.is_placed)


def _in_slot(slot: int) -> PciAddress:
    return PciAddress(domain=0, bus=0, slot=slot, function=0)


def pci_devices(domain: Domain) -> Iterator[Device]:
    """What needs a slot, in the order in which they choose."""
    devices = domain.devices
    yield from (each for each in devices.controllers if _on_pci(each))
    yield from devices.interfaces
    yield from (disk for disk in devices.disks if disk.target.bus is DiskBus.VIRTIO)
    yield from devices.videos
    yield from devices.sounds
    yield from devices.filesystems


def _on_pci(controller: Controller) -> bool:
    if controller.type is ControllerType.USB:
        return controller.model == "nec-xhci"
    if controller.type is ControllerType.PCI:
        return controller.model not in ("pci-root", "pcie-root")
    return controller.type in (ControllerType.SATA, ControllerType.ISA)


def _free_slot(device: Device, taken: set[int]) -> int:
    for slot in range(1, _SLOTS):
        if slot not in taken:
            return slot
    text = f"there is no PCI slot left for it: a bhyve guest has {_SLOTS}"
    raise DocumentError(text, place=f"domain/devices/{type(device).__xml__.tag}", hint="remove a device")
