"""Disks: the image as block nodes, and the device the guest sees.

Source: "blockdev-add" in QEMU's QMP reference; node names as libvirt gives them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import DriveAddress
from vmherd.conf.domain.controller import ControllerType
from vmherd.conf.domain.disk import Disk, DiskBus, DiskCache, DiskDevice, DiskIo, ErrorPolicy
from vmherd.conf.domain.os import BootDevice
from vmherd.conf.domain.storage import StorageFormat, StorageType
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, option, virtio, virtio_name

#: Formats of libvirt by the name of QEMU's block driver.
_FORMATS = {StorageFormat.FAT: "vvfat", StorageFormat.ISO: "raw", StorageFormat.VPC: "vpc", StorageFormat.VHD: "vpc"}

#: (bypass the host's cache, never flush, the guest's own write cache) of each cache mode.
_CACHES = {
    DiskCache.NONE: (True, False, True),
    DiskCache.WRITEBACK: (False, False, True),
    DiskCache.WRITETHROUGH: (False, False, False),
    DiskCache.DIRECTSYNC: (True, False, False),
    DiskCache.UNSAFE: (False, True, True),
}


def arguments(domain: Domain) -> list[str]:
    """Every disk in document order; the nodes are numbered from the last one."""
    disks = domain.devices.disks
    order = dict(boot_order(domain))
    args = _floppy_controller(domain, order)
    for place, disk in enumerate(disks):
        node = f"libvirt-{len(disks) - place}"
        args += _image(disk, node)
        properties = _device(domain, disk, f"{node}-format" if _has_image(disk) else None)
        index = None if _is_floppy(disk) else order.get(place)
        args += device({**properties, "bootindex": index, **_rest(disk)})
    return args


def _floppy_controller(domain: Domain, order: dict[int, int]) -> list[str]:
    """The old PC has a controller for floppy disks by itself, the new one none; either is what boots."""
    units = {place: _drive(disk).unit for place, disk in enumerate(domain.devices.disks) if _is_floppy(disk)}
    boots = {f"bootindex{'AB'[unit]}": order[place] for place, unit in units.items() if place in order and unit < 2}
    if units and machine.is_q35(domain):
        return device({"driver": "isa-fdc", **boots})
    return [word for name, index in boots.items() for word in ("-global", f"isa-fdc.{name}={index}")]


def _is_floppy(disk: Disk) -> bool:
    return disk.target.bus is DiskBus.FDC


def boot_order(domain: Domain) -> Iterator[tuple[int, int]]:
    """(place in the list, boot index) of each disk the guest may boot from."""
    kinds = {BootDevice.HD: DiskDevice.DISK, BootDevice.CDROM: DiskDevice.CDROM, BootDevice.FD: DiskDevice.FLOPPY}
    for place, disk in enumerate(domain.devices.disks):
        if disk.boot:
            yield place, disk.boot.order
    for index, boot in enumerate(domain.os.boots, start=1):
        if boot.dev in kinds:
            found = (n for n, disk in enumerate(domain.devices.disks) if disk.device is kinds[boot.dev])
            yield from ((place, index) for place in list(found)[:1])


def _has_image(disk: Disk) -> bool:
    return disk.source is not None and bool(disk.source.file or disk.source.dev or disk.source.dir)


def _image(disk: Disk, node: str) -> list[str]:
    if not _has_image(disk):
        return []
    storage = option("-blockdev", _storage(disk, f"{node}-storage"))
    assert disk.driver is not None  # completion gives one to each
    kind = disk.driver.type or StorageFormat.RAW
    image: Properties = {
        "node-name": f"{node}-format",
        "read-only": disk.readonly,
        "cache": _cache(disk),
        "discard": disk.driver.discard,
        "detect-zeroes": disk.driver.detect_zeroes,
        "driver": _FORMATS.get(kind, str(kind)),
        "file": f"{node}-storage",
    }
    return storage + option("-blockdev", image)


def _storage(disk: Disk, name: str) -> Properties:
    source, driver = disk.source, disk.driver
    assert source is not None
    assert driver is not None
    match disk.type:
        case StorageType.FILE:
            place: Properties = {"driver": "file", "filename": source.file}
        case StorageType.BLOCK:
            place = {"driver": "host_cdrom" if _is_cdrom(disk) else "host_device", "filename": source.dev}
        case StorageType.DIR:
            place = {"driver": "vvfat", "dir": source.dir, "floppy": disk.device is DiskDevice.FLOPPY}
        case _:
            raise Unsupported(
                f"disks of type {str(disk.type)!r} are not supported yet", place="domain/devices/disk/@type"
            )
    return {
        **place,
        "aio": None if driver.io in (None, DiskIo.DEFAULT) else str(driver.io),
        "node-name": name,
        "cache": _cache(disk),
        "auto-read-only": True,
        "discard": "unmap",
    }


#: What Linux and udev call a real CD-ROM drive.
_DRIVE = re.compile(r"(sr|cdrom|dvd)\d*$")


def _is_cdrom(disk: Disk) -> bool:
    """Whether it is a drive whose tray can be opened."""
    device = disk.source.dev if disk.source else None
    return (
        disk.device is DiskDevice.CDROM
        and device is not None
        and bool(_DRIVE.match(Path(device).name) or _DRIVE.match(Path(device).resolve().name))
    )


def _cache(disk: Disk) -> Properties | None:
    mode = _CACHES.get(disk.driver.cache) if disk.driver and disk.driver.cache else None
    return None if mode is None else {"direct": mode[0], "no-flush": mode[1]}


def _device(domain: Domain, disk: Disk, node: str | None) -> Properties:
    name = alias(disk)
    match disk.target.bus:
        case DiskBus.VIRTIO:
            return _virtio(domain, disk, node)
        case DiskBus.IDE | DiskBus.SATA:
            kind = "ide-cd" if disk.device is DiskDevice.CDROM else "ide-hd"
            return {"driver": kind, **_ata_place(domain, disk), "drive": node, "id": name}
        case DiskBus.SCSI:
            kind = "scsi-cd" if disk.device is DiskDevice.CDROM else "scsi-hd"
            return {"driver": kind, **_scsi_place(domain, disk), "drive": node, "id": name}
        case DiskBus.USB:
            removable = disk.target.removable
            return {
                "driver": "usb-storage",
                **bus(disk, domain),
                "drive": node,
                "id": name,
                "removable": bool(removable),
            }
        case DiskBus.FDC:
            return {"driver": "floppy", "unit": _drive(disk).unit, "drive": node, "id": name}
    raise Unsupported(f"QEMU has no disk bus {str(disk.target.bus)!r}", place="domain/devices/disk/target/@bus")


def _virtio(domain: Domain, disk: Disk, node: str | None) -> Properties:
    driver = disk.driver
    assert driver is not None
    return {
        "driver": virtio_name("virtio-blk", disk.model),
        "iothread": None if driver.iothread is None else f"iothread{driver.iothread}",
        "ioeventfd": driver.ioeventfd,
        "event_idx": driver.event_idx,
        **virtio(driver),
        "num-queues": driver.queues,
        "queue-size": driver.queue_size,
        **bus(disk, domain),
        "drive": node,
        "id": alias(disk),
    }


def _drive(disk: Disk) -> DriveAddress:
    if isinstance(disk.address, DriveAddress):
        return disk.address
    raise Unsupported(f"disk {disk.target.dev!r} needs a drive address", place="domain/devices/disk/address")


def _ata_place(domain: Domain, disk: Disk) -> Properties:
    address = _drive(disk)
    if disk.target.bus is DiskBus.IDE:
        return {"bus": f"ide.{address.bus}", "unit": address.unit}
    prefix = "ide" if machine.is_q35(domain) and address.controller == 0 else f"sata{address.controller}"
    return {"bus": f"{prefix}.{address.unit}"}


def _scsi_place(domain: Domain, disk: Disk) -> Properties:
    address = _drive(disk)
    controllers = domain.devices.controllers
    models = [c.model for c in controllers if c.type is ControllerType.SCSI and c.index == address.controller]
    root, identity = f"scsi{address.controller}.0", f"drive-{alias(disk)}"
    if models and models[0] == "lsilogic":
        return {"bus": root, "scsi-id": address.unit, "device_id": identity}
    return {"bus": root, "channel": 0, "scsi-id": address.target, "lun": address.unit, "device_id": identity}


def _rest(disk: Disk) -> Properties:
    """What identifies the disk to the guest, and whether it may trust its cache."""
    mode = _CACHES.get(disk.driver.cache) if disk.driver and disk.driver.cache else None
    has_cache = mode is not None and disk.device is not DiskDevice.CDROM and disk.target.bus is not DiskBus.FDC
    sizes, shape = disk.blockio, disk.geometry
    return {
        "cyls": shape.cyls if shape else None,
        "heads": shape.heads if shape else None,
        "secs": shape.secs if shape else None,
        "bios-chs-trans": shape.trans if shape else None,
        "logical_block_size": sizes.logical_block_size if sizes else None,
        "physical_block_size": sizes.physical_block_size if sizes else None,
        "wwn": None if disk.wwn is None else int(disk.wwn, 16),
        "rotation_rate": disk.target.rotation_rate,
        "vendor": disk.vendor,
        "product": disk.product,
        "write-cache": ("on" if mode[2] else "off") if mode and has_cache else None,
        "serial": disk.serial,
        "share-rw": True if disk.shareable else None,
        **_on_error(disk),
    }


def _on_error(disk: Disk) -> Properties:
    """What happens to a guest whose disk fails: the policy for writing is that for reading, too, unless one is told."""
    driver = disk.driver
    writing = driver.error_policy if driver and driver.error_policy is not ErrorPolicy.DEFAULT else None
    reading = driver.rerror_policy if driver and driver.rerror_policy is not ErrorPolicy.DEFAULT else None
    if writing is ErrorPolicy.ENOSPACE:  # there is no such error in reading
        return {"werror": "enospc", "rerror": reading}
    return {"werror": writing, "rerror": reading or writing}
