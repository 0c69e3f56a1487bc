"""What this host says of images: which device is a CD-ROM drive, which files there must be."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from vmherd.conf.domain import Domain
from vmherd.conf.domain.defaults import sources_of
from vmherd.conf.domain.disk import Disk, DiskDevice
from vmherd.conf.domain.storage import StartupPolicy
from vmherd.events import DiskChangeEvent, DiskChangeReason, DomainEvent

#: linux/cdrom.h: ask a drive for its state, that of the disc that is in it
_CDROM_DRIVE_STATUS, _CDSL_CURRENT = 0x5326, 0x7FFFFFFF


def is_cdrom(path: str) -> bool:
    """Whether a device is a real CD-ROM drive, which answers what only drives do."""
    with suppress(OSError):
        if not stat.S_ISBLK(os.stat(path).st_mode):
            return False
        device = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.ioctl(device, _CDROM_DRIVE_STATUS, _CDSL_CURRENT)
        finally:
            os.close(device)
        return True
    return False


def leave_out_missing(domain: Domain) -> list[DomainEvent]:
    """Start without what may be missing, and is: a drive then is empty, a disk is not there at all.

    Returns what is to be told of it.
    """
    disks = domain.devices.disks
    told: list[DomainEvent] = []
    for disk in [each for each in disks if _is_optional(each) and not all(map(os.path.exists, local_paths(each)))]:
        missing = next(local_paths(disk), None)
        if disk.device in (DiskDevice.CDROM, DiskDevice.FLOPPY):
            disk.source, disk.backing_store = None, None
            reason = DiskChangeReason.MISSING_ON_START
        else:
            disks.remove(disk)
            reason = DiskChangeReason.DROP_MISSING_ON_START
        alias = disk.alias.name if disk.alias else disk.target.dev
        event = DiskChangeEvent(
            uuid=domain.uuid or "", name=domain.name, alias=alias, reason=reason, old_source=missing
        )
        told.append(event)
    return told


def _is_optional(disk: Disk) -> bool:
    return disk.source is not None and disk.source.startup_policy is StartupPolicy.OPTIONAL


def local_paths(disk: Disk) -> Iterator[str]:
    """The files, devices and folders of this host that a disk is made of: of its image and of those below."""
    for source in sources_of(disk):
        if path := source.file or source.dev or source.dir:
            yield path
