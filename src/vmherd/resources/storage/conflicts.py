"""Two pools that would be made of the same thing.

Source: virStoragePoolObjSourceFindDuplicate of libvirt
"""

from __future__ import annotations

from collections.abc import Iterable

from vmherd.conf.storage import Pool, PoolType
from vmherd.errors import OperationFailed

#: Types that take a whole device, so that no other pool may have it.
_OF_DEVICES = (PoolType.FS, PoolType.LOGICAL, PoolType.DISK, PoolType.ZFS)
_OF_HOSTS = (PoolType.NETFS, PoolType.GLUSTER, PoolType.ISCSI, PoolType.ISCSI_DIRECT)


def check(pool: Pool, others: Iterable[Pool]) -> None:
    """Raise OperationFailed where another pool has the same source."""
    for other in others:
        if _same(pool, other):
            hint = "use that pool, or undefine it"
            raise OperationFailed(f"Storage source conflict with pool: '{other.name}'", hint=hint)


def _same(one: Pool, other: Pool) -> bool:
    if one.type in _OF_DEVICES and other.type in _OF_DEVICES:
        return bool(_devices(one) & _devices(other)) or (one.type is other.type and _same_name(one, other))
    if one.type is not other.type:
        return False
    if one.type is PoolType.DIR:
        return one.target == other.target or (_path(one) is not None and _path(one) == _path(other))
    if one.type in _OF_HOSTS:
        return _of_hosts(one) == _of_hosts(other)
    return one.type is PoolType.SCSI and one.source.adapter == other.source.adapter


def _same_name(one: Pool, other: Pool) -> bool:
    """Volume groups and ZFS pools are known by a name."""
    return one.type in (PoolType.LOGICAL, PoolType.ZFS) and one.source.name == other.source.name


def _devices(pool: Pool) -> set[str]:
    return {device.path for device in pool.source.devices}


def _path(pool: Pool) -> str | None:
    return pool.target.path if pool.target else None


def _of_hosts(pool: Pool) -> tuple[object, ...]:
    source = pool.source
    return (
        [(host.name, host.port) for host in source.hosts],
        source.dir.path if source.dir else None,
        source.name if pool.type is PoolType.GLUSTER else None,
        _devices(pool),
        source.initiator.iqn if source.initiator else None,
    )
