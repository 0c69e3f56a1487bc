"""The parts every device has on QEMU's command line."""

from __future__ import annotations

import json
from collections.abc import Mapping

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import (
    CcidAddress,
    CcwAddress,
    Device,
    HostPciAddress,
    IsaAddress,
    PciAddress,
    SpaprVioAddress,
    UsbAddress,
    VirtioDriver,
    VirtioMmioAddress,
    VirtioSerialAddress,
)
from vmherd.conf.domain.controller import ControllerDriver, ControllerType
from vmherd.conf.domain.disk import DiskDriver
from vmherd.conf.domain.filesystem import FilesystemDriver
from vmherd.conf.domain.net import InterfaceDriver
from vmherd.conf.domain.video import VideoDriver
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu import machine

#: The properties of a QEMU object.
Properties = dict[str, object]

_VirtioOptions = VirtioDriver | ControllerDriver | DiskDriver | FilesystemDriver | InterfaceDriver | VideoDriver | None


#: The value of a property that is JSON's null; None stands for a property that is left out.
NULL = object()


def option(name: str, properties: Mapping[str, object]) -> list[str]:
    """One option with its value as JSON; properties that are None are left out."""
    return [name, json.dumps(_present(properties), separators=(",", ":"), default=_null)]


def _present(value: object) -> object:
    if isinstance(value, dict):
        return {key: _present(each) for key, each in value.items() if each is not None}
    return [_present(each) for each in value] if isinstance(value, list) else value


def _null(_: object) -> None:
    """What ``NULL`` becomes."""


def device(properties: Mapping[str, object]) -> list[str]:
    return option("-device", properties)


def alias(each: Device) -> str:
    """The id of a device; the start names all of them."""
    assert each.alias is not None
    return each.alias.name


def escape(text: str) -> str:
    """A value inside ``key=value,key=value``, where a comma is doubled (QEMU's keyval syntax)."""
    return text.replace(",", ",,")


def host_pci(address: HostPciAddress) -> str:
    """A PCI device of the host by the name the kernel gives it."""
    return f"{address.domain:04x}:{address.bus:02x}:{address.slot:02x}.{address.function:x}"


def bus(each: Device, domain: Domain) -> Properties:
    """Where a device is plugged in, as its address says."""
    match each.address:
        case PciAddress() as address:
            place = f"{address.slot or 0:#x}" + (f".{address.function:#x}" if address.function else "")
            found: Properties = {
                "bus": _pci_bus(domain, address.bus or 0),
                "multifunction": address.multifunction,
                "addr": place,
                "acpi-index": each.acpi.index if each.acpi else None,
            }
            return found | _rom(each)
        case UsbAddress() as address:
            usb = _controller(domain, ControllerType.USB, address.bus, "usb{}" if address.bus else "usb")
            return {"bus": f"{usb}.0", "port": address.port}
        case VirtioSerialAddress() as address:
            ports = _controller(domain, ControllerType.VIRTIO_SERIAL, address.controller, "virtio-serial{}")
            return {"bus": f"{ports}.{address.bus}", "nr": address.port}
        case CcidAddress() as address:
            return {"bus": f"{_controller(domain, ControllerType.CCID, address.controller, 'ccid{}')}.0"}
        case SpaprVioAddress() as address:
            return {"reg": address.reg}
        case CcwAddress() as address:
            return {"devno": f"{address.cssid or 0:x}.{address.ssid or 0:x}.{address.devno or 0:04x}"}
        case VirtioMmioAddress():
            return {}
        case IsaAddress() as address:
            return {"iobase": address.iobase, "irq": address.irq}
        case None:
            return {}
    raise Unsupported(f"QEMU cannot place a device at an address of type {type(each.address).__name__}")


def _pci_bus(domain: Domain, index: int) -> str:
    """That of the board has a name of its own, whatever the document calls it; a host bridge has its bus inside."""
    if index == 0:
        return "pcie.0" if machine.pci_root(domain) == "pcie-root" else "pci.0"
    name = _controller(domain, ControllerType.PCI, index, "pci.{}")
    controllers = (each for each in domain.devices.controllers if each.type is ControllerType.PCI)
    return f"{name}.0" if any(each.index == index and each.model == "pci-root" for each in controllers) else name


def _controller(domain: Domain, kind: ControllerType, index: int, name: str) -> str:
    """The id of a controller: its alias, or ``name`` for one that the board has by itself."""
    for each in domain.devices.controllers:
        if each.type is kind and each.index == index and each.alias and each.alias.is_users:
            return each.alias.name
    return name.format(index)


def _rom(each: Device) -> Properties:
    """The option ROM of a PCI device; an empty file name keeps QEMU from giving it one."""
    rom = each.rom
    if rom is None:
        return {}
    return {"rombar": None if rom.bar is None else int(rom.bar), "romfile": "" if rom.enabled is False else rom.file}


def virtio(driver: _VirtioOptions) -> Properties:
    """Options every virtio device has."""
    if driver is None:
        return {}
    return {
        "iommu_platform": driver.iommu,
        "ats": driver.ats,
        "packed": driver.packed,
        "page-per-vq": driver.page_per_vq,
    }


def virtio_name(name: str, model: object, each: Device) -> str:
    """The device type of a virtio device on its bus; on PCI with its flavour, if the model tells one."""
    if isinstance(each.address, CcwAddress):
        return f"{name}-ccw"
    if isinstance(each.address, VirtioMmioAddress):
        return f"{name}-device"
    text = str(model or "")
    for flavour in ("-non-transitional", "-transitional"):
        if text.endswith(flavour):
            return f"{name}-pci{flavour}"
    return f"{name}-pci"
