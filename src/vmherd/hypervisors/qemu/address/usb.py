"""Gives every USB device a port, adding hubs where the controllers have too few.

Source: qemuDomainAssignUSBAddresses of libvirt; numbers of ports from the controllers' device models in QEMU.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import Device, UsbAddress
from vmherd.conf.domain.chardev import SerialTargetType
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.disk import DiskBus
from vmherd.conf.domain.hostdev import HostdevType
from vmherd.conf.domain.input import InputBus
from vmherd.conf.domain.redirdev import Hub, HubType
from vmherd.conf.domain.sound import SoundModel
from vmherd.errors import DocumentError

_HUB_PORTS = 8
#: A port, and on the way there a hub for each number but the last (virDomainDeviceUSBAddressParseXML of libvirt).
_PATH = re.compile(r"[1-9][0-9]{0,2}(\.[1-9][0-9]{0,2}){0,3}")
_PORTS = {
    "piix3-uhci": 2,
    "piix4-uhci": 2,
    "vt82c686b-uhci": 2,
    "pci-ohci": 3,
    "ehci": 6,
    "ich9-ehci1": 6,
    "nec-xhci": 4,
    "qemu-xhci": 4,
}


@dataclass
class _Ports:
    """The ports of a controller or a hub, counted from 1; ``taken`` tells which hub is at a port, if it is one."""

    count: int
    taken: dict[int, _Ports | None] = field(default_factory=dict)

    def free(self) -> str | None:
        """The path to the first free port: here, or else behind the first hub that has one."""
        for number in range(1, self.count + 1):
            if number not in self.taken:
                return str(number)
        for number, hub in sorted(self.taken.items()):
            if hub and (path := hub.free()):
                return f"{number}.{path}"
        return None

    def take(self, path: str, below: _Ports | None) -> None:
        """Use a port.  Raises KeyError if there is no such, ValueError if it is taken."""
        head, _, rest = path.partition(".")
        number = int(head)
        if not 1 <= number <= self.count:
            raise KeyError(path)
        if not rest:
            if number in self.taken:
                raise ValueError(path)
            self.taken[number] = below
        elif hub := self.taken.get(number):
            hub.take(rest, below)
        else:
            raise KeyError(path)


def assign(domain: Domain) -> None:
    """Address every USB device that has no port yet.

    Raises DocumentError where two want one port, or a port is asked for that is not there.
    """
    devices = [*domain.devices.hubs, *_devices(domain)]
    if not devices:
        return
    buses = _buses(domain)
    if not buses:
        raise DocumentError(
            f"a USB <{_tag(devices[0])}> has no controller to sit on",
            place=f"domain/devices/{_tag(devices[0])}",
            hint="add <controller type='usb'/>, or remove the one of model 'none'",
        )
    _add_hubs(domain, sum(ports.count for ports in buses.values()), len(devices))
    devices = [*domain.devices.hubs, *_devices(domain)]
    given = [each for each in devices if isinstance(each.address, UsbAddress) and each.address.port]
    for device in sorted(given, key=_depth):
        _take(buses, device)
    for device in devices:
        if device not in given and isinstance(device.address, UsbAddress | None):
            device.address = _first_free(buses, device)
            _take(buses, device)


def _devices(domain: Domain) -> Iterator[Device]:
    """Every USB device but hubs, in the order in which they choose their ports."""
    devices = domain.devices
    yield from (each for each in devices.hostdevs if each.type is HostdevType.USB)
    yield from (each for each in devices.disks if each.target.bus is DiskBus.USB)
    yield from (each for each in devices.controllers if each.type is ControllerType.CCID)
    yield from (each for each in devices.inputs if each.bus is InputBus.USB)
    yield from (each for each in devices.serials if each.target and each.target.type is SerialTargetType.USB)
    yield from (each for each in devices.sounds if each.model is SoundModel.USB)
    yield from (each for each in devices.interfaces if each.model and each.model.type == "usb-net")
    yield from devices.redirdevs


def _buses(domain: Domain) -> dict[int, _Ports]:
    """The ports of each bus by its number; a companion serves ports of its master, and has none of its own."""
    return {
        each.index or 0: _Ports(_count(each))
        for each in domain.devices.controllers
        if each.type is ControllerType.USB and not each.master and each.model != "none"
    }


def _count(controller: Controller) -> int:
    model = controller.model or ""
    if model.endswith("xhci") and controller.ports:
        return controller.ports
    return _PORTS.get(model, _PORTS["piix3-uhci"])


def _add_hubs(domain: Domain, ports: int, devices: int) -> None:
    """As many hubs as it takes, and one port to spare; each takes a port itself."""
    lacking = devices - ports - _HUB_PORTS * len(domain.devices.hubs)
    if lacking > 0:
        count = -(-(lacking + 1) // (_HUB_PORTS - 1))
        domain.devices.hubs += [Hub(type=HubType.USB) for _ in range(count)]


def _depth(device: Device) -> tuple[int, bool]:
    """A hub has its port before what sits behind it."""
    assert isinstance(device.address, UsbAddress)
    return (device.address.port or "").count("."), not isinstance(device, Hub)


def _first_free(buses: dict[int, _Ports], device: Device) -> UsbAddress:
    wanted = device.address.bus if isinstance(device.address, UsbAddress) else None
    for number, ports in sorted(buses.items()):
        if wanted in (None, number) and (path := ports.free()):
            return UsbAddress(bus=number, port=path)
    place = f"domain/devices/{_tag(device)}"
    raise DocumentError("no USB port is left for it", place=place, hint="add <hub type='usb'/>")


def _take(buses: dict[int, _Ports], device: Device) -> None:
    address = device.address
    assert isinstance(address, UsbAddress)
    assert address.port is not None
    place = f"domain/devices/{_tag(device)}/address"
    if address.bus not in buses:
        hint = f"add <controller type='usb' index='{address.bus}'/>"
        raise DocumentError(f"there is no USB bus {address.bus}", place=place, hint=hint)
    if not _PATH.fullmatch(address.port):
        text = f"{address.port!r} is no path to a USB port: up to four numbers, such as 1.2"
        raise DocumentError(text, place=f"{place}/@port", hint="leave <address> out")
    try:
        buses[address.bus].take(address.port, _Ports(_HUB_PORTS) if isinstance(device, Hub) else None)
    except KeyError:
        raise DocumentError(
            f"USB bus {address.bus} has no port {address.port}", place=place, hint="leave <address> out"
        ) from None
    except ValueError:
        raise DocumentError(
            f"port {address.port} of USB bus {address.bus} is taken by another device",
            place=place,
            hint="leave out the <address> of one of the two",
        ) from None


def _tag(device: Device) -> str:
    return type(device).__xml__.tag
