"""Virtio devices on machines that have no PCI for them: channels of s390x, memory-mapped slots of microvm.

Source: qemuDomainAssignS390Addresses and qemuDomainAssignVirtioMMIOAddresses of libvirt
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import CcwAddress, Device, VirtioMmioAddress
from vmherd.conf.domain.controller import ControllerType
from vmherd.conf.domain.disk import DiskBus
from vmherd.conf.domain.hostdev import HostdevType, MdevModel
from vmherd.conf.domain.input import InputBus
from vmherd.conf.domain.memballoon import MemballoonModel
from vmherd.conf.domain.video import VideoType
from vmherd.errors import DocumentError
from vmherd.hypervisors.qemu import machine

#: The channel subsystem that QEMU shows its virtual devices in.  Source: docs/system/s390x/css.rst of QEMU
_SUBSYSTEM = 0xFE


def assign(domain: Domain) -> None:
    """Address them in place.  Raises DocumentError where two devices want one place."""
    if machine.is_s390(domain):
        _channels(domain)
    elif machine.is_microvm(domain):
        for device in _devices(domain):
            device.address = device.address or VirtioMmioAddress()


def _channels(domain: Domain) -> None:
    devices = [*_devices(domain), *_mediated(domain)]
    taken: set[tuple[int, int, int]] = set()
    for device in devices:
        if isinstance(device.address, CcwAddress) and device.address.devno is not None:
            _reserve(device.address, taken)
    free = (number for number in count() if (_SUBSYSTEM, 0, number) not in taken)
    for device in devices:
        if device.address is None or (isinstance(device.address, CcwAddress) and device.address.devno is None):
            device.address = CcwAddress(cssid=_SUBSYSTEM, ssid=0, devno=next(free))


def _reserve(address: CcwAddress, taken: set[tuple[int, int, int]]) -> None:
    key = (address.cssid or 0, address.ssid or 0, address.devno or 0)
    if key in taken:
        text = "the channel address {:x}.{:x}.{:04x} is taken by another device".format(*key)
        raise DocumentError(text, place="domain/devices", hint="leave <address> out of one of them")
    taken.add(key)


def _devices(domain: Domain) -> Iterator[Device]:
    """All virtio devices, in the order in which they are placed."""
    devices = domain.devices
    yield from (disk for disk in devices.disks if disk.target.bus is DiskBus.VIRTIO)
    yield from (card for card in devices.interfaces if card.model and card.model.type.startswith("virtio"))
    yield from (each for each in devices.hostdevs if each.type is HostdevType.SCSI_HOST)
    yield from (video for video in devices.videos if video.model and video.model.type is VideoType.VIRTIO)
    for controller in devices.controllers:
        is_scsi = controller.type is ControllerType.SCSI and (controller.model or "").startswith("virtio")
        if is_scsi or controller.type is ControllerType.VIRTIO_SERIAL:
            yield controller
    yield from (each for each in devices.inputs if each.bus is InputBus.VIRTIO)
    yield from devices.filesystems
    if devices.memballoon and devices.memballoon.model is not MemballoonModel.NONE:
        yield devices.memballoon
    yield from devices.rngs
    yield from devices.cryptos
    if devices.vsock:
        yield devices.vsock


def _mediated(domain: Domain) -> Iterator[Device]:
    """Channel devices of the host."""
    return (each for each in domain.devices.hostdevs if each.model is MdevModel.VFIO_CCW)
