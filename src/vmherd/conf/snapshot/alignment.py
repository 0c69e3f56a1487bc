"""Bringing a snapshot's disks in line with those of the guest.

Source: virDomainSnapshotAlignDisks, src/conf/snapshot_conf.c
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.disk import Disk
from vmherd.conf.domain.problem import numbered, refuse
from vmherd.conf.domain.storage import DiskSource, StorageType
from vmherd.conf.moments import disk_named, is_empty, misnamed, path_of
from vmherd.conf.snapshot.document import Location, Snapshot, SnapshotDisk
from vmherd.conf.snapshot.rules import ROOT


def align(snapshot: Snapshot, domain: Domain, default: Location, *, uniform: bool = False) -> None:
    """Make ``snapshot.disks`` one entry for each disk of ``domain``, in its order and by target, in place.

    A disk is kept where the entry says, else where the guest says, else at ``default``.  ``uniform``: if that is
    INTERNAL, all disks that take part must be internal.  New images get a name; whether the old one is a regular
    file is for the caller to see.  Raises one DocumentError with all problems.
    """
    refuse(list(misnamed([disk.name for disk in snapshot.disks], domain, ROOT)), ROOT)
    forced = default if uniform and default is Location.INTERNAL else None
    found: list[Problem] = []
    asked: dict[str, SnapshotDisk] = {}
    for number, entry in numbered(snapshot.disks):
        disk = disk_named(domain, entry.name)
        if disk is not None:
            found += _settle(entry, disk, default, forced, f"{ROOT}/disks/disk[{number}]")
            asked[disk.target.dev] = entry
    snapshot.disks = [asked.get(disk.target.dev) or _unasked(disk, default) for disk in domain.devices.disks]
    found += _name_images(snapshot, domain)
    refuse(found, ROOT)


def _usual(disk: Disk) -> Location | None:
    """Where the guest wants the disk kept; nothing changes on one that is only read."""
    if disk.snapshot is not None:
        return Location(disk.snapshot.value)
    return Location.NO if disk.readonly else None


def _settle(
    entry: SnapshotDisk, disk: Disk, default: Location, forced: Location | None, place: str
) -> Iterator[Problem]:
    usual = _usual(disk)
    if entry.snapshot is None:
        entry.snapshot = usual if usual and (forced is None or usual is Location.NO) else default
    elif forced and entry.snapshot is not forced and not (entry.snapshot is usual is Location.NO):
        text = f"disk {entry.name!r} must be kept {forced} like the others"
        yield Problem(f"{place}/@snapshot", text, f"use snapshot='{forced}'")
    path = path_of(entry.source, entry.type or StorageType.FILE)
    if path and entry.snapshot is not Location.EXTERNAL:
        text = f"{path!r} is of use only when the snapshot is external"
        yield Problem(f"{place}/source", text, "use snapshot='external', or remove <source>")
    entry.name = disk.target.dev


def _unasked(disk: Disk, default: Location) -> SnapshotDisk:
    """An empty drive has nothing to keep."""
    where = Location.NO if is_empty(disk) else _usual(disk) or default
    return SnapshotDisk(name=disk.target.dev, snapshot=where)


def _name_images(snapshot: Snapshot, domain: Domain) -> Iterator[Problem]:
    """Name each new image like the old one, with the snapshot's name after the last dot."""
    taken: dict[str, str] = {}
    for number, (entry, disk) in numbered(list(zip(snapshot.disks, domain.devices.disks, strict=True))):
        type_ = entry.type or StorageType.FILE
        path = path_of(entry.source, type_)
        if entry.snapshot is Location.EXTERNAL and not path:
            place = f"{ROOT}/disks/disk[{number}]/source"
            path, problem = _image(entry, disk, snapshot.name or "")
            if problem or path in taken:
                text = problem or f"{path!r} would be the image of {taken[path]!r} too"
                yield Problem(place, f"the new image of {entry.name!r} needs a name: {text}", "add <source>")
                continue
            entry.type = type_
            entry.source = entry.source or DiskSource()
            entry.source.file = path
        if path:
            taken[path] = entry.name


def _image(entry: SnapshotDisk, disk: Disk, name: str) -> tuple[str, str]:
    """The path of the new image, or why there can be none."""
    if entry.type not in (None, StorageType.FILE):
        return "", f"names are made for files, not for type {entry.type}"
    old = path_of(disk.source, disk.type)
    if disk.type not in (StorageType.FILE, StorageType.BLOCK) or not old:
        return "", "the disk is no file here"
    folder, slash, file = old.rpartition("/")
    stem = file.rpartition(".")[0] if "." in file else file
    return f"{folder}{slash}{stem}.{name}", ""
