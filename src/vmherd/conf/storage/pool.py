"""<pool>: where volumes are, by the kind of storage behind.

Source: https://libvirt.org/formatstorage.html and src/conf/storage_conf.c
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from vmherd.conf.domain.storage import Initiator, Secret
from vmherd.conf.storage.permissions import Permissions
from vmherd.errors import DocumentError
from vmherd.util.paths import without_doubled_slashes
from vmherd.util.xmlmodel import (
    Element,
    SizeInBytes,
    UInt,
    ULong,
    Uuid,
    YesNo,
    attr,
    child,
    children,
    leaf,
    parse,
    render,
)

_FS = "{http://libvirt.org/schemas/storagepool/fs/1.0}"
_RBD = "{http://libvirt.org/schemas/storagepool/rbd/1.0}"


class PoolType(StrEnum):
    DIR = "dir"
    FS = "fs"
    NETFS = "netfs"
    LOGICAL = "logical"
    DISK = "disk"
    ISCSI = "iscsi"
    ISCSI_DIRECT = "iscsi-direct"
    SCSI = "scsi"
    MPATH = "mpath"
    RBD = "rbd"
    SHEEPDOG = "sheepdog"
    GLUSTER = "gluster"
    ZFS = "zfs"
    VSTORAGE = "vstorage"


class CopyOnWrite(Element, tag="cow"):
    state: YesNo = attr()


class PoolFeatures(Element, tag="features"):
    """Whether files of the pool are written in place on btrfs."""

    cow: CopyOnWrite | None = child()


class SourceHost(Element, tag="host"):
    name: str = attr()
    port: UInt | None = attr()


class FreeExtent(Element, tag="freeExtent"):
    """Where a disk has room for a partition, in bytes."""

    start: ULong = attr()
    end: ULong = attr()


class SourceDevice(Element, tag="device"):
    """A disk, a partition, or an iSCSI target; its free extents are told, not set."""

    path: str = attr()
    part_separator: YesNo | None = attr("part_separator")
    free: list[FreeExtent] = children()


class SourceDir(Element, tag="dir"):
    path: str = attr()


class AdapterAddress(Element, tag="address"):
    domain: str = attr()
    bus: str = attr()
    slot: str = attr()
    function: str = attr()


class ParentAddress(Element, tag="parentaddr"):
    unique_id: UInt | None = attr("unique_id")
    address: AdapterAddress | None = child()


class AdapterType(StrEnum):
    SCSI_HOST = "scsi_host"
    FC_HOST = "fc_host"


class Adapter(Element, tag="adapter"):
    """A SCSI host, by name or PCI address, or a virtual Fibre Channel port."""

    type: AdapterType | None = attr()
    name: str | None = attr()
    parent: str | None = attr()
    parent_wwnn: str | None = attr("parent_wwnn")
    parent_wwpn: str | None = attr("parent_wwpn")
    parent_fabric_wwn: str | None = attr("parent_fabric_wwn")
    managed: YesNo | None = attr()
    wwnn: str | None = attr()
    wwpn: str | None = attr()
    parent_address: ParentAddress | None = child()


class SourceAuth(Element, tag="auth"):
    type: str = attr()
    username: str = attr()
    secret: Secret = child()


class SourceFormat(Element, tag="format"):
    type: str = attr()


class Protocol(Element, tag="protocol"):
    """The version of NFS."""

    ver: str = attr()


class Vendor(Element, tag="vendor"):
    name: str = attr()


class Product(Element, tag="product"):
    name: str = attr()


class PoolSource(Element, tag="source"):
    """What the pool is made of."""

    hosts: list[SourceHost] = children()
    devices: list[SourceDevice] = children()
    dir: SourceDir | None = child()
    adapter: Adapter | None = child()
    name: str | None = leaf()
    initiator: Initiator | None = child()
    format: SourceFormat | None = child()
    auth: SourceAuth | None = child()
    protocol: Protocol | None = child()
    vendor: Vendor | None = child()
    product: Product | None = child()


class PoolTarget(Element, tag="target"):
    """Where the volumes appear on this host."""

    path: str | None = leaf()
    permissions: Permissions | None = child()


class MountOption(Element, tag=_FS + "option", prefix="fs"):
    name: str = attr()


class MountOptions(Element, tag=_FS + "mount_opts", prefix="fs"):
    """Passed to mount(8) as they are."""

    options: list[MountOption] = children()


class RbdOption(Element, tag=_RBD + "option", prefix="rbd"):
    name: str = attr()
    value: str = attr()


class RbdOptions(Element, tag=_RBD + "config_opts", prefix="rbd"):
    """Set in librados as they are."""

    options: list[RbdOption] = children()


class Pool(Element, tag="pool"):
    """A storage pool.  Sizes in bytes; they are told, not set."""

    type: PoolType = attr()
    name: str | None = leaf()
    uuid: Uuid | None = leaf()
    capacity: SizeInBytes = leaf(default=0, always=True)
    allocation: SizeInBytes = leaf(default=0, always=True)
    available: SizeInBytes = leaf(default=0, always=True)
    features: PoolFeatures | None = child()
    source: PoolSource = child(default=PoolSource, always=True)
    target: PoolTarget | None = child()
    mount_options: MountOptions | None = child()
    rbd_options: RbdOptions | None = child()


class _Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What a type of pool has.  ``formats`` are those of its source, the first being the default."""

    formats: tuple[str, ...] = ()
    host: bool = False
    device: bool = False
    name: bool = False
    adapter: bool = False
    initiator: bool = False
    path: bool = True


