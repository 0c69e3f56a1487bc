"""Storage pools and volumes over the wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from vmherd.driver.content import VolumeContent
from vmherd.driver.storage import PoolInfo, PoolState, StorageDriver, VolumeInfo, VolumeKind, WipeAlgorithm
from vmherd.driver.types import JobInfo
from vmherd.errors import NotFound, NotSupported, PoolNotFound
from vmherd.remote.content import RemoteContent
from vmherd.remote.gathered import described
from vmherd.remote.names import by_uuid_or_name
from vmherd.remote.resource import Resource

if TYPE_CHECKING:
    from vmherd.conf.storage import Volume

_INACTIVE = 1  # VIR_STORAGE_XML_INACTIVE
_BUILD = 1  # VIR_STORAGE_POOL_CREATE_WITH_BUILD
#: What is said of content that is there already: in virStoragePoolCreateFlags, and in virStoragePoolBuildFlags.
_AT_START = {None: 0, True: 2, False: 4}
_AT_BUILD = {None: 0, True: 8, False: 4}
_ALLOCATE, _SHRINK = 1, 4  # virStorageVolResizeFlags
_METADATA, _REFLINK = 1, 2  # virStorageVolCreateFlags
_ZEROED, _WITH_SNAPSHOTS = 1, 2  # virStorageVolDeleteFlags
_SPARSE = 1  # VIR_STORAGE_VOL_{UP,DOWN}LOAD_SPARSE_STREAM


class _VolumeRef(NamedTuple):
    """How the protocol names a volume, also one that is being made; its pool goes by name."""

    pool: str
    name: str
    key: str = ""


class RemoteStorage(Resource, StorageDriver):
    """virStoragePool* and virStorageVol* of libvirt."""

    word = "storage_pool"

    # Pools

    async def pool_list(self) -> list[PoolInfo]:
        refs = (await self._call("connect_list_all_storage_pools", 1, 0))[0]
        return sorted(await described(refs, self._pool_info), key=lambda info: info.name)

    async def _pool_info(self, ref: Any) -> PoolInfo:
        from vmherd.conf.storage import parse_pool

        self._names[ref.uuid] = ref.name
        told, text, persistent, autostart = await asyncio.gather(
            self._call("storage_pool_get_info", ref),
            self._call("storage_pool_get_xml_desc", ref, 0),
            self._call("storage_pool_is_persistent", ref),
            self._call("storage_pool_get_autostart", ref),
        )
        pool = parse_pool(text)
        return PoolInfo(
            uuid=ref.uuid,
            name=ref.name,
            type=str(pool.type),
            state=PoolState(told.state),
            persistent=bool(persistent),
            autostart=bool(autostart),
            path=(pool.target.path if pool.target else "") or "",
            capacity=told.capacity,
            allocation=told.allocation,
            available=told.available,
        )

    async def pool_find(self, key: str) -> PoolInfo:
        return await self._pool_info(await by_uuid_or_name(self._call, "storage_pool", key, PoolNotFound))

    async def pool_xml(self, uuid: str, *, inactive: bool = False) -> str:
        return str(await self._call("storage_pool_get_xml_desc", await self._ref(uuid), _INACTIVE * inactive))

    async def pool_define(self, xml: str) -> PoolInfo:
        return await self._pool_info(await self._change("storage_pool_define_xml", xml, 0))

    async def pool_create(self, xml: str, *, build: bool = False, overwrite: bool | None = None) -> PoolInfo:
        flags = _BUILD * build | _AT_START[overwrite]
        return await self._pool_info(await self._change("storage_pool_create_xml", xml, flags))

    async def pool_undefine(self, uuid: str) -> None:
        await self._change("storage_pool_undefine", await self._ref(uuid))

    async def pool_build(self, uuid: str, *, overwrite: bool | None = None) -> None:
        await self._change("storage_pool_build", await self._ref(uuid), _AT_BUILD[overwrite])

    async def pool_start(self, uuid: str, *, build: bool = False, overwrite: bool | None = None) -> None:
        await self._change("storage_pool_create", await self._ref(uuid), _BUILD * build | _AT_START[overwrite])

    async def pool_stop(self, uuid: str) -> None:
        await self._change("storage_pool_destroy", await self._ref(uuid))

    async def pool_delete(self, uuid: str) -> None:
        await self._change("storage_pool_delete", await self._ref(uuid), 0)

    async def pool_sources(self, kind: str, spec: str = "") -> str:
        return str(await self._call("connect_find_storage_pool_sources", kind, spec or None, 0))

    async def pool_capabilities(self) -> str:
        return str(await self._call("connect_get_storage_pool_capabilities", 0))

    async def pool_refresh(self, uuid: str) -> None:
        await self._change("storage_pool_refresh", await self._ref(uuid), 0)

    async def pool_set_autostart(self, uuid: str, enabled: bool) -> None:
        await self._change("storage_pool_set_autostart", await self._ref(uuid), int(enabled))

    # Volumes

    async def volume_list(self, pool: str) -> list[VolumeInfo]:
        try:
            return await self._connection.own(list[VolumeInfo], "volume_list", await self._ref(pool))
        except NotSupported:
            pass
        refs = (await self._call("storage_pool_list_all_volumes", await self._ref(pool), 1, 0))[0]
        found = await described(refs, lambda ref: self._volume_info(pool, ref))
        return sorted(found, key=lambda info: info.name)

    async def _volume_info(self, pool: str, ref: Any) -> VolumeInfo:
        from vmherd.conf.storage import Volume
        from vmherd.util.xmlmodel import parse

        return _info(pool, ref, parse(Volume, await self._call("storage_vol_get_xml_desc", ref, 0)))

    async def volume_find(self, pool: str, name: str, *, known: bool = False) -> VolumeInfo:
        return await self._volume_info(pool, await self._volume(pool, name))

    async def _volume(self, pool: str, name: str) -> Any:
        """How the protocol names a volume; its pool goes by name there."""
        return await self._call("storage_vol_lookup_by_name", await self._ref(pool), name)

    async def volume_by_path(self, path: str) -> VolumeInfo:
        try:
            ref = await self._call("storage_vol_lookup_by_path", path)
        except NotFound:
            ref = await self._call("storage_vol_lookup_by_key", path)
        pool = await self._call("storage_pool_lookup_by_volume", ref)
        return await self._volume_info(pool.uuid, ref)

    async def volume_job(self, pool: str, name: str) -> JobInfo | None:
        ref = _VolumeRef((await self._ref(pool)).name, name)
        return await self._connection.own(JobInfo | None, "volume_job", ref)  # type: ignore[arg-type]

    async def volume_abort(self, pool: str, name: str) -> None:
        self.require_writable()
        await self._connection.own(type(None), "volume_abort", _VolumeRef((await self._ref(pool)).name, name))

    async def volume_xml(self, pool: str, name: str) -> str:
        return str(await self._call("storage_vol_get_xml_desc", await self._volume(pool, name), 0))

    async def volume_create(
        self,
        pool: str,
        xml: str,
        *,
        source: tuple[str, str] | None = None,
        metadata: bool = False,
        reflink: bool = False,
    ) -> VolumeInfo:
        self.require_writable()
        if source is None:
            made = await self._call("storage_vol_create_xml", await self._ref(pool), xml, _METADATA * metadata)
        else:
            flags, original = _METADATA * metadata | _REFLINK * reflink, await self._volume(*source)
            made = await self._call("storage_vol_create_xml_from", await self._ref(pool), xml, original, flags)
        return await self._volume_info(pool, made)

    async def volume_delete(self, pool: str, name: str, *, zeroed: bool = False, snapshots: bool = False) -> None:
        flags = _ZEROED * zeroed | _WITH_SNAPSHOTS * snapshots
        await self._change("storage_vol_delete", await self._volume(pool, name), flags)

    async def volume_wipe(self, pool: str, name: str, *, algorithm: WipeAlgorithm = WipeAlgorithm.ZERO) -> None:
        await self._change("storage_vol_wipe_pattern", await self._volume(pool, name), algorithm, 0)

    async def volume_upload(
        self, pool: str, name: str, *, offset: int = 0, length: int = 0, sparse: bool = False
    ) -> VolumeContent:
        self.require_writable()
        return await self._content("storage_vol_upload", await self._volume(pool, name), offset, length, sparse)

    async def volume_download(
        self, pool: str, name: str, *, offset: int = 0, length: int = 0, sparse: bool = False
    ) -> VolumeContent:
        return await self._content("storage_vol_download", await self._volume(pool, name), offset, length, sparse)

    async def _content(self, procedure: str, volume: Any, offset: int, length: int, sparse: bool) -> VolumeContent:
        stream = await self._connection.open_stream(procedure, volume, offset, length, _SPARSE * sparse)
        return RemoteContent(stream, holes=sparse)

    async def volume_resize(
        self, pool: str, name: str, capacity: int, *, shrink: bool = False, allocate: bool = False
    ) -> None:
        flags = _SHRINK * shrink | _ALLOCATE * allocate
        await self._change("storage_vol_resize", await self._volume(pool, name), capacity, flags)


def _info(pool: str, ref: Any, volume: Volume) -> VolumeInfo:
    target = volume.target
    return VolumeInfo(
        pool=ref.pool,
        pool_uuid=pool,
        name=ref.name,
        key=ref.key,
        path=target.path or "",
        kind=VolumeKind[volume.type.name] if volume.type else VolumeKind.FILE,
        format=target.format.type if target.format else "",
        capacity=volume.capacity or 0,
        allocation=volume.allocation or 0,
        physical=volume.physical or volume.allocation or 0,
    )
