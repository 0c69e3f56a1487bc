"""What bhyve guests get that their document leaves open, beside what every guest gets.

Source: bhyveDomainDefPostParse and bhyveDomainDeviceDefPostParse of libvirt
"""

from __future__ import annotations

from uuid import uuid4

from vmherd.conf.domain import Domain
from vmherd.conf.domain import complete as complete_generic
from vmherd.conf.domain.address import DriveAddress, PciAddress
from vmherd.conf.domain.buses import add_controller, drive_number, number_controllers
from vmherd.conf.domain.chardev import ChardevSource, ChardevType
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.disk import DiskBus
from vmherd.conf.domain.streams import streams_of
from vmherd.conf.domain.video import Video, VideoModel, VideoType
from vmherd.hypervisors.bhyve import address
from vmherd.hypervisors.bhyve.capabilities import Capabilities, Feature

_AHCI_PORTS = 32


def complete(domain: Domain, caps: Capabilities, *, arch: str = "x86_64") -> None:
    """Complete ``domain`` in place; doing it twice changes nothing more.

    Raises DocumentError where the devices do not fit on the PCI bus.
    """
    domain.uuid = domain.uuid or str(uuid4())
    _null_modems(domain)
    _videos(domain)
    _disks(domain, caps)
    _controllers(domain)
    complete_generic(domain, arch=arch)
    address.assign(domain)


def _null_modems(domain: Domain) -> None:
    """A null modem (nmdm(4)) of the guest's own: its end is A, that of whoever connects B."""
    for stream in streams_of(domain.devices):
        if stream.type is ChardevType.NMDM and not any(source.master for source in stream.sources):
            path = f"/dev/nmdm{domain.uuid}"
            stream.sources = [ChardevSource(master=f"{path}A", slave=f"{path}B")]


def _videos(domain: Domain) -> None:
    """A screen needs a frame buffer, and bhyve has one kind."""
    devices = domain.devices
    if devices.graphics and not devices.videos:
        devices.videos.append(Video())
    for video in devices.videos:
        if video.model is None or video.model.type is VideoType.DEFAULT:
            video.model = video.model or VideoModel(type=VideoType.GOP)
            video.model.type = VideoType.GOP


def _disks(domain: Domain, caps: Capabilities) -> None:
    """Old binaries have one disk on each AHCI controller, others 32.

    A SATA disk in a PCI slot, as a command line names it, is one alone on a controller there.
    """
    ports = _AHCI_PORTS if Feature.AHCI_32_SLOTS in caps else 1
    for disk in domain.devices.disks:
        number = drive_number(disk.target.dev)
        if disk.target.bus is DiskBus.SATA and isinstance(disk.address, PciAddress):
            controller = Controller(type=ControllerType.SATA, address=disk.address)
            domain.devices.controllers.append(controller)
            number_controllers(domain.devices.controllers)
            disk.address = DriveAddress(controller=controller.index or 0)
        elif disk.target.bus is DiskBus.SATA and disk.address is None and number is not None:
            disk.address = DriveAddress(controller=number // ports, unit=number % ports)


def _controllers(domain: Domain) -> None:
    controllers = domain.devices.controllers
    number_controllers(controllers)
    root = add_controller(controllers, ControllerType.PCI, 0)
    root.model = root.model or "pci-root"
    if _needs_isa(domain):
        add_controller(controllers, ControllerType.ISA, 0)


def _needs_isa(domain: Domain) -> bool:
    """Serial ports and boot ROMs sit behind the bridge from PCI to ISA, and UEFI brings the frame buffer."""
    devices = domain.devices
    rom = domain.bootloader is None and (domain.os.loader is not None or domain.os.firmware is not None)
    return rom or bool(devices.serials or devices.consoles or (devices.graphics and devices.videos))
