"""Storage pools."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import not_both, only
from vmherd.driver.storage import PoolInfo, StorageDriver
from vmherd.errors import PoolNotFound

_INACTIVE = 1  # VIR_STORAGE_XML_INACTIVE
_NO_OVERWRITE, _OVERWRITE = 4, 8  # virStoragePoolBuildFlags; there is nothing to repair or to resize
_BUILD, _BUILD_OVERWRITE, _BUILD_NO_OVERWRITE = 1, 2, 4  # virStoragePoolCreateFlags
_VALIDATE = 1

#: virConnectListAllStoragePoolsFlags, in groups as with domains; each type of pool has a bit.
_GROUPS: tuple[dict[int, Callable[[PoolInfo], bool]], ...] = (
    {1: lambda info: not info.active, 2: lambda info: info.active},
    {4: lambda info: info.persistent, 8: lambda info: not info.persistent},
    {16: lambda info: info.autostart, 32: lambda info: not info.autostart},
)
_TYPES = (
    *("dir", "fs", "netfs", "logical", "disk", "iscsi", "scsi", "mpath"),
    *("rbd", "sheepdog", "gluster", "zfs", "vstorage", "iscsi-direct"),
)
_FIRST_TYPE = 6
_ALL = (1 << (_FIRST_TYPE + len(_TYPES))) - 1


class PoolRef(NamedTuple):
    """How the protocol names a pool."""

    name: str
    uuid: str


async def storage(call: Call) -> StorageDriver:
    """The storage behind the client's connection."""
    return await call.driver.resource(StorageDriver)


def reference(info: PoolInfo) -> PoolRef:
    return PoolRef(info.name, info.uuid)


async def find(call: Call, pool: PoolRef) -> PoolInfo:
    """The pool a client means."""
    return await (await storage(call)).pool_find(pool.uuid)


def _wanted(flags: int, info: PoolInfo) -> bool:
    types = flags >> _FIRST_TYPE
    if types and not types >> _TYPES.index(info.type) & 1:
        return False
    asked = ([test for bit, test in group.items() if flags & bit] for group in _GROUPS)
    return all(any(test(info) for test in tests) for tests in asked if tests)


@remote
async def connect_list_all_storage_pools(call: Call, need_results: int, flags: int) -> tuple[list[PoolRef], int]:
    only(flags, _ALL)
    found = [reference(info) for info in await (await storage(call)).pool_list() if _wanted(flags, info)]
    return found if need_results else [], len(found)


async def _names(call: Call, *, active: bool) -> list[str]:
    return [info.name for info in await (await storage(call)).pool_list() if info.active is active]


@remote
async def connect_num_of_storage_pools(call: Call) -> int:
    return len(await _names(call, active=True))


@remote
async def connect_list_storage_pools(call: Call, most: int) -> list[str]:
    return (await _names(call, active=True))[: max(most, 0)]


@remote
async def connect_num_of_defined_storage_pools(call: Call) -> int:
    return len(await _names(call, active=False))


@remote
async def connect_list_defined_storage_pools(call: Call, most: int) -> list[str]:
    return (await _names(call, active=False))[: max(most, 0)]


@remote
async def connect_find_storage_pool_sources(call: Call, kind: str, spec: str | None, flags: int) -> str:
    only(flags, 0)
    return await (await storage(call)).pool_sources(kind, spec or "")


@remote
async def connect_get_storage_pool_capabilities(call: Call, flags: int) -> str:
    only(flags, 0)
    return await (await storage(call)).pool_capabilities()


@remote
async def storage_pool_lookup_by_name(call: Call, name: str) -> PoolRef:
    info = await (await storage(call)).pool_find(name)
    if info.name != name:
        raise PoolNotFound(name)
    return reference(info)


@remote
async def storage_pool_lookup_by_uuid(call: Call, uuid: str) -> PoolRef:
    return reference(await (await storage(call)).pool_find(uuid))


@remote
async def storage_pool_lookup_by_target_path(call: Call, path: str) -> PoolRef:
    for info in await (await storage(call)).pool_list():
        if info.path == path.rstrip("/"):
            return reference(info)
    raise PoolNotFound(path)


@remote
async def storage_pool_define_xml(call: Call, xml: str, flags: int) -> PoolRef:
    only(flags, _VALIDATE)
    return reference(await (await storage(call)).pool_define(xml))


@remote
async def storage_pool_create_xml(call: Call, xml: str, flags: int) -> PoolRef:
    overwrite = _overwrite_at_start(flags)
    return reference(await (await storage(call)).pool_create(xml, build=bool(flags & _BUILD), overwrite=overwrite))


def _overwrite_at_start(flags: int) -> bool | None:
    only(flags, _BUILD | _BUILD_OVERWRITE | _BUILD_NO_OVERWRITE)
    return _overwrite(flags, _BUILD_OVERWRITE, _BUILD_NO_OVERWRITE)


def _overwrite(flags: int, yes: int, no: int) -> bool | None:
    """What is said of content that is there already; None if nothing."""
    not_both(flags, yes, no, ("overwrite", "no overwrite"))
    return bool(flags & yes) if flags & (yes | no) else None


@remote
async def storage_pool_build(call: Call, pool: PoolRef, flags: int) -> None:
    only(flags, _NO_OVERWRITE | _OVERWRITE)
    await (await storage(call)).pool_build(pool.uuid, overwrite=_overwrite(flags, _OVERWRITE, _NO_OVERWRITE))


@remote
async def storage_pool_create(call: Call, pool: PoolRef, flags: int) -> None:
    overwrite = _overwrite_at_start(flags)
    await (await storage(call)).pool_start(pool.uuid, build=bool(flags & _BUILD), overwrite=overwrite)


@remote
async def storage_pool_destroy(call: Call, pool: PoolRef) -> None:
    await (await storage(call)).pool_stop(pool.uuid)


@remote
async def storage_pool_undefine(call: Call, pool: PoolRef) -> None:
    await (await storage(call)).pool_undefine(pool.uuid)


@remote
async def storage_pool_delete(call: Call, pool: PoolRef, flags: int) -> None:
    only(flags, 0)
    await (await storage(call)).pool_delete(pool.uuid)


@remote
async def storage_pool_refresh(call: Call, pool: PoolRef, flags: int) -> None:
    only(flags, 0)
    await (await storage(call)).pool_refresh(pool.uuid)


@remote
async def storage_pool_get_xml_desc(call: Call, pool: PoolRef, flags: int) -> str:
    only(flags, _INACTIVE)
    return await (await storage(call)).pool_xml(pool.uuid, inactive=bool(flags & _INACTIVE))


@remote
async def storage_pool_get_info(call: Call, pool: PoolRef) -> tuple[int, int, int, int]:
    info = await find(call, pool)
    return int(info.state), info.capacity, info.allocation, info.available


@remote
async def storage_pool_get_autostart(call: Call, pool: PoolRef) -> int:
    return int((await find(call, pool)).autostart)


@remote
async def storage_pool_set_autostart(call: Call, pool: PoolRef, enabled: int) -> None:
    await (await storage(call)).pool_set_autostart(pool.uuid, bool(enabled))


@remote
async def storage_pool_is_active(call: Call, pool: PoolRef) -> int:
    return int((await find(call, pool)).active)


@remote
async def storage_pool_is_persistent(call: Call, pool: PoolRef) -> int:
    return int((await find(call, pool)).persistent)
