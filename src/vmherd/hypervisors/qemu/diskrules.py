"""What QEMU's disks and file systems cannot be or do.

Source: qemuValidateDomainDeviceDefDisk and ...FS in qemu_validate.c, qemuDomainValidateStorageSource of libvirt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.address import UsbAddress
from vmherd.conf.domain.defaults import sources_of
from vmherd.conf.domain.disk import Disk, DiskBus, DiskDevice
from vmherd.conf.domain.problem import numbered
from vmherd.conf.domain.storage import DiskSource, EncryptionEngine, StorageFormat, StorageType
from vmherd.hypervisors.qemu.capabilities import Capabilities

#: Formats that QEMU cannot write to, or knows by another name.
_FORMATS = {
    StorageFormat.COW: "QEMU has no driver for it; convert the image with qemu-img",
    StorageFormat.DIR: "use 'fat'",
    StorageFormat.ISO: "use 'raw'",
    StorageFormat.PLOOP: "convert the image with qemu-img",
}
_ENCRYPTED = (None, StorageFormat.RAW, StorageFormat.QCOW2)


def images(domain: Domain) -> Iterator[Problem]:
    """Image formats that a start needs; a definition may wait for its image to be converted."""
    for number, disk in numbered(domain.devices.disks):
        place = f"domain/devices/disk[{number}]/driver/@type"
        kind = disk.driver.type if disk.driver else None
        if kind in _FORMATS:
            yield Problem(place, f"QEMU does not run {str(kind)!r} images", _FORMATS[kind])
        encrypted = disk.encryption or (disk.source.encryption if disk.source else None)
        if encrypted and encrypted.engine is not EncryptionEngine.LIBRBD and kind not in _ENCRYPTED:
            yield Problem(place, f"QEMU has no encrypted {kind} images", "use 'raw' or 'qcow2'")


def disks(domain: Domain, _: Capabilities) -> Iterator[Problem]:
    """What depends on how a disk is used."""
    for number, disk in numbered(domain.devices.disks):
        place = f"domain/devices/disk[{number}]"
        kind = disk.driver.type if disk.driver else None
        if disk.shareable and kind not in (None, StorageFormat.RAW):
            text = f"guests would damage a {kind} image that they share"
            yield Problem(f"{place}/shareable", text, "use a raw image, or remove <shareable/>")
        if disk.readonly and disk.device is DiskDevice.DISK and disk.target.bus in (DiskBus.IDE, DiskBus.SATA):
            text = f"a hard disk on {disk.target.bus.upper()} cannot be read-only"
            yield Problem(f"{place}/readonly", text, "use bus='virtio' or bus='scsi', or device='cdrom'")
        if disk.target.bus is DiskBus.USB and disk.address and not isinstance(disk.address, UsbAddress):
            yield Problem(f"{place}/address/@type", "a disk on USB has an address on USB", "use type='usb'")


def not_here_yet(domain: Domain) -> Iterator[Problem]:
    """What QEMU could do, but this program does not hand to it yet."""
    for number, disk in numbered(domain.devices.disks):
        place = f"domain/devices/disk[{number}]"
        if disk.transient:
            text = "changes to a transient disk are not thrown away yet"
            yield Problem(f"{place}/transient", text, "remove <transient/>, and keep a copy")
        if disk.type is StorageType.VOLUME:
            hint = "name the image itself: type='file' and <source file='...'/>"
            yield Problem(f"{place}/@type", "this program has no storage pools yet", hint)
        for source in sources_of(disk):
            yield from _source_not_yet(disk, source, f"{place}/source")


def _source_not_yet(disk: Disk, source: DiskSource, place: str) -> Iterator[Problem]:
    if source.auth or disk.auth or source.encryption or disk.encryption or source.cookies:
        text = "this program keeps no secrets yet, so it has no passwords and keys"
        yield Problem(place, text, "use a source that needs none")
    if source.address is not None:
        text = "NVMe controllers of the host are not handed over yet"
        yield Problem(f"{place}/address", text, "use its block device: type='block' and <source dev='/dev/nvme0n1'/>")
    if source.fdgroup:
        yield Problem(f"{place}/@fdgroup", "open files are not taken from clients yet", "remove fdgroup")
    if source.tls:
        yield Problem(f"{place}/@tls", "there are no certificates for NBD yet", "connect through a tunnel")


Rule = Callable[[Domain, Capabilities], Iterator[Problem]]

RULES: tuple[Rule, ...] = (disks,)
