"""<volume>: one image, disk or folder of a pool.

Source: https://libvirt.org/formatstorage.html and src/conf/storage_conf.c
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from vmherd.conf.domain.storage import Encryption
from vmherd.conf.storage.permissions import Permissions
from vmherd.conf.storage.pool import Pool, PoolType
from vmherd.errors import DocumentError, Unsupported
from vmherd.util.xmlmodel import Element, SizeInBytes, attr, child, flag, leaf, parse, render


class VolumeType(StrEnum):
    FILE = "file"
    BLOCK = "block"
    DIR = "dir"
    NETWORK = "network"
    NETDIR = "netdir"
    PLOOP = "ploop"


class VolumeFormat(Element, tag="format"):
    type: str = attr()


class VolumeFeatures(Element, tag="features"):
    """Of qcow2 1.1."""

    lazy_refcounts: bool = flag("lazy_refcounts")
    extended_l2: bool = flag("extended_l2")


class Timestamps(Element, tag="timestamps"):
    """When a volume was read, written, changed in any way, and made: seconds since the epoch, with nanoseconds."""

    atime: str | None = leaf()
    mtime: str | None = leaf()
    ctime: str | None = leaf()
    btime: str | None = leaf()


class VolumeTarget(Element, tag="target"):
    """Where the volume is, and how it looks inside."""

    path: str | None = leaf()
    format: VolumeFormat | None = child()
    permissions: Permissions | None = child()
    timestamps: Timestamps | None = child()
    encryption: Encryption | None = child()
    compat: str | None = leaf()
    cluster_size: SizeInBytes | None = leaf("clusterSize")
    no_cow: bool = flag("nocow")
    features: VolumeFeatures | None = child()


class BackingStore(Element, tag="backingStore"):
    """The image whose content this one has where nothing was written."""

    path: str | None = leaf()
    format: VolumeFormat | None = child()
    permissions: Permissions | None = child()


class Volume(Element, tag="volume"):
    """A volume.  Sizes in bytes: what the guest sees, what the host has used for it, and how long the file is."""

    type: VolumeType | None = attr()
    name: str | None = leaf()
    key: str | None = leaf()
    capacity: SizeInBytes | None = leaf()
    allocation: SizeInBytes | None = leaf()
    physical: SizeInBytes | None = leaf()
    target: VolumeTarget = child(default=VolumeTarget)
    backing: BackingStore | None = child()


#: virStorageFileFormat
_FILE_FORMATS = (
    *("none", "raw", "dir", "bochs", "cloop", "dmg", "iso", "vpc", "vdi"),
    *("fat", "vhd", "ploop", "cow", "qcow", "qcow2", "qed", "vmdk"),
)
#: virStoragePartedFs
_PARTITIONS = ("none", "linux", "fat16", "fat32", "linux-swap", "linux-lvm", "linux-raid", "extended")

#: What volumes are in each type of pool, where not files.
_TYPES = {
    PoolType.LOGICAL: VolumeType.BLOCK,
    PoolType.DISK: VolumeType.BLOCK,
    PoolType.ISCSI: VolumeType.BLOCK,
    PoolType.ISCSI_DIRECT: VolumeType.NETWORK,
    PoolType.SCSI: VolumeType.BLOCK,
    PoolType.MPATH: VolumeType.BLOCK,
    PoolType.ZFS: VolumeType.BLOCK,
    PoolType.RBD: VolumeType.NETWORK,
    PoolType.SHEEPDOG: VolumeType.NETWORK,
    PoolType.GLUSTER: VolumeType.NETWORK,
}
#: Types of pools whose volumes have no format: they are what the device says.
_WITHOUT_FORMAT = (PoolType.LOGICAL, PoolType.ISCSI, PoolType.ISCSI_DIRECT, PoolType.SCSI, PoolType.MPATH, PoolType.ZFS)

_COMPAT = re.compile(r"[0-9]+\.[0-9]+")


def parse_volume(text: str | bytes, pool: Pool, *, need_capacity: bool = True) -> Volume:
    """A volume of ``pool`` with everything filled in that follows from the rest.

    Raises DocumentError.  Source: virStorageVolDefParseXML
    """
    volume = parse(Volume, text)
    volume.target.timestamps = None  # they are told, never asked for
    if not volume.name:
        raise DocumentError("missing volume name element", place="volume/name", hint="give the volume a <name>")
    if volume.capacity is None:
        if need_capacity and volume.backing is None:
            raise DocumentError("missing capacity element", place="volume/capacity", hint="add <capacity unit='GiB'>")
        volume.capacity = 0
    if volume.allocation is None:
        volume.allocation = volume.capacity
    if volume.type is None:
        volume.type = _TYPES.get(pool.type, VolumeType.FILE)
    _complete_target(volume, pool)
    return volume


def target_formats(kind: PoolType) -> tuple[str, ...]:
    """What volumes of a pool of this type may be in; none where they have no format, or just one."""
    return _PARTITIONS if kind is PoolType.DISK else _FILE_FORMATS


def _complete_target(volume: Volume, pool: Pool) -> None:
    target = volume.target
    formats = _PARTITIONS if pool.type is PoolType.DISK else _FILE_FORMATS
    if pool.type in _WITHOUT_FORMAT:
        target.format = None
    elif target.format is None:
        target.format = VolumeFormat(type="none" if pool.type is PoolType.DISK else "raw")
    _check_format(target.format, formats, "volume/target/format/@type")
    if volume.backing:
        if pool.type in _WITHOUT_FORMAT:
            volume.backing.format = None
        elif volume.backing.format is None:
            volume.backing.format = VolumeFormat(type="raw")
        _check_format(volume.backing.format, formats, "volume/backingStore/format/@type")
    if target.compat is not None and not _COMPAT.fullmatch(target.compat):
        raise DocumentError(
            "forbidden characters in 'compat' attribute", place="volume/target/compat", hint="write 1.1"
        )
    if target.features is not None and target.compat is None:
        target.compat = "1.1"


def _check_format(format_: VolumeFormat | None, known: Sequence[str], place: str) -> None:
    if format_ and format_.type not in known:
        raise Unsupported(
            f"unknown volume format type {format_.type}", place=place, hint=f"it may be {', '.join(known)}"
        )


def renamed(text: str, name: str) -> str:
    """The document of a volume for another one that is made from it."""
    volume = parse(Volume, text)
    volume.name, volume.key, volume.target.path = name, None, None
    return render(volume)
