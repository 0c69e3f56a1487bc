"""What snapshots, checkpoints and backups share: where a document comes from, a domain's disks by name, refusals.

Source: src/conf/moment_conf.c, virDomainDiskByName and virDomainStorageSourceParse of libvirt
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum

from vmherd.conf.domain import Domain, Problem, stored, without_passwords
from vmherd.conf.domain.disk import Disk
from vmherd.conf.domain.problem import duplicates, numbered
from vmherd.conf.domain.seclabel import DeviceSeclabel
from vmherd.conf.domain.storage import FIELDS_OF_TYPE, DiskSource, StorageType, Transport
from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import Element, leaf, parse, raw, unknown


class Origin(StrEnum):
    """Who wrote the document, and so what must be in it and what is believed."""

    REQUEST = "request"  # a user asks for a new one: creation time, parent and domain are ours to tell
    REDEFINED = "redefined"  # a user brings back one that was made before
    FILE = "file"  # the daemon reads what it wrote


class Parent(Element, tag="parent"):
    """The one made before, by its name."""

    name: str = leaf()


def own_parent(name: str | None, parent: Parent | None, root: str) -> Iterator[Problem]:
    """None was made before itself.  Source: virDomainSnapshotCheckCycles"""
    if parent is not None and name is not None and parent.name == name:
        yield Problem(f"{root}/parent/name", f"{name!r} is its own parent", "name the one made before, or remove it")


_TARGET = re.compile(r"(ioemu:)?(fd|hd|sd|vd|xvd|ubd)[a-zA-Z0-9_]+")


def is_target(name: str) -> bool:
    """Whether ``name`` is a target such as ``vda``.  Source: diskTarget of src/conf/schemas/domaincommon.rng"""
    return _TARGET.fullmatch(name) is not None


def path_of(source: DiskSource | None, type_: StorageType) -> str | None:
    """Where the image is, in the words of its type of storage; None for one that needs no path."""
    if source is None:
        return None
    match type_:
        case StorageType.FILE:
            return source.file
        case StorageType.BLOCK:
            return source.dev
        case StorageType.DIR:
            return source.dir
        case StorageType.NETWORK:
            return source.name
        case StorageType.VOLUME:
            return source.volume
        case StorageType.VHOSTUSER:
            return source.path
        case StorageType.NVME:
            return None


def is_empty(disk: Disk) -> bool:
    """Whether nothing is in the drive.  Source: virStorageSourceIsEmpty"""
    if disk.source is None:
        return True
    if disk.type is StorageType.NVME:
        return False
    if disk.type is StorageType.NETWORK:
        return disk.source.protocol is None
    return not path_of(disk.source, disk.type)


def disk_named(domain: Domain, name: str) -> Disk | None:
    """The disk with target ``name``, or with that absolute path if only one has it.  Source: virDomainDiskByName"""
    if not name.startswith("/"):
        return next((disk for disk in domain.devices.disks if disk.target.dev == name), None)
    found = [disk for disk in domain.devices.disks if path_of(disk.source, disk.type) == name]
    return found[0] if len(found) == 1 else None


def misnamed(names: Sequence[str], domain: Domain, root: str) -> Iterator[Problem]:
    """Problems of <disk> elements that name no disk of ``domain``, or one that an earlier element has."""
    targets = ", ".join(disk.target.dev for disk in domain.devices.disks) or "none"
    seen: set[str] = set()
    for number, name in numbered(names):
        place = f"{root}/disks/disk[{number}]/@name"
        disk = disk_named(domain, name)
        if disk is None:
            yield Problem(place, f"the guest has no disk {name!r}", f"its disks are: {targets}")
        elif disk.target.dev in seen:
            yield Problem(place, f"disk {name!r} is there twice", "keep one of them")
        else:
            seen.add(disk.target.dev)


def told(source: DiskSource | None, type_: StorageType) -> DiskSource | None:
    """``source`` with what means something for a new image of this type; None if that is nothing.

    Neither an index nor a startup policy does: virDomainDiskSourceFormat is asked for neither.
    """
    if source is None:
        return None
    made = source.only(set(FIELDS_OF_TYPE[type_]) - {"index", "startup_policy"})
    for host in made.hosts:
        host.transport = None if host.transport is Transport.TCP else host.transport  # what it is anyway
    spell_out(made.seclabels)
    return None if made == DiskSource() else made


def spell_out(labels: list[DeviceSeclabel]) -> None:
    """An exception from labelling says whether to relabel.  Source: virSecurityDeviceLabelDefFormat"""
    for label in labels:
        label.labelskip = label.labelskip or None
        label.relabel = None if label.labelskip else label.relabel is not False


def mislabelled(labels: Sequence[DeviceSeclabel], place: str) -> Iterator[Problem]:
    """Problems of <seclabel> elements below ``place``.  Source: virSecurityDeviceLabelDefParseXML"""
    places = [(f"{place}/seclabel[{number}]", label) for number, label in numbered(labels)]
    models = [(where, label.model) for where, label in places if label.model]
    yield from duplicates(models, "model {} has a label already")
    for where, label in places:
        if label.label is not None and label.relabel is False:
            yield Problem(f"{where}/label", "the image is not relabelled, so it gets no label", "use relabel='yes'")


def embedded(domain: Domain | None, *, secure: bool) -> Domain | None:
    """``domain`` as it stands in another document: its definition, with passwords only when ``secure``."""
    if domain is None:
        return None
    definition = stored(domain)
    return definition if secure else without_passwords(definition)


class Listing(Element):
    """Whether a document has <disks>; a class for it adds the tag."""

    disks: str | None = raw()


def refuse_empty_list(listing: type[Listing], text: str | bytes) -> None:
    """Raise DocumentError for a <disks> with nothing in it.  Without it all disks are meant, so it may be a slip."""
    found = parse(listing, text).disks
    if found is not None and "<disk " not in found:
        hint = "leave it out to mean all disks, or name those that are meant"
        raise DocumentError("the list of disks is empty", place=f"{listing.__xml__.tag}/disks", hint=hint)


def refuse_unknown(cls: type[Element], text: str | bytes) -> None:
    """Raise the first DocumentError for what ``cls`` does not know; inside <domain> libvirt's freedom stays.

    Source: libvirt always holds checkpoints and backups against their schema, unlike other documents.
    """
    inside = f"{cls.__xml__.tag}/domain/"
    for stray in unknown(cls, text):
        if not stray.place.startswith(inside):
            raise stray
