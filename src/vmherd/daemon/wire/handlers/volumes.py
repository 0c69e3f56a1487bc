"""Volumes of storage pools.  Clients name them by pool and name."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import answers, remote
from vmherd.daemon.wire.flags import only
from vmherd.daemon.wire.handlers.pools import PoolRef, storage
from vmherd.daemon.wire.streams import open_content
from vmherd.driver.storage import StorageDriver, VolumeInfo, WipeAlgorithm
from vmherd.errors import InvalidArgument

_PREALLOC_METADATA, _REFLINK, _VALIDATE = 1, 2, 4  # virStorageVolCreateFlags
_ALLOCATE, _DELTA, _SHRINK = 1, 2, 4  # virStorageVolResizeFlags
_PHYSICAL = 1  # VIR_STORAGE_VOL_GET_PHYSICAL
_ZEROED, _WITH_SNAPSHOTS = 1, 2  # virStorageVolDeleteFlags
_SPARSE = 1  # VIR_STORAGE_VOL_{UP,DOWN}LOAD_SPARSE_STREAM


own = answers("vmherd")


class VolumeRef(NamedTuple):
    """How the protocol names a volume; ``pool`` is a name."""

    pool: str
    name: str
    key: str


def _reference(info: VolumeInfo) -> VolumeRef:
    return VolumeRef(info.pool, info.name, info.key)


async def _place(call: Call, volume: VolumeRef) -> tuple[StorageDriver, str, str]:
    """The storage, the UUID of the volume's pool, and its name."""
    driver = await storage(call)
    return driver, await driver.pool_uuid(volume.pool), volume.name


async def _find(call: Call, volume: VolumeRef, *, known: bool = False) -> VolumeInfo:
    driver, pool, name = await _place(call, volume)
    return await driver.volume_find(pool, name, known=known)


@remote
async def storage_pool_num_of_volumes(call: Call, pool: PoolRef) -> int:
    return len(await (await storage(call)).volume_list(pool.uuid))


@remote
async def storage_pool_list_volumes(call: Call, pool: PoolRef, most: int) -> list[str]:
    return [info.name for info in await (await storage(call)).volume_list(pool.uuid)][: max(most, 0)]


@remote
async def storage_pool_list_all_volumes(
    call: Call, pool: PoolRef, need_results: int, flags: int
) -> tuple[list[VolumeRef], int]:
    only(flags, 0)
    found = [_reference(info) for info in await (await storage(call)).volume_list(pool.uuid)]
    return found if need_results else [], len(found)


@remote
async def storage_vol_lookup_by_name(call: Call, pool: PoolRef, name: str) -> VolumeRef:
    return _reference(await (await storage(call)).volume_find(pool.uuid, name, known=True))


@remote
async def storage_vol_lookup_by_key(call: Call, key: str) -> VolumeRef:
    return _reference(await (await storage(call)).volume_by_path(key))


@remote
async def storage_vol_lookup_by_path(call: Call, path: str) -> VolumeRef:
    return _reference(await (await storage(call)).volume_by_path(path))


@remote
async def storage_pool_lookup_by_volume(call: Call, volume: VolumeRef) -> PoolRef:
    return PoolRef(volume.pool, await (await storage(call)).pool_uuid(volume.pool))


@remote
async def storage_vol_create_xml(call: Call, pool: PoolRef, xml: str, flags: int) -> VolumeRef:
    only(flags, _PREALLOC_METADATA | _VALIDATE)
    made = await (await storage(call)).volume_create(pool.uuid, xml, metadata=bool(flags & _PREALLOC_METADATA))
    return _reference(made)


@remote
async def storage_vol_create_xml_from(
    call: Call, pool: PoolRef, xml: str, original: VolumeRef, flags: int
) -> VolumeRef:
    only(flags, _PREALLOC_METADATA | _REFLINK | _VALIDATE)
    driver, source, name = await _place(call, original)
    metadata, reflink = bool(flags & _PREALLOC_METADATA), bool(flags & _REFLINK)
    made = await driver.volume_create(pool.uuid, xml, source=(source, name), metadata=metadata, reflink=reflink)
    return _reference(made)


