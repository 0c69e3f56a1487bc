"""What no snapshot can be.

Source: virDomainSnapshotDefParse, src/conf/snapshot_conf.c; names from qemuSnapshotCreateXML, src/qemu/qemu_snapshot.c
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Problem
from vmherd.conf.domain.problem import numbered, refuse
from vmherd.conf.domain.storage import DiskSource, NetProtocol, StorageType, Transport
from vmherd.conf.moments import Origin, mislabelled, own_parent, path_of
from vmherd.conf.snapshot.document import IMAGE_TYPES, Location, Snapshot, SnapshotDisk

ROOT = "domainsnapshot"


def check(snapshot: Snapshot, origin: Origin = Origin.REQUEST, *, disk_only: bool = False) -> None:
    """Raise one DocumentError that lists all problems of a completed ``snapshot``; return if there is none.

    ``disk_only``: memory is not to be kept, as the guest is off or the caller does not want it.
    """
    refuse(problems(snapshot, origin, disk_only=disk_only), ROOT)


def problems(snapshot: Snapshot, origin: Origin = Origin.REQUEST, *, disk_only: bool = False) -> list[Problem]:
    """Everything that is wrong with a completed ``snapshot``."""
    offline = snapshot.state.offline if snapshot.state is not None else disk_only
    return [
        *_identity(snapshot, origin),
        *_memory(snapshot, offline=offline),
        *(problem for number, disk in numbered(snapshot.disks) for problem in _disk(disk, "disks", number)),
        *(
            problem
            for number, disk in numbered(snapshot.revert_disks)
            for problem in _disk(disk, "revertDisks", number)
        ),
    ]


def _identity(snapshot: Snapshot, origin: Origin) -> Iterator[Problem]:
    name, place = snapshot.name, f"{ROOT}/name"
    if name is not None and ("/" in name or name.startswith(".")):
        text = f"{name!r} is no name for a snapshot"
        yield Problem(place, text, "names become file names; leave out '/' and a leading '.'")
    if origin is Origin.REQUEST:
        return
    yield from own_parent(name, snapshot.parent, ROOT)
    if name is None:
        yield Problem(place, "a snapshot that was made before has a name", "add <name>")
    if snapshot.creation_time is None:
        text = "a snapshot that was made before tells when"
        yield Problem(f"{ROOT}/creationTime", text, "add <creationTime> in seconds since 1970")
    if snapshot.state is None:
        text = "a snapshot that was made before tells the state of the guest"
        yield Problem(f"{ROOT}/state", text, "add <state>, such as shutoff")
    if origin is Origin.FILE and snapshot.active is None:
        text = "it is not told whether this is the current snapshot"
        yield Problem(f"{ROOT}/active", text, "add <active>0</active>")


def _memory(snapshot: Snapshot, *, offline: bool) -> Iterator[Problem]:
    memory, place = snapshot.memory, f"{ROOT}/memory"
    if memory is None:
        return
    external = memory.snapshot is Location.EXTERNAL
    if memory.snapshot is Location.MANUAL:
        yield Problem(f"{place}/@snapshot", "memory cannot be kept by hand", "use 'no', 'internal' or 'external'")
    if memory.file is not None and not external:
        yield Problem(f"{place}/@file", f"a file goes only with external memory, not {memory.snapshot}", "leave it out")
    if memory.file is None and external:
        yield Problem(f"{place}/@file", "external memory needs a file", "add file='/...'")
    if memory.file is not None and not memory.file.startswith("/"):
        yield Problem(f"{place}/@file", f"{memory.file!r} is no absolute path", "begin it with '/'")
    if offline and memory.snapshot is not Location.NO:
        text = "there is no memory to keep when the guest is off or only disks are wanted"
        yield Problem(f"{place}/@snapshot", text, "use snapshot='no'")


def _disk(disk: SnapshotDisk, within: str, number: int) -> Iterator[Problem]:
    place = f"{ROOT}/{within}/disk[{number}]"
    type_ = disk.type or StorageType.FILE
    if type_ not in IMAGE_TYPES:
        yield Problem(f"{place}/@type", f"a new image cannot be a {type_}", "use 'file', 'block' or 'network'")
        return
    if disk.source is not None:
        yield from mislabelled(disk.source.seclabels, f"{place}/source")
    if type_ is StorageType.NETWORK and disk.source is not None:
        yield from _network(disk.source, f"{place}/source")
    path = path_of(disk.source, type_)
    if path and type_ is not StorageType.NETWORK and not path.startswith("/"):
        yield Problem(f"{place}/source", f"{path!r} is no absolute path", "begin it with '/'")


def _network(source: DiskSource, place: str) -> Iterator[Problem]:
    """Source: virDomainDiskSourceNetworkParse and virDomainStorageNetworkParseHost"""
    if source.protocol is None:
        yield Problem(f"{place}/@protocol", "the protocol is missing", "add protocol='nbd', 'rbd', 'gluster', ...")
    elif source.name is None and source.protocol is not NetProtocol.NBD:
        yield Problem(f"{place}/@name", "which image of the server is missing", "add name='...'")
    for number, host in numbered(source.hosts):
        where, local = f"{place}/host[{number}]", host.transport is Transport.UNIX
        if local and host.socket is None:
            yield Problem(f"{where}/@socket", "the path of the socket is missing", "add socket='/...'")
        if not local and host.socket is not None:
            yield Problem(f"{where}/@socket", "only transport='unix' has a socket", "leave it out")
        if not local and host.name is None:
            yield Problem(f"{where}/@name", "the name of the server is missing", "add name='...'")
