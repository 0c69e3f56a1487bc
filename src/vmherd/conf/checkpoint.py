"""<domaincheckpoint>: a moment since when changes of disks are recorded, so that a backup can copy just those.

    checkpoint = parse_checkpoint(text)          a user's request; or origin=REDEFINED, FILE: one made before
    complete(checkpoint, now=int(time()))        what libvirt fills in; ``now`` for a new one
    check(checkpoint)                            one DocumentError with everything that is wrong
    align(checkpoint, domain)                    an entry for each disk of the guest, with its bitmap
    render(checkpoint)                           text again

Source: https://libvirt.org/formatcheckpoint.html, src/conf/checkpoint_conf.c and schemas/domaincheckpoint.rng
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import StrEnum

from msgspec.structs import asdict

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain import complete as complete_domain
from vmherd.conf.domain.disk import Disk
from vmherd.conf.domain.problem import numbered, refuse
from vmherd.conf.moments import (
    Listing,
    Origin,
    Parent,
    disk_named,
    embedded,
    is_empty,
    is_target,
    misnamed,
    own_parent,
    refuse_empty_list,
    refuse_unknown,
)
from vmherd.util import xmlmodel
from vmherd.util.xmlmodel import Element, Long, ULong, attr, child, children, leaf

_ROOT = "domaincheckpoint"
_NAME = re.compile(r"[a-zA-Z0-9_-][a-zA-Z0-9_.-]*")


class Tracking(StrEnum):
    """How changes of a disk are recorded."""

    NO = "no"
    BITMAP = "bitmap"


class CheckpointDisk(Element, tag="disk"):
    """One disk, by target or path; ``size`` is how many bytes a backup would copy, told only when asked for."""

    name: str = attr()
    checkpoint: Tracking = attr(default=Tracking.BITMAP, always=True)
    bitmap: str | None = attr()
    size: ULong | None = attr()


class Checkpoint(Element, tag=_ROOT):
    name: str | None = leaf()
    description: str | None = leaf()
    parent: Parent | None = child()
    creation_time: Long | None = leaf("creationTime")  # seconds since 1970
    disks: list[CheckpointDisk] = children(within="disks")
    domain: Domain | None = child()


class Request(Element, tag=_ROOT):
    """What a user may tell of a new checkpoint; the rest of such a document is ignored."""

    name: str | None = leaf()
    description: str | None = leaf()
    disks: list[CheckpointDisk] = children(within="disks")


class _Listing(Listing, tag=_ROOT):
    pass


def parse_checkpoint(text: str | bytes, origin: Origin = Origin.REQUEST) -> Checkpoint:
    """The checkpoint ``text`` describes, nothing added; of a request only what is the user's to tell.

    Raises XMLSyntaxError when it is not well formed, DocumentError with place and line when it is no checkpoint or
    holds anything unknown.
    """
    if origin is Origin.REQUEST:
        checkpoint = Checkpoint(**asdict(xmlmodel.parse(Request, text)))
    else:
        checkpoint = xmlmodel.parse(Checkpoint, text)
    refuse_unknown(Checkpoint, text)
    refuse_empty_list(_Listing, text)
    for disk in checkpoint.disks:
        disk.size = None  # told, never asked
    return checkpoint


def complete(checkpoint: Checkpoint, *, now: int = 0, finish: Callable[[Domain], None] = complete_domain) -> None:
    """Fill in what the document leaves open, in place.  Doing it twice changes nothing more.

    ``now``, in seconds since 1970, makes it a new checkpoint, named after that second if it has no name.  ``finish``
    completes the guest; a driver gives its own.  Source: virDomainMomentDefPostParse
    """
    checkpoint.creation_time = now or checkpoint.creation_time
    checkpoint.name = checkpoint.name or (str(now) if now else None)
    checkpoint.description = checkpoint.description or None
    if checkpoint.domain is not None:
        finish(checkpoint.domain)


def check(checkpoint: Checkpoint, origin: Origin = Origin.REQUEST) -> None:
    """Raise one DocumentError that lists all problems of a completed ``checkpoint``; return if there is none."""
    refuse(problems(checkpoint, origin), _ROOT)


def problems(checkpoint: Checkpoint, origin: Origin = Origin.REQUEST) -> list[Problem]:
    """Everything that is wrong with a completed ``checkpoint``."""
    return [*_identity(checkpoint, origin), *_disks(checkpoint.disks)]


def _identity(checkpoint: Checkpoint, origin: Origin) -> Iterator[Problem]:
    names = {f"{_ROOT}/name": checkpoint.name}
    if checkpoint.parent is not None:
        names[f"{_ROOT}/parent/name"] = checkpoint.parent.name
    for place, name in names.items():
        if name is not None and not _NAME.fullmatch(name):
            text = f"{name!r} is no name for a checkpoint"
            yield Problem(place, text, "use letters, digits, '_', '-' and '.', with no '.' in front")
    if origin is Origin.REQUEST:
        return
    yield from own_parent(checkpoint.name, checkpoint.parent, _ROOT)
    if checkpoint.name is None:
        yield Problem(f"{_ROOT}/name", "a checkpoint that was made before has a name", "add <name>")
    if checkpoint.creation_time is None:
        text = "a checkpoint that was made before tells when"
        yield Problem(f"{_ROOT}/creationTime", text, "add <creationTime> in seconds since 1970")


def _disks(disks: list[CheckpointDisk]) -> Iterator[Problem]:
    for number, disk in numbered(disks):
        place = f"{_ROOT}/disks/disk[{number}]"
        if not is_target(disk.name) and not disk.name.startswith("/"):
            text = f"{disk.name!r} is neither a target nor an absolute path"
            yield Problem(f"{place}/@name", text, "name it like <target dev='vda'/> of the guest")
        if disk.checkpoint is Tracking.NO and disk.bitmap is not None:
            yield Problem(f"{place}/@bitmap", "a disk that is left out has no bitmap", "leave bitmap out")


def align(checkpoint: Checkpoint, domain: Domain) -> None:
    """Make ``checkpoint.disks`` one entry for each disk of ``domain``, in its order and by target, in place.

    Without entries all disks that can change are tracked, otherwise only those named.  Raises one DocumentError with
    all problems.  Source: virDomainCheckpointAlignDisks
    """
    refuse([*_without_disks(domain), *misnamed([disk.name for disk in checkpoint.disks], domain, _ROOT)], _ROOT)
    refuse(list(_unchanging(checkpoint, domain)), _ROOT)
    default = Tracking.NO if checkpoint.disks else Tracking.BITMAP
    asked: dict[str, CheckpointDisk] = {}
    for entry in checkpoint.disks:
        disk = disk_named(domain, entry.name)
        if disk is not None:
            entry.name = disk.target.dev
            asked[entry.name] = entry
    checkpoint.disks = [asked.get(disk.target.dev) or _unasked(disk, default) for disk in domain.devices.disks]
    _name_bitmaps(checkpoint)


def _name_bitmaps(checkpoint: Checkpoint) -> None:
    """A bitmap without name is called like the checkpoint."""
    for disk in checkpoint.disks:
        if disk.checkpoint is Tracking.BITMAP:
            disk.bitmap = disk.bitmap or checkpoint.name


def _without_disks(domain: Domain) -> Iterator[Problem]:
    if not domain.devices.disks:
        yield Problem("domain/devices", "a guest without disks has nothing to track", "give it a disk first")


def _unchanging(checkpoint: Checkpoint, domain: Domain) -> Iterator[Problem]:
    for number, entry in numbered(checkpoint.disks):
        disk = disk_named(domain, entry.name)
        if disk is not None and entry.checkpoint is Tracking.BITMAP and _is_fixed(disk):
            text = f"disk {entry.name!r} is empty or only read"
            yield Problem(f"{_ROOT}/disks/disk[{number}]", text, "use checkpoint='no'")


def _is_fixed(disk: Disk) -> bool:
    return disk.readonly or is_empty(disk)


def _unasked(disk: Disk, default: Tracking) -> CheckpointDisk:
    return CheckpointDisk(name=disk.target.dev, checkpoint=Tracking.NO if _is_fixed(disk) else default)


def render(checkpoint: Checkpoint, *, secure: bool = False, describe: bool = True, sizes: bool = False) -> str:
    """``checkpoint`` as libvirt writes it; with ``sizes`` how much a backup would copy, where that is known.

    Passwords of screens only with ``secure``, the guest itself only with ``describe``.
    Source: VIR_DOMAIN_CHECKPOINT_XML_* of virDomainCheckpointGetXMLDesc
    """
    disks = [disk.replace(size=disk.size if sizes and disk.bitmap else None) for disk in checkpoint.disks]
    domain = embedded(checkpoint.domain, secure=secure) if describe else None
    return xmlmodel.render(checkpoint.replace(disks=disks, domain=domain))
