"""What libvirt fills in when it reads a snapshot.

Source: virDomainSnapshotDefParse, src/conf/snapshot_conf.c, and virDomainMomentDefPostParse, src/conf/moment_conf.c
"""

from __future__ import annotations

from collections.abc import Callable

from vmherd.conf.domain import Domain
from vmherd.conf.domain import complete as complete_domain
from vmherd.conf.domain.storage import DiskSource, NetProtocol, StorageType
from vmherd.conf.moments import path_of, told
from vmherd.conf.snapshot.document import IMAGE_TYPES, Location, Snapshot, SnapshotDisk, SnapshotDriver, SnapshotMemory


def complete(snapshot: Snapshot, *, now: int = 0, finish: Callable[[Domain], None] = complete_domain) -> None:
    """Fill in what the document leaves open, in place.  Doing it twice changes nothing more.

    ``now``, in seconds since 1970, makes it a new snapshot, named after that second if it has no name.  ``finish``
    completes the guest; a driver gives its own.
    """
    snapshot.creation_time = now or snapshot.creation_time
    snapshot.name = snapshot.name or (str(now) if now else None)
    snapshot.description = snapshot.description or None
    if snapshot.parent is not None and not snapshot.parent.name:
        snapshot.parent = None
    snapshot.memory = _memory(snapshot)
    if snapshot.state is not None and snapshot.state.offline:
        snapshot.cookie = None  # what the running guest needs to know
    for disk in [*snapshot.disks, *snapshot.revert_disks]:
        _disk(disk)
    for domain in (snapshot.domain, snapshot.inactive_domain):
        if domain is not None:
            finish(domain)


def _memory(snapshot: Snapshot) -> SnapshotMemory | None:
    """A file is an external snapshot; where the state is known, it says what was kept."""
    memory = snapshot.memory or SnapshotMemory()
    if memory.snapshot is None:
        if memory.file is not None:
            memory.snapshot = Location.EXTERNAL
        elif snapshot.state is not None:
            memory.snapshot = Location.NO if snapshot.state.offline else Location.INTERNAL
    return memory if memory.snapshot is not None else None


def _disk(disk: SnapshotDisk) -> None:
    """A new image makes the snapshot external; without path or format there is no image to speak of."""
    type_ = disk.type or StorageType.FILE
    disk.driver = _driver(disk.driver)
    if path_of(disk.source, type_) or (disk.driver is not None and disk.driver.type is not None):
        disk.snapshot = disk.snapshot or Location.EXTERNAL
        disk.type = type_
        disk.source = told(disk.source, type_)
    elif type_ in IMAGE_TYPES and _is_nothing(disk.source, type_):  # what cannot be is left for the rules to see
        disk.type = disk.driver = disk.source = None


def _driver(driver: SnapshotDriver | None) -> SnapshotDriver | None:
    if driver is not None and driver.metadata_cache is not None and not driver.metadata_cache.max_size:
        driver.metadata_cache = None
    return None if driver == SnapshotDriver() else driver


def _is_nothing(source: DiskSource | None, type_: StorageType) -> bool:
    """Whether a source without a path is none: the one disk of an NBD server may have no name."""
    return source is None or type_ is not StorageType.NETWORK or source.protocol is NetProtocol.NBD
