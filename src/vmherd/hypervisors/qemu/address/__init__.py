"""Gives devices their places: ports of virtio-serial lines here, PCI, USB and other buses in modules of their own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import VirtioSerialAddress
from vmherd.conf.domain.buses import add_controller
from vmherd.conf.domain.chardev import ChannelTargetType
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.errors import DocumentError
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.address import bridges, pci, vio, virtio
from vmherd.hypervisors.qemu.capabilities import Capabilities

#: Of a virtio-serial controller that does not tell (max_ports of QEMU's virtio-serial-pci).
_VIRTIO_PORTS = 31


def assign(domain: Domain, caps: Capabilities) -> None:
    """Address every device that has no address yet, adding controllers where buses are full.

    Raises DocumentError where two devices want one place, or nothing is left.
    """
    _virtio_serial(domain)
    vio.assign(domain)
    virtio.assign(domain)
    if machine.pci_root(domain):
        pci.assign(domain, caps)
        bridges.describe(domain, caps)


def _virtio_serial(domain: Domain) -> None:
    """Ports of channels; a console needs no port, since QEMU finds it one.

    Source: qemuDomainAssignVirtioSerialAddresses; an address that tells no port asks for one of its controller.
    """
    devices = domain.devices
    channels = [each for each in devices.channels if each.target.type is ChannelTargetType.VIRTIO]
    given = [each.address for each in (*channels, *devices.consoles)]
    taken = {(each.controller, each.port) for each in given if isinstance(each, VirtioSerialAddress) and each.port}
    for channel in channels:
        address = channel.address
        if address is not None and not (isinstance(address, VirtioSerialAddress) and not address.port):
            continue
        ports = _virtio_ports(devices.controllers, address.controller if address else None)
        place = next((place for place in ports if place not in taken), None)
        if place is None:
            text = "no port is left on the virtio-serial controller that it asks for"
            hint = "raise the controller's ports, or leave <address> out"
            raise DocumentError(text, place="domain/devices/channel/address", hint=hint)
        controller, port = place
        taken.add((controller, port))
        add_controller(devices.controllers, ControllerType.VIRTIO_SERIAL, controller)
        channel.address = VirtioSerialAddress(controller=controller, port=port)


def _virtio_ports(controllers: list[Controller], wanted: int | None) -> Iterator[tuple[int, int]]:
    """Every port of every controller, or those of the one that is wanted, without end; port 0 is for a console."""
    limits = {each.index: each.ports for each in controllers if each.type is ControllerType.VIRTIO_SERIAL}
    for index in count() if wanted is None else (wanted,):
        yield from ((index, port) for port in range(1, limits.get(index) or _VIRTIO_PORTS))