#: btrfs is ours; libvirt takes it as "auto".
_FILE_SYSTEMS = ("auto", "ext2", "ext3", "ext4", "ufs", "iso9660", "udf", "gfs", "gfs2", "vfat", "hfs+", "xfs")
_LABELS = ("unknown", "dos", "dvh", "gpt", "mac", "bsd", "pc98", "sun", "lvm2")

#: Source: poolTypeInfo of src/conf/storage_conf.c
_TRAITS = {
    PoolType.DIR: _Traits(),
    PoolType.FS: _Traits(formats=(*_FILE_SYSTEMS, "ocfs2", "vmfs", "btrfs"), device=True),
    PoolType.NETFS: _Traits(formats=("auto", "nfs", "glusterfs", "cifs"), host=True),
    PoolType.LOGICAL: _Traits(formats=("lvm2", "unknown"), name=True),
    PoolType.DISK: _Traits(formats=_LABELS, device=True),
    PoolType.ISCSI: _Traits(host=True, device=True),
    PoolType.ISCSI_DIRECT: _Traits(host=True, device=True, initiator=True, path=False),
    PoolType.SCSI: _Traits(adapter=True),
    PoolType.MPATH: _Traits(),
    PoolType.RBD: _Traits(host=True, name=True, path=False),
    PoolType.SHEEPDOG: _Traits(host=True, name=True, path=False),
    PoolType.GLUSTER: _Traits(host=True, name=True, path=False),
    PoolType.ZFS: _Traits(name=True),
    PoolType.VSTORAGE: _Traits(name=True),
}

#: Types whose place follows from their name, whatever the document says.
_FIXED_PATHS = {PoolType.LOGICAL: "/dev/{}", PoolType.ZFS: "/dev/zvol/{}", PoolType.MPATH: "/dev/mapper"}

_WWN = re.compile(r"[0-9a-fA-F]{16}")


def source_formats(kind: PoolType) -> tuple[str, ...]:
    """What the source of a pool of this type may be in, the default first; none where it has no format."""
    return _TRAITS[kind].formats


