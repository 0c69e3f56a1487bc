"""What puts a guest's boot loader or kernel into its memory before bhyve runs it.

Source: virBhyveProcessBuildLoadCmd of libvirt, bhyveload(8), grub-bhyve(8)
"""

from __future__ import annotations

from dataclasses import dataclass

from vmherd.conf.domain import Domain
from vmherd.conf.domain.disk import Disk, DiskDevice
from vmherd.conf.domain.os import BootDevice
from vmherd.errors import Unsupported
from vmherd.hypervisors.bhyve.capabilities import Capabilities, GrubFeature
from vmherd.hypervisors.bhyve.command.base import mebibytes, wired
from vmherd.hypervisors.bhyve.command.devices import source
from vmherd.hypervisors.bhyve.command.launch import Launch

_DEVICES = {BootDevice.HD: DiskDevice.DISK, BootDevice.CDROM: DiskDevice.CDROM}


def command(domain: Domain, caps: Capabilities, launch: Launch) -> list[str]:
    """The loader's command: FreeBSD's own, GRUB, or the one the document names, which gets its arguments told."""
    program = domain.bootloader or launch.bhyveload
    if domain.bootloader_args is not None:
        return [program, *domain.bootloader_args.split()]
    if is_grub(domain):
        return [program, *_grub(domain, caps, launch)]
    return [program, "-m", mebibytes(domain), *wired(domain), "-d", source(_boot_disk(domain)), domain.name]


def is_grub(domain: Domain) -> bool:
    return "grub-bhyve" in (domain.bootloader or "")


def _boot_disk(domain: Domain) -> Disk:
    """The disk with the lowest boot order, else the first one of a kind that <os> boots."""
    disks = domain.devices.disks
    if not disks:
        raise Unsupported("the guest has no disk to boot", place="domain/devices", hint="add a <disk>")
    if chosen := _first_in_order(disks):
        return chosen
    wanted = [each.dev for each in domain.os.boots] or [BootDevice.HD]
    for kind in wanted:
        for disk in disks:
            if disk.device is _DEVICES.get(kind):
                return disk
    text = f"the guest shall boot from {' or '.join(map(repr, map(str, wanted)))}, and has no such disk"
    raise Unsupported(text, place="domain/os/boot/@dev", hint="use dev='hd' or dev='cdrom', and add the disk")


def _first_in_order(disks: list[Disk]) -> Disk | None:
    ordered = [(disk.boot.order, disk) for disk in disks if disk.boot is not None]
    return min(ordered, key=lambda each: each[0])[1] if ordered else None


@dataclass(frozen=True)
class _GrubDisks:
    """What GRUB sees: a disk, a CD-ROM, or both."""

    disk: Disk | None
    cdrom: Disk | None

    @property
    def root(self) -> str:
        return "cd" if self.cdrom else "hd0,msdos1"


def _grub_disks(domain: Domain) -> _GrubDisks:
    """That with the lowest boot order alone, else the first of each kind."""
    disks = domain.devices.disks
    if not disks:
        raise Unsupported("the guest has no disk to boot", place="domain/devices", hint="add a <disk>")
    chosen = _first_in_order(disks)
    if chosen is not None:
        disks = [chosen]
    return _GrubDisks(
        next((disk for disk in disks if disk.device is DiskDevice.DISK), None),
        next((disk for disk in disks if disk.device is DiskDevice.CDROM), None),
    )


def device_map(domain: Domain) -> str | None:
    """GRUB's names for the guest's disks; None where the document tells all arguments."""
    if domain.bootloader_args is not None:
        return None
    found = _grub_disks(domain)
    lines = [("(hd0)", found.disk), ("(cd)", found.cdrom)]
    return "".join(f"{name} {source(disk)}\n" for name, disk in lines if disk)


def _grub(domain: Domain, caps: Capabilities, launch: Launch) -> list[str]:
    serial = domain.devices.serials[0] if domain.devices.serials else None
    console = serial.sources[0].master if serial and GrubFeature.CONSDEV in caps.grub else None
    return [
        *("--root", _grub_disks(domain).root),
        *("--device-map", launch.device_map),
        *("--memory", mebibytes(domain)),
        *wired(domain),
        *(["--cons-dev", console] if console else []),
        domain.name,
    ]
