"""Backups alone, without a driver, as conformance cases ask for them."""

from __future__ import annotations

from vmherd.conf import backup
from vmherd.conf.backup import Backup
from vmherd.conf.domain import Devices, Domain, DomainType
from vmherd.conf.domain.disk import Disk, DiskDriver, DiskTarget
from vmherd.conf.domain.os import Os, OsType
from vmherd.conf.domain.storage import DiskSource, StorageFormat
from vmherd.conf.moments import Origin
from vmherd.conformance import Case


def backups(case: Case) -> str:
    """A backup read, checked, aligned to a guest with the disks it names and one more, and written."""
    internal = "internal" in case.flags
    origin = Origin.FILE if internal else Origin.REQUEST
    found = backup.parse_backup(case.input, origin)
    backup.check(found, origin)
    backup.align(found, _guest(found, str(case.params["extra_disk"])), suffix=str(case.params["suffix"]))
    return backup.render(found, internal=internal)


def _guest(found: Backup, extra: str) -> Domain:
    disks = [
        Disk(
            target=DiskTarget(dev=name),
            source=DiskSource(file=f"/fake/{name}.qcow2"),
            driver=DiskDriver(type=StorageFormat.QCOW2),
        )
        for name in [*(disk.name for disk in found.disks), extra]
    ]
    os = Os(type=OsType(name="hvm"))
    return Domain(type=DomainType.TEST, name="guest", os=os, devices=Devices(disks=disks))
