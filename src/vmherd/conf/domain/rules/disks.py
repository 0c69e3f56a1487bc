"""Checks of disks that hold for every hypervisor: their images, credentials, names, and what a bus can tell.

Source: virDomainDiskDefValidate and virDomainDiskDefParseXML of libvirt
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmherd.conf.domain.address import DriveAddress, UnassignedAddress
from vmherd.conf.domain.defaults import sources_of
from vmherd.conf.domain.disk import BackingStore, Disk, DiskBus, DiskDevice, DiskDriver, Mirror
from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.problem import Problem, duplicates, numbered
from vmherd.conf.domain.rules.sources import source_problems
from vmherd.conf.domain.storage import StartupPolicy, StorageType

_REMOVABLE = (DiskDevice.CDROM, DiskDevice.FLOPPY)


def disks(domain: Domain) -> Iterator[Problem]:
    for number, disk in numbered(domain.devices.disks):
        place = f"domain/devices/disk[{number}]"
        for rule in _RULES:
            yield from rule(disk, place)
        if disk.source is not None:
            yield from source_problems(disk.type, disk.source, disk.auth, f"{place}/source")
        yield from _layers(disk.backing_store, f"{place}/backingStore")
        yield from _layers(disk.mirror, f"{place}/mirror")


def _layers(first: BackingStore | Mirror | None, place: str) -> Iterator[Problem]:
    """The images below or beside a disk's own."""
    layer = first
    while layer is not None:
        if layer.type is not None and layer.source is not None:
            yield from source_problems(layer.type, layer.source, None, f"{place}/source")
        layer, place = layer.backing_store, f"{place}/backingStore"


def _image(disk: Disk, place: str) -> Iterator[Problem]:
    """Only drives can be empty, those of the host as well; credentials and keys are told in one place."""
    if disk.device is DiskDevice.DISK and disk.is_empty and disk.type is not StorageType.NETWORK:
        text = f"{disk.target.dev!r} has no image, and only drives for CD-ROMs and floppies can be empty"
        yield Problem(f"{place}/source", text, "add <source file='...'/>")
    if disk.source is None:
        return
    for name in ("auth", "encryption"):
        if getattr(disk, name) is not None and getattr(disk.source, name) is not None:
            yield Problem(f"{place}/{name}", f"<source> has an <{name}> too", "keep the one in <source>")
    policy = disk.source.startup_policy
    if policy is not None and disk.type is StorageType.NETWORK:
        text = "whether a server is there is not known before"
        yield Problem(f"{place}/source/@startupPolicy", text, "leave startupPolicy out")
    elif policy is StartupPolicy.REQUISITE and disk.device not in _REMOVABLE:
        yield Problem(f"{place}/source/@startupPolicy", "only a medium can be 'requisite'", "use 'optional'")


def _encryption(disk: Disk, place: str) -> Iterator[Problem]:
    for encryption in (disk.encryption, *(source.encryption for source in sources_of(disk))):
        if encryption is None:
            continue
        if encryption.cipher or encryption.ivgen:
            yield Problem(f"{place}/encryption", "a cipher is chosen when an image is made, not here", "remove it")
        for secret in encryption.secrets:
            if secret.type != "passphrase":
                text = f"the secret of an image is a passphrase, not {secret.type!r}"
                yield Problem(f"{place}/encryption/secret/@type", text, "write type='passphrase'")


#: How disks are named on each kind of drive.
_NAME = re.compile(r"(hd|sd|vd|xvd|ubd)[a-z]+")
_FLOPPY = re.compile(r"fd[a-z]+")
#: A partition is no disk; names that hypervisors give other devices are theirs to check.
_PARTITION = re.compile(r"(hd|sd|vd|xvd|ubd)[a-z]+\d+")


