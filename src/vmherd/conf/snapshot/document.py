"""<domainsnapshot>: the state of a guest's disks and memory at one moment.

Source: https://libvirt.org/formatsnapshot.html
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec.structs import asdict

from vmherd.conf.domain import Domain
from vmherd.conf.domain.disk import MetadataCache
from vmherd.conf.domain.storage import DiskSource, StorageFormat, StorageType
from vmherd.conf.moments import Origin, Parent, embedded
from vmherd.conf.saved import SaveCookie
from vmherd.util import xmlmodel
from vmherd.util.xmlmodel import Element, Long, Uuid, attr, child, children, flag, leaf, words


class SnapshotState(StrEnum):
    """What the guest did at that moment; DISK_SNAPSHOT when only its disks were kept."""

    RUNNING = "running"
    BLOCKED = "blocked"
    PAUSED = "paused"
    SHUTDOWN = "shutdown"
    SHUTOFF = "shutoff"
    CRASHED = "crashed"
    PMSUSPENDED = "pmsuspended"
    DISK_SNAPSHOT = "disk-snapshot"

    @property
    def offline(self) -> bool:
        """Whether there was no memory to keep."""
        return self in (SnapshotState.SHUTOFF, SnapshotState.DISK_SNAPSHOT)


class Location(StrEnum):
    """Where the state is kept."""

    NO = "no"
    INTERNAL = "internal"  # in the image itself
    EXTERNAL = "external"  # the image is left as it was, changes go to a new file
    MANUAL = "manual"  # by someone else, while the guest is paused


#: What a new image can be.
IMAGE_TYPES = (StorageType.FILE, StorageType.BLOCK, StorageType.NETWORK)


class SnapshotMemory(Element, tag="memory"):
    snapshot: Location | None = attr()
    file: str | None = attr()


class SnapshotDriver(Element, tag="driver"):
    """The format of the new image."""

    type: StorageFormat | None = attr()
    metadata_cache: MetadataCache | None = child()


class SnapshotDisk(Element, tag="disk"):
    """What happens to one disk, named by target or path; ``source`` is the new image."""

    name: str = attr()
    snapshot: Location | None = attr()
    type: StorageType | None = attr()
    delete_in_progress: bool = flag("snapshotDeleteInProgress")
    driver: SnapshotDriver | None = child()
    source: DiskSource | None = child()


class Described(Element):
    """All but the guest."""

    name: str | None = leaf()
    description: str | None = leaf()
    state: SnapshotState | None = leaf()
    parent: Parent | None = child()
    creation_time: Long | None = leaf("creationTime")  # seconds since 1970
    memory: SnapshotMemory | None = child()
    disks: list[SnapshotDisk] = children(within="disks")
    revert_disks: list[SnapshotDisk] = children(within="revertDisks")  # written to since the guest went back
    inactive_domain: Domain | None = child("inactiveDomain", last=True)  # if other than the running one
    cookie: SaveCookie | None = child(last=True)
    active: Annotated[bool, words("1", "0")] | None = leaf(last=True)  # in the daemon's own files only


class Snapshot(Described, tag="domainsnapshot"):
    domain: Domain | None = child()


class Owner(Element, tag="domain"):
    """All that the oldest snapshots tell of their guest."""

    type: str | None = attr()
    uuid: Uuid | None = leaf()


class Ownerless(Described, tag="domainsnapshot"):
    """A snapshot whose guest is not described."""

    domain: Owner | None = child()


class Request(Element, tag="domainsnapshot"):
    """What a user may tell of a new snapshot; the rest of such a document is ignored."""

    name: str | None = leaf()
    description: str | None = leaf()
    memory: SnapshotMemory | None = child()
    disks: list[SnapshotDisk] = children(within="disks")
    revert_disks: list[SnapshotDisk] = children(within="revertDisks")
    cookie: SaveCookie | None = child()


def parse_snapshot(text: str | bytes, origin: Origin = Origin.REQUEST) -> Snapshot:
    """The snapshot ``text`` describes, nothing added.

    A <domain> without type is dropped, as it only has a UUID.  Raises XMLSyntaxError when it is not well formed,
    DocumentError with place and line when it is no snapshot.
    """
    if origin is Origin.REQUEST:
        request = xmlmodel.parse(Request, text)
        return Snapshot(**asdict(request))
    known = xmlmodel.parse(Ownerless, text)
    if known.domain is not None and known.domain.type:
        return xmlmodel.parse(Snapshot, text)
    return Snapshot(**asdict(known) | {"domain": None})


def render(snapshot: Snapshot, *, uuid: str = "", secure: bool = False, internal: bool = False) -> str:
    """``snapshot`` as libvirt writes it; passwords of screens only with ``secure``.

    ``uuid`` is written for a guest that is not described, ``internal`` is for the daemon's own files.
    """
    fields = asdict(snapshot) | {
        "domain": embedded(snapshot.domain, secure=secure),
        "inactive_domain": embedded(snapshot.inactive_domain, secure=secure),
        "active": bool(snapshot.active) if internal else None,
    }
    if snapshot.domain is None and uuid:
        return xmlmodel.render(Ownerless(**fields | {"domain": Owner(uuid=uuid)}))
    return xmlmodel.render(Snapshot(**fields))