def parse_pool(text: str | bytes) -> Pool:
    """A pool with everything filled in that follows from the rest.

    Raises DocumentError.  Source: virStoragePoolDefParseXML
    """
    pool = parse(Pool, text)
    traits = _TRAITS[pool.type]
    # They are measured, whatever a document says of them.
    pool.capacity = pool.allocation = pool.available = 0
    for device in pool.source.devices:
        device.free = []
    _complete_names(pool, traits)
    _complete_source(pool.source, traits)
    _require(pool, traits)
    _complete_target(pool, traits)
    return pool


def _complete_names(pool: Pool, traits: _Traits) -> None:
    if pool.name is None:
        pool.name = pool.source.name
    if not pool.name:
        raise DocumentError("missing pool source name element", place="pool/name", hint="give the pool a <name>")
    if "/" in pool.name or "\n" in pool.name:
        raise DocumentError(f"name {pool.name!r} cannot contain '/' or line breaks", place="pool/name")
    if traits.name and pool.source.name is None:
        pool.source.name = pool.name


def _complete_source(source: PoolSource, traits: _Traits) -> None:
    if not traits.formats:
        source.format = None
    elif source.format is None:
        source.format = SourceFormat(type=traits.formats[0])
    elif source.format.type not in traits.formats:
        raise DocumentError(
            f"unknown pool format type {source.format.type}",
            place="pool/source/format/@type",
            hint=f"it may be {', '.join(traits.formats)}",
        )
    if source.dir:
        source.dir.path = without_doubled_slashes(source.dir.path)
    if source.adapter and source.adapter.type is None:
        plain = source.adapter.wwnn is None and source.adapter.wwpn is None
        source.adapter.type = AdapterType.SCSI_HOST if plain else AdapterType.FC_HOST


def _require(pool: Pool, traits: _Traits) -> None:
    source = pool.source
    if traits.host and not source.hosts and pool.type is not PoolType.SHEEPDOG:
        raise _missing("missing storage pool source host name", "host", "add <host name='...'/>")
    if traits.device and not source.devices:
        raise _missing("missing storage pool source device name", "device", "add <device path='...'/>")
    if pool.type is PoolType.NETFS and source.dir is None:
        raise _missing("missing storage pool source path", "dir", "add <dir path='...'/>")
    if pool.type is PoolType.GLUSTER and source.dir is None:
        source.dir = SourceDir(path="/")
    if traits.initiator and (source.initiator is None or source.initiator.iqn is None):
        raise _missing(
            "missing storage pool initiator iqn", "initiator", "add <initiator><iqn name='...'/></initiator>"
        )
    if traits.adapter:
        _require_adapter(source.adapter)


def _require_adapter(adapter: Adapter | None) -> None:
    if adapter is None:
        raise _missing("missing storage pool source adapter", "adapter", "add <adapter name='host0'/>")
    if adapter.type is AdapterType.SCSI_HOST:
        if (adapter.name is None) == (adapter.parent_address is None):
            raise _missing("either 'name' or 'parentaddr' must be given", "adapter", "name the SCSI host: name='host0'")
        return
    for name in ("wwnn", "wwpn"):
        value = getattr(adapter, name)
        if value is None or not _WWN.fullmatch(value):
            raise _missing(f"{name} must be a number of 16 hexadecimal digits", f"adapter/@{name}", "correct it")


def _missing(problem: str, what: str, hint: str) -> DocumentError:
    return DocumentError(problem, place=f"pool/source/{what}", hint=hint)


def _complete_target(pool: Pool, traits: _Traits) -> None:
    if not traits.path:
        pool.target = None
        return
    target = pool.target = pool.target or PoolTarget()
    if fixed := _FIXED_PATHS.get(pool.type):
        target.path = fixed.format(pool.source.name)
    elif not target.path:
        raise DocumentError("missing storage pool target path", place="pool/target/path", hint="add <target><path>")
    else:
        target.path = without_doubled_slashes(target.path)


def render_pool(pool: Pool) -> str:
    """The document as text."""
    return render(pool)
