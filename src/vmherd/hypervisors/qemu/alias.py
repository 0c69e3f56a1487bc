"""Names devices as libvirt does (qemu_alias.c), at the start and later; names the user chose stay."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vmherd.conf.domain import Devices, Domain
from vmherd.conf.domain.address import Alias, Device, DimmAddress, DriveAddress
from vmherd.conf.domain.buses import drive_number
from vmherd.conf.domain.chardev import ConsoleTargetType
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.disk import Disk, DiskBus
from vmherd.conf.domain.hostdev import Hostdev
from vmherd.conf.domain.memdev import MemoryDevice, MemoryModel
from vmherd.conf.domain.net import Interface, InterfaceType
from vmherd.hypervisors.qemu import machine


def assign(domain: Domain) -> None:
    """Give every device its name."""
    devices = domain.devices
    for disk in devices.disks:
        _name(disk, _disk_alias(domain, disk))
    for controller in devices.controllers:
        _name(controller, _controller_alias(domain, controller))
    for serial, console in zip(devices.serials[:1], devices.consoles[:1], strict=False):
        _name(serial, "serial0")
        if console.target and console.target.type is ConsoleTargetType.SERIAL:
            console.alias = serial.alias
    handed_over = [each for each in devices.interfaces if each.type is InterfaceType.HOSTDEV]
    _number("hostdev", [*handed_over, *devices.hostdevs])
    _number("net", [each for each in devices.interfaces if each.type is not InterfaceType.HOSTDEV])
    for prefix, members in _families(devices).items():
        for number, device in enumerate(members):
            _name(device, f"{prefix}{number}")
    for model, prefix in _MODULES.items():
        modules = [module for module in devices.memories if module.model is model]
        for module in modules:
            if isinstance(module.address, DimmAddress):
                _name(module, f"{prefix}{module.address.slot}")
        _number(prefix, modules)


def add(domain: Domain, device: Device) -> None:
    """Give the one device without a name, which has been plugged in, a name that no other has.

    Source: qemuAssignDeviceNetAlias and its relatives, asked without an index
    """
    devices = domain.devices
    match device:
        case Disk():
            _name(device, _disk_alias(domain, device))
        case Controller():
            _name(device, _controller_alias(domain, device))
        case Interface():
            _number("net", devices.interfaces)
        case Hostdev():
            handed_over = [each for each in devices.interfaces if each.type is InterfaceType.HOSTDEV]
            _number("hostdev", [*handed_over, *devices.hostdevs])
        case MemoryDevice():
            _add_module(domain, device)
    for prefix, members in _families(devices).items():
        if any(each is device for each in members):
            _number(prefix, members)


def _add_module(domain: Domain, module: MemoryDevice) -> None:
    prefix = _MODULES[module.model]
    if isinstance(module.address, DimmAddress):
        _name(module, f"{prefix}{module.address.slot}")
    _number(prefix, [each for each in domain.devices.memories if each.model is module.model])


def _families(devices: Devices) -> dict[str, list[Device]]:
    """The families whose names count their members."""
    return {
        "fs": [*devices.filesystems],
        "sound": [*devices.sounds],
        "redir": [*devices.redirdevs],
        "video": [*devices.videos],
        "console": [*devices.consoles],
        "hub": [*devices.hubs],
        "smartcard": [*devices.smartcards],
        "serial": [*devices.serials],
        "parallel": [*devices.parallels],
        "channel": [*devices.channels],
        "input": [*devices.inputs],
        "rng": [*devices.rngs],
        "tpm": [*devices.tpms],
        "shmem": [*devices.shmems],
        "panic": [*devices.panics],
        "crypto": [*devices.cryptos],
        "balloon": [devices.memballoon] if devices.memballoon else [],
        "watchdog": [devices.watchdog] if devices.watchdog else [],
        "vsock": [devices.vsock] if devices.vsock else [],
        "iommu": [devices.iommu] if devices.iommu else [],
    }


_MODULES = {
    MemoryModel.DIMM: "dimm",
    MemoryModel.NVDIMM: "nvdimm",
    MemoryModel.VIRTIO_PMEM: "virtiopmem",
    MemoryModel.VIRTIO_MEM: "virtiomem",
    MemoryModel.SGX_EPC: "epc",
}


def _number(prefix: str, members: Sequence[Device]) -> None:
    """Names with numbers, counted on from the highest that is there."""
    names = (each.alias.name for each in members if each.alias)
    found = (re.fullmatch(rf"{prefix}(\d+)", name) for name in names)
    number = 1 + max((int(match[1]) for match in found if match), default=-1)
    for device in members:
        if device.alias is None:
            _name(device, f"{prefix}{number}")
            number += 1


def _name(device: Device, alias: str) -> None:
    device.alias = device.alias or Alias(name=alias)


def _disk_alias(domain: Domain, disk: Disk) -> str:
    address = disk.address
    if isinstance(address, DriveAddress):
        bus = str(disk.target.bus)
        # The oldest SCSI controller has neither channels nor logical units.
        if disk.target.bus is DiskBus.SCSI and _scsi_model(domain, address.controller) != "lsilogic":
            return f"scsi{address.controller}-{address.bus}-{address.target}-{address.unit}"
        return f"{bus}{address.controller}-{address.bus}-{address.unit}"
    return f"{disk.target.bus}-disk{drive_number(disk.target.dev) or 0}"


def _scsi_model(domain: Domain, index: int) -> str | None:
    controllers = domain.devices.controllers
    return next((c.model for c in controllers if c.type is ControllerType.SCSI and c.index == index), None)


def _controller_alias(domain: Domain, controller: Controller) -> str:
    index = controller.index or 0
    if controller.type is ControllerType.PCI:
        return f"{'pcie' if controller.model == 'pcie-root' else 'pci'}.{index}"
    if controller.type is ControllerType.USB and index == 0:
        return "usb"
    first_of_chipset = (controller.type is ControllerType.IDE and machine.is_i440fx(domain)) or (
        controller.type is ControllerType.SATA and machine.is_q35(domain)
    )
    if index == 0 and first_of_chipset:
        return "ide"
    return f"{controller.type}{index}"
