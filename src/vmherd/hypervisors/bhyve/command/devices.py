"""Everything on the PCI bus, and the serial ports behind it."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import Device, DriveAddress, PciAddress
from vmherd.conf.domain.audio import Audio
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.disk import Disk, DiskBus, DiskDevice
from vmherd.hypervisors.bhyve.capabilities import Capabilities, Feature
from vmherd.hypervisors.bhyve.command.launch import Launch

_MODELS = {"virtio": "virtio-net", "e1000": "e1000"}


def source(disk: Disk) -> str:
    """The file or block device behind a disk."""
    assert disk.source is not None  # checked: bhyve has no empty drives
    return disk.source.file or disk.source.dev or ""


def _slot(device: Device, emulation: str) -> Iterator[str]:
    assert isinstance(device.address, PciAddress)  # completion places each
    _, _, slot, function = device.address.key
    yield "-s"
    yield f"{slot}:{function},{emulation}"


def controllers(domain: Domain, caps: Capabilities) -> Iterator[str]:
    for controller in domain.devices.controllers:
        match controller.type:
            case ControllerType.SATA:
                yield from _ahci(domain, controller, caps)
            case ControllerType.USB:
                yield from _slot(controller, "xhci,tablet")
            case ControllerType.ISA:
                yield from _slot(controller, "lpc")


def _ahci(domain: Domain, controller: Controller, caps: Capabilities) -> Iterator[str]:
    """A controller with its disks; an old bhyve names the kind of the one disk in that of the controller."""
    found = "ahci"
    for disk in domain.devices.disks:
        address = disk.address
        if disk.target.bus is not DiskBus.SATA or not isinstance(address, DriveAddress):
            continue
        if address.controller == controller.index:
            kind = "cd" if disk.device is DiskDevice.CDROM else "hd"
            found += f",{kind}:{source(disk)}" if Feature.AHCI_32_SLOTS in caps else f"-{kind},{source(disk)}"
    return _slot(controller, found)


def interfaces(domain: Domain, launch: Launch) -> Iterator[str]:
    for interface in domain.devices.interfaces:
        assert interface.model is not None  # checked
        assert interface.mac is not None  # completion gives one
        emulation = _MODELS[interface.model.type]
        yield from _slot(interface, f"{emulation},{launch.tap(interface)},mac={interface.mac.address}")


def disks(domain: Domain) -> Iterator[str]:
    """Those on a slot of their own."""
    for disk in domain.devices.disks:
        if disk.target.bus is DiskBus.VIRTIO:
            yield from _slot(disk, f"virtio-blk,{source(disk)}")


def screen(domain: Domain) -> Iterator[str]:
    if not domain.devices.graphics or not domain.devices.videos:
        return
    graphics, video = domain.devices.graphics[0], domain.devices.videos[0]
    address = graphics.listens[0].address or ""
    found = f"fbuf,tcp={f'[{address}]' if ':' in address else address}:{graphics.port}"
    if video.driver and video.driver.vgaconf:
        found += f",vga={video.driver.vgaconf}"
    if video.model and video.model.resolution:
        found += f",w={video.model.resolution.x},h={video.model.resolution.y}"
    if graphics.passwd is not None:
        found += f",password={graphics.passwd}"
    yield from _slot(video, found)


def sounds(domain: Domain) -> Iterator[str]:
    backends = {audio.id: audio for audio in domain.devices.audios}
    for sound in domain.devices.sounds:
        backend = backends.get(sound.audio.id) if sound.audio else None
        yield from _slot(sound, _hda(backend))


def _hda(backend: Audio | None) -> str:
    found = "hda"
    if backend and backend.output and backend.output.dev:
        found += f",play={backend.output.dev}"
    if backend and backend.input and backend.input.dev:
        found += f",rec={backend.input.dev}"
    return found


def filesystems(domain: Domain) -> Iterator[str]:
    for each in domain.devices.filesystems:
        assert each.source is not None  # checked
        assert each.target is not None
        readonly = ",ro" if each.readonly else ""
        yield from _slot(each, f"virtio-9p,{each.target.dir}={each.source.dir}{readonly}")


def serials(domain: Domain) -> Iterator[str]:
    for serial in domain.devices.serials:
        port = serial.target.port if serial.target else None
        yield "-l"
        yield f"com{(port or 0) + 1},{serial.sources[0].master}"