def _target(disk: Disk, place: str) -> Iterator[Problem]:
    name = disk.target.dev
    if disk.target.bus is None:
        return  # the name suggests none, which is told elsewhere
    if disk.device is DiskDevice.FLOPPY and not _FLOPPY.match(name):
        yield Problem(f"{place}/target/@dev", f"{name!r} is no name of a floppy drive", "name it fda or fdb")
    elif disk.device is not DiskDevice.FLOPPY and not _NAME.match(name):
        yield Problem(f"{place}/target/@dev", f"{name!r} is no name of a disk", "name it vda, sda, hda, ...")
    elif _PARTITION.fullmatch(name):
        yield Problem(f"{place}/target/@dev", f"{name!r} names a partition", "name the disk: without a number")
    if disk.target.tray is not None and disk.device not in _REMOVABLE:
        yield Problem(f"{place}/target/@tray", "only CD-ROM drives and floppy drives have a tray", "remove it")
    if disk.target.removable is not None and disk.target.bus is not DiskBus.USB:
        yield Problem(f"{place}/target/@removable", "only disks on USB can be removable", "remove it")
    ata = disk.target.bus in (DiskBus.SCSI, DiskBus.IDE, DiskBus.SATA)
    if disk.target.rotation_rate and not (ata and disk.device is DiskDevice.DISK):
        text = "only hard disks on IDE, SATA and SCSI tell how fast they turn"
        yield Problem(f"{place}/target/@rotation_rate", text, "remove it")


_DRIVES = (DiskBus.IDE, DiskBus.FDC, DiskBus.SCSI, DiskBus.SATA)


def _address(disk: Disk, place: str) -> Iterator[Problem]:
    address = disk.address
    if disk.target.bus in _DRIVES and address and not isinstance(address, DriveAddress | UnassignedAddress):
        text = f"a disk on {disk.target.bus} has a place on a controller"
        yield Problem(f"{place}/address/@type", text, "use type='drive', or leave <address> out")


#: What only virtio devices have.
_VIRTIO = ("event_idx", "ioeventfd", "iommu", "ats", "packed", "page_per_vq", "queues", "queue_size")


def _virtio(disk: Disk, place: str) -> Iterator[Problem]:
    if disk.target.bus in (DiskBus.VIRTIO, None):
        return
    driver = disk.driver or DiskDriver()
    for name in _VIRTIO:
        if getattr(driver, name) is not None:
            yield Problem(f"{place}/driver/@{name}", "only virtio disks have it", "remove it, or use bus='virtio'")
    if disk.model is not None:
        yield Problem(f"{place}/@model", f"a disk on {disk.target.bus} has no model", "remove it, or use bus='virtio'")


def _lun(disk: Disk, place: str) -> Iterator[Problem]:
    """A LUN is a whole device of the host, which tells itself what it is."""
    whole = disk.type in (StorageType.BLOCK, StorageType.NETWORK, StorageType.VOLUME)
    if disk.device is DiskDevice.LUN and not whole:
        yield Problem(f"{place}/@device", f"a lun cannot be a {disk.type}", "use type='block' or device='disk'")
    if disk.device is DiskDevice.LUN:
        return
    for name in ("rawio", "sgio"):
        if getattr(disk, name) is not None:
            yield Problem(f"{place}/@{name}", "only a lun can be given SCSI commands", "use device='lun'")
    if any(source.reservations for source in sources_of(disk)):
        yield Problem(f"{place}/source/reservations", "only a lun can be reserved", "use device='lun'")


#: Bytes that SCSI has room for.
_VENDOR, _PRODUCT = 8, 16


def _identity(disk: Disk, place: str) -> Iterator[Problem]:
    for name, most in (("vendor", _VENDOR), ("product", _PRODUCT)):
        text = getattr(disk, name)
        if text is None:
            continue
        if disk.target.bus is not DiskBus.SCSI:
            yield Problem(f"{place}/{name}", "only SCSI disks have vendor and product", "use bus='scsi'")
        if len(text) > most or not (text.isascii() and text.isprintable()):
            yield Problem(f"{place}/{name}", f"it has {most} printable characters at most", "shorten it")


def _limits(disk: Disk, place: str) -> Iterator[Problem]:
    """A limit is for reading and writing together, or for each."""
    tune = disk.iotune
    if tune is None:
        return
    for unit in ("bytes_sec", "iops_sec"):
        for end in ("", "_max"):
            each = [name for way in ("read", "write") if getattr(tune, name := f"{way}_{unit}{end}")]
            if getattr(tune, f"total_{unit}{end}") and each:
                text = f"the total is limited, and {each[0]} as well"
                yield Problem(f"{place}/iotune/total_{unit}{end}", text, "tell the total, or both parts")


_RULES = (_image, _encryption, _target, _address, _virtio, _lun, _identity, _limits)


def names(domain: Domain) -> Iterator[Problem]:
    """Two disks cannot have one world wide name."""
    wwns = [(f"domain/devices/disk[{place}]/wwn", each.wwn) for place, each in numbered(domain.devices.disks)]
    yield from duplicates([(place, wwn) for place, wwn in wwns if wwn], "{} is the wwn of another disk")


RULES = (disks, names)
