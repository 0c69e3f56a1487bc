"""Disks: the device the guest sees, over the nodes of its image.

Source: qemuBuildDiskCommandLine and qemuBuildDiskDeviceProps of libvirt.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import DriveAddress
from vmherd.conf.domain.controller import ControllerType
from vmherd.conf.domain.defaults import sources_of
from vmherd.conf.domain.disk import BlockIo, Disk, DiskBus, DiskDevice, ErrorPolicy
from vmherd.conf.domain.os import BootDevice
from vmherd.conf.domain.storage import StorageType
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.command import blockdev, sdcard, vhostuser
from vmherd.hypervisors.qemu.command.blockdev import Image
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, virtio, virtio_name
from vmherd.hypervisors.qemu.command.launch import Launch


def arguments(domain: Domain, launch: Launch) -> list[str]:
    """Every disk in document order; the nodes are numbered from the last one.

    One whose image several guests share until they write comes when QEMU runs: it needs a node of its own first.
    """
    order = dict(boot_order(domain))
    args = _floppy_controller(domain, order)
    chains = blockdev.plan(domain, launch).chains
    for place, (disk, images) in enumerate(zip(domain.devices.disks, chains, strict=True)):
        if disk.transient and disk.transient.share_backing:
            continue
        if disk.target.bus is DiskBus.SD:
            args += sdcard.arguments(disk)
            continue
        backend, words = _backend(disk, images, launch)
        index = None if _is_floppy(disk) else order.get(place)
        args += words + device(frontend(domain, disk, backend, index))
    return args


def frontend(domain: Domain, disk: Disk, backend: Properties, boot_index: int | None) -> Properties:
    """The device; ``backend`` is what it reads from."""
    return {**_device(domain, disk), **_identity(disk), **backend, **_rest(disk, boot_index)}


def reservations(domain: Domain, launch: Launch) -> list[str]:
    """The helper for persistent reservations, if a disk leaves it to us."""
    if not leaves_reservations(domain):
        return []
    return blockdev.helper(blockdev.MANAGED_HELPER, launch.reach(launch.folder / f"{blockdev.MANAGED_HELPER}.sock"))


def leaves_reservations(domain: Domain) -> bool:
    """Whether the helper for persistent reservations is ours to start."""
    wanted = [source.reservations for disk in domain.devices.disks for source in sources_of(disk)]
    return any(each is not None and each.managed for each in wanted)


def _backend(disk: Disk, images: list[Image], launch: Launch) -> tuple[Properties, list[str]]:
    """What the device reads from, and the arguments that make it; the bottom of a chain comes first."""
    if disk.type is StorageType.VHOSTUSER and disk.source:
        words = vhostuser.connection(disk, disk.source.path or "", disk.source.reconnect)
        return {"chardev": vhostuser.line(disk)}, words
    if not images:
        return {}, []
    words = [word for image in reversed(images) for word in blockdev.arguments(image, launch)]
    top = images[0].top
    if disk.driver and disk.driver.copy_on_read:
        top, over = blockdev.copy_on_read(images[0], disk)
        words += over
    return {"drive": top}, words


def _floppy_controller(domain: Domain, order: dict[int, int]) -> list[str]:
    """The old PC has a controller for floppy disks by itself, the new one none; either is what boots."""
    units = {place: _drive(disk).unit for place, disk in enumerate(domain.devices.disks) if _is_floppy(disk)}
    boots = {f"bootindex{'AB'[unit]}": order[place] for place, unit in units.items() if place in order and unit < 2}
    if units and machine.is_q35(domain):
        return device({"driver": "isa-fdc", **boots})
    return [word for name, index in boots.items() for word in ("-global", f"isa-fdc.{name}={index}")]


def _is_floppy(disk: Disk) -> bool:
    return disk.target.bus is DiskBus.FDC


_BOOTED = {
    BootDevice.HD: (DiskDevice.DISK, DiskDevice.LUN),
    BootDevice.CDROM: (DiskDevice.CDROM,),
    BootDevice.FD: (DiskDevice.FLOPPY,),
}


def boot_order(domain: Domain) -> Iterator[tuple[int, int]]:
    """(place in the list, boot index) of each disk the guest may boot from."""
    for place, disk in enumerate(domain.devices.disks):
        if disk.boot:
            yield place, disk.boot.order
    for index, boot in enumerate(domain.os.boots, start=1):
        found = (n for n, disk in enumerate(domain.devices.disks) if disk.device in _BOOTED.get(boot.dev, ()))
        yield from ((place, index) for place in list(found)[:1])


def _device(domain: Domain, disk: Disk) -> Properties:
    """The kind of device and where it is plugged in."""
    cdrom = disk.device is DiskDevice.CDROM
    match disk.target.bus:
        case DiskBus.VIRTIO:
            return _virtio(domain, disk)
        case DiskBus.IDE | DiskBus.SATA:
            return {"driver": "ide-cd" if cdrom else "ide-hd", **_ata_place(domain, disk)}
        case DiskBus.SCSI if disk.device is DiskDevice.LUN:
            return {"driver": "scsi-block", **_scsi_place(domain, disk)}
        case DiskBus.SCSI:
            return {"driver": "scsi-cd" if cdrom else "scsi-hd", **_scsi_place(domain, disk)}
        case DiskBus.USB:
            return {"driver": "usb-storage", **bus(disk, domain)}
        case DiskBus.FDC:
            return {"driver": "floppy", "unit": _drive(disk).unit}
    raise Unsupported(f"QEMU has no disk bus {str(disk.target.bus)!r}", place="domain/devices/disk/target/@bus")


def _identity(disk: Disk) -> Properties:
    """SCSI disks tell a name of their own, by which guests find them; others may write to a shared one."""
    named = disk.target.bus is DiskBus.SCSI and disk.device is not DiskDevice.LUN
    return {
        "device_id": (disk.serial or f"drive-{alias(disk)}") if named else None,
        "share-rw": True if disk.shareable else None,
    }


def _virtio(domain: Domain, disk: Disk) -> Properties:
    driver = disk.driver
    assert driver is not None  # completion gives one to each
    kind = "vhost-user-blk" if disk.type is StorageType.VHOSTUSER else "virtio-blk"
    return {
        "driver": virtio_name(kind, disk.model, disk),
        "iothread": f"iothread{driver.iothread}" if driver.iothread else None,
        "ioeventfd": driver.ioeventfd,
        "event_idx": driver.event_idx,
        "scsi": True if disk.device is DiskDevice.LUN else None,
        **virtio(driver),
        "num-queues": driver.queues or None,
        "queue-size": driver.queue_size or None,
        **bus(disk, domain),
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
    root = f"scsi{address.controller}.0"
    if models and models[0] == "lsilogic":
        return {"bus": root, "scsi-id": address.unit}
    return {"bus": root, "channel": 0, "scsi-id": address.target, "lun": address.unit}


def _rest(disk: Disk, boot_index: int | None) -> Properties:
    """What the guest sees of the disk, and whether it may trust its cache."""
    mode = blockdev.CACHES.get(disk.driver.cache) if disk.driver and disk.driver.cache else None
    has_cache = mode is not None and disk.device is not DiskDevice.LUN
    sizes = disk.blockio or BlockIo()
    return {
        "id": alias(disk),
        "bootindex": boot_index,
        "logical_block_size": sizes.logical_block_size or None,
        "physical_block_size": sizes.physical_block_size or None,
        "wwn": None if disk.wwn is None else int(disk.wwn, 16),
        "rotation_rate": disk.target.rotation_rate or None,
        "vendor": disk.vendor,
        "product": disk.product,
        "removable": bool(disk.target.removable) if disk.target.bus is DiskBus.USB else None,
        "write-cache": ("on" if mode[2] else "off") if mode and has_cache else None,
        **_shape(disk),
        # A blank is told with a backslash before it: guests have known their disks by that for long.
        "serial": disk.serial.replace(" ", "\\ ") if disk.serial else None,
        **_on_error(disk),
    }


def _shape(disk: Disk) -> Properties:
    """Cylinders, heads and sectors, for guests of another time."""
    shape = disk.geometry
    if shape is None:
        return {}
    return {"cyls": shape.cyls, "heads": shape.heads, "secs": shape.secs, "bios-chs-trans": shape.trans}


def _on_error(disk: Disk) -> Properties:
    """What happens to a guest whose disk fails: the policy for writing is that for reading, too, unless one is told."""
    driver = disk.driver
    writing = driver.error_policy if driver and driver.error_policy is not ErrorPolicy.DEFAULT else None
    reading = driver.rerror_policy if driver and driver.rerror_policy is not ErrorPolicy.DEFAULT else None
    if writing is ErrorPolicy.ENOSPACE:  # there is no such error in reading
        return {"werror": "enospc", "rerror": reading}
    return {"werror": writing, "rerror": reading or writing}
