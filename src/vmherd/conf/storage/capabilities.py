"""<storagepoolCapabilities>: the types of pools there are, and the formats that each knows.

Source: https://libvirt.org/formatstoragecaps.html
"""

from __future__ import annotations

from collections.abc import Collection

from vmherd.conf.storage.pool import PoolType, source_formats
from vmherd.conf.storage.volume import target_formats
from vmherd.util.xmlmodel import Element, YesNo, attr, child, children, leaf, render


class Choices(Element, tag="enum"):
    name: str = attr()
    values: list[str] = leaf("value")


class DefaultFormat(Element, tag="defaultFormat"):
    type: str = attr()


class PoolOptions(Element, tag="poolOptions"):
    default: DefaultFormat = child()
    formats: Choices = child()


class VolumeOptions(Element, tag="volOptions"):
    default: DefaultFormat = child()
    formats: Choices = child()


class PoolSupport(Element, tag="pool"):
    type: PoolType = attr()
    supported: YesNo = attr()
    pool: PoolOptions | None = child()
    volume: VolumeOptions | None = child()


class PoolCapabilities(Element, tag="storagepoolCapabilities"):
    pools: list[PoolSupport] = children()


#: Types as libvirt lists them.
_ORDER = (
    *(PoolType.DIR, PoolType.FS, PoolType.NETFS, PoolType.LOGICAL, PoolType.DISK, PoolType.ISCSI),
    *(PoolType.ISCSI_DIRECT, PoolType.SCSI, PoolType.MPATH, PoolType.RBD, PoolType.SHEEPDOG, PoolType.GLUSTER),
    *(PoolType.ZFS, PoolType.VSTORAGE),
)
#: Types whose volumes are files of a format, or partitions.
_WITH_FORMATS = (PoolType.DIR, PoolType.FS, PoolType.NETFS, PoolType.GLUSTER, PoolType.VSTORAGE)


def capabilities(offered: Collection[PoolType]) -> str:
    """The document of a host with these types of pools."""
    return render(PoolCapabilities(pools=[_support(kind, kind in offered) for kind in _ORDER]))


def _support(kind: PoolType, supported: bool) -> PoolSupport:
    return PoolSupport(type=kind, supported=supported, pool=_pool_options(kind), volume=_volume_options(kind))


def _pool_options(kind: PoolType) -> PoolOptions | None:
    formats = source_formats(kind)
    if not formats:
        return None
    values = sorted(formats, key="unknown".__ne__) if kind is PoolType.LOGICAL else list(formats)
    return PoolOptions(default=DefaultFormat(type=formats[0]), formats=Choices(name="sourceFormatType", values=values))


def _volume_options(kind: PoolType) -> VolumeOptions | None:
    name = "targetFormatType"
    if kind is PoolType.RBD:
        return VolumeOptions(default=DefaultFormat(type="raw"), formats=Choices(name=name))
    if kind is PoolType.DISK:
        return VolumeOptions(
            default=DefaultFormat(type="none"), formats=Choices(name=name, values=list(target_formats(kind)))
        )
    if kind not in _WITH_FORMATS:
        return None
    return VolumeOptions(
        default=DefaultFormat(type="raw"), formats=Choices(name=name, values=list(target_formats(kind)))
    )