@remote
async def storage_vol_delete(call: Call, volume: VolumeRef, flags: int) -> None:
    only(flags, _ZEROED | _WITH_SNAPSHOTS)
    driver, pool, name = await _place(call, volume)
    await driver.volume_delete(pool, name, zeroed=bool(flags & _ZEROED), snapshots=bool(flags & _WITH_SNAPSHOTS))


@remote
async def storage_vol_wipe(call: Call, volume: VolumeRef, flags: int) -> None:
    only(flags, 0)
    driver, pool, name = await _place(call, volume)
    await driver.volume_wipe(pool, name)


@remote
async def storage_vol_wipe_pattern(call: Call, volume: VolumeRef, algorithm: int, flags: int) -> None:
    only(flags, 0)
    if algorithm >= len(WipeAlgorithm):
        raise InvalidArgument(f"wiping algorithm {algorithm} not supported", hint=f"0 to {max(WipeAlgorithm)} are")
    driver, pool, name = await _place(call, volume)
    await driver.volume_wipe(pool, name, algorithm=WipeAlgorithm(algorithm))


@remote
async def storage_vol_get_xml_desc(call: Call, volume: VolumeRef, flags: int) -> str:
    only(flags, 0)
    driver, pool, name = await _place(call, volume)
    return await driver.volume_xml(pool, name)


@remote
async def storage_vol_get_info(call: Call, volume: VolumeRef) -> tuple[int, int, int]:
    info = await _find(call, volume)
    return int(info.kind), info.capacity, info.allocation


@remote
async def storage_vol_get_info_flags(call: Call, volume: VolumeRef, flags: int) -> tuple[int, int, int]:
    only(flags, _PHYSICAL)
    info = await _find(call, volume)
    return int(info.kind), info.capacity, info.physical if flags & _PHYSICAL else info.allocation


@remote
async def storage_vol_get_path(call: Call, volume: VolumeRef) -> str:
    return (await _find(call, volume, known=True)).path


@remote
async def storage_vol_resize(call: Call, volume: VolumeRef, capacity: int, flags: int) -> None:
    only(flags, _ALLOCATE | _DELTA | _SHRINK)
    driver, pool, name = await _place(call, volume)
    if flags & _DELTA:
        before = (await driver.volume_find(pool, name)).capacity
        capacity = before - min(capacity, before) if flags & _SHRINK else before + capacity
    await driver.volume_resize(pool, name, capacity, shrink=bool(flags & _SHRINK), allocate=bool(flags & _ALLOCATE))


@remote
async def storage_vol_upload(call: Call, volume: VolumeRef, offset: int, length: int, flags: int) -> None:
    only(flags, _SPARSE)
    driver, pool, name = await _place(call, volume)
    sparse = bool(flags & _SPARSE)
    content = await driver.volume_upload(pool, name, offset=offset, length=length, sparse=sparse)
    open_content(call, content, reads=False)


@remote
async def storage_vol_download(call: Call, volume: VolumeRef, offset: int, length: int, flags: int) -> None:
    only(flags, _SPARSE)
    driver, pool, name = await _place(call, volume)
    sparse = bool(flags & _SPARSE)
    content = await driver.volume_download(pool, name, offset=offset, length=length, sparse=sparse)
    open_content(call, content, writes=False)


@own
async def volume_list(call: Call, pool: PoolRef) -> bytes:
    return msgspec.msgpack.encode(await (await storage(call)).volume_list(pool.uuid))


@own
async def volume_job(call: Call, volume: VolumeRef) -> bytes:
    driver, pool, name = await _place(call, volume)
    return msgspec.msgpack.encode(await driver.volume_job(pool, name))


@own
async def volume_abort(call: Call, volume: VolumeRef) -> bytes:
    driver, pool, name = await _place(call, volume)
    await driver.volume_abort(pool, name)
    return msgspec.msgpack.encode(None)
