"""Bringing a backup's disks in line with those of the guest.

Source: virDomainBackupAlignDisks, src/conf/backup_conf.c
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.backup.document import ROOT, Backup, BackupDisk, BackupImage, BackupMode, Extent
from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.disk import Disk
from vmherd.conf.domain.problem import numbered, refuse
from vmherd.conf.domain.storage import StorageType
from vmherd.conf.moments import is_empty, misnamed, path_of


def align(backup: Backup, domain: Domain, *, suffix: str) -> None:
    """Make ``backup.disks`` one entry for each disk of ``domain``, in its order, in place.

    Without entries all disks that can change are copied, otherwise only those named.  A file that is not named is
    the disk's own, a dot and ``suffix``.  Raises one DocumentError with all problems.
    Source: virDomainBackupAlignDisks
    """
    refuse(list(misnamed([disk.name for disk in backup.disks], domain, ROOT)), ROOT)
    every = not backup.disks
    asked = {entry.name: (number, entry) for number, entry in numbered(backup.disks)}
    found: list[Problem] = []
    disks: list[BackupDisk] = []
    for disk in domain.devices.disks:
        fixed = disk.readonly or is_empty(disk)
        number, entry = asked.get(disk.target.dev) or (0, BackupDisk(name=disk.target.dev, backup=every and not fixed))
        place = f"{ROOT}/disks/disk[{number}]" if number else f"{ROOT}/disks"
        disks.append(entry)
        if entry.backup:
            found += _fixed(entry, place) if fixed else _destination(entry, disk, backup.mode, suffix, place)
            found += _extent(entry, backup.incremental, place)
    refuse(found, ROOT)
    backup.disks = disks


def _fixed(entry: BackupDisk, place: str) -> Iterator[Problem]:
    yield Problem(place, f"disk {entry.name!r} is empty or only read", "use backup='no'")


def _destination(entry: BackupDisk, disk: Disk, mode: BackupMode, suffix: str, place: str) -> Iterator[Problem]:
    """Name the file that is written, where the document does not."""
    type_ = entry.type or StorageType.FILE
    if entry.image is None:
        path = path_of(disk.source, disk.type)
        if type_ is not StorageType.FILE or disk.type is not StorageType.FILE:
            text = f"names are made for files, and disk {entry.name!r} is none"
            yield Problem(place, text, f"say where to: <{'target' if mode is BackupMode.PUSH else 'scratch'}>")
            return
        image = BackupImage(file=f"{path}.{suffix}")
        if mode is BackupMode.PUSH:
            entry.target = image
        else:
            entry.scratch = image
    entry.type = type_


def _extent(entry: BackupDisk, checkpoint: str | None, place: str) -> Iterator[Problem]:
    if entry.backupmode is None:
        entry.backupmode = Extent.INCREMENTAL if entry.incremental or checkpoint else Extent.FULL
    if entry.backupmode is Extent.INCREMENTAL:
        entry.incremental = entry.incremental or checkpoint
        if not entry.incremental:
            text = f"since which checkpoint disk {entry.name!r} is copied is not told"
            yield Problem(f"{place}/@incremental", text, "add incremental='CHECKPOINT', or <incremental> for all disks")
