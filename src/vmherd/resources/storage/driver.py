"""The storage of this host: pools in folders, and the images in them."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Self
from uuid import uuid4

import msgspec

from vmherd.conf.storage import Pool, PoolType, Volume, parse_pool, parse_volume, render, render_pool
from vmherd.driver.storage import PoolInfo, PoolState, StorageDriver, VolumeInfo, VolumeKind
from vmherd.driver.uri import ConnectURI
from vmherd.errors import (
    AlreadyExists,
    HostError,
    InvalidArgument,
    InvalidState,
    PoolNotFound,
    Unsupported,
    VmherdError,
    VolumeNotFound,
)
from vmherd.resources.storage import folder, image, passphrase
from vmherd.state.objects import Definition, ObjectTable
from vmherd.state.objects import Entry as AnyEntry
from vmherd.state.places import Places, of_uri
from vmherd.state.store import Store
from vmherd.util import paths
from vmherd.util.process import boot_id

log = logging.getLogger("vmherd.storage")

Entry = AnyEntry[Definition]


class _Content(msgspec.Struct):
    """What was found in an active pool."""

    pool: Pool
    volumes: dict[str, Volume]


class LocalStorage(StorageDriver):
    """The pools of the system, or of a user's session."""

    def __init__(self, uri: ConnectURI, places: Places) -> None:
        super().__init__(uri)
        self._store = Store(places.state / "state.db")
        self._table = ObjectTable(self._store, "pool", Definition, PoolNotFound)
        self._run = places.run
        self._content: dict[str, _Content] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    @classmethod
    async def open(cls, uri: ConnectURI, *, readonly: bool = False) -> Self:
        driver = cls(uri, of_uri(uri, "storage"))
        for entry in driver._table.all():
            if entry.record.autostart and entry.live is None:
                await driver._autostart(entry)
        return driver

    async def _autostart(self, entry: Entry) -> None:
        try:
            await self.pool_start(entry.uuid)
        except VmherdError as problem:
            log.warning("cannot start pool %r by itself: %s", entry.name, problem)

    async def close(self) -> None:
        self._store.close()

    # Pools

    async def pool_list(self) -> list[PoolInfo]:
        return [await self._info(entry) for entry in self._table.all()]

    async def pool_find(self, key: str) -> PoolInfo:
        return await self._info(self._table.find(key))

    async def pool_xml(self, uuid: str, *, inactive: bool = False) -> str:
        entry = self._table.get(uuid)
        if entry.live is None or (inactive and entry.record.config):
            return entry.record.config or entry.document
        content = await self._known(entry)
        await asyncio.to_thread(folder.measure, content.pool)
        return render_pool(content.pool)

    async def pool_define(self, xml: str) -> PoolInfo:
        pool = _read(xml)
        entry = self._own(pool)
        entry.record.config = render_pool(pool)
        self._table.put(entry)
        return await self._info(entry)

    def _own(self, pool: Pool) -> Entry:
        """The entry that a document is about, a new one if there is none; raises AlreadyExists for another's name."""
        assert pool.uuid  # `_read` gives one
        assert pool.name
        try:
            same = self._table.get(pool.uuid)
        except PoolNotFound:
            return Entry(pool.uuid, pool.name, Definition())
        if same.name != pool.name:
            raise AlreadyExists(f"pool '{same.name}' is already defined with uuid {same.uuid}", hint="leave <uuid> out")
        return same

    async def pool_create(self, xml: str, *, build: bool = False) -> PoolInfo:
        pool = _read(xml)
        entry = self._own(pool)
        await self._start(entry, pool, build=build)
        return await self._info(self._table.get(entry.uuid))

    async def pool_undefine(self, uuid: str) -> None:
        entry = self._inactive(uuid)
        entry.record.config = None
        self._table.put(entry)

    async def pool_build(self, uuid: str) -> None:
        entry = self._inactive(uuid)
        await asyncio.to_thread(folder.build, parse_pool(entry.document))

    async def pool_start(self, uuid: str, *, build: bool = False) -> None:
        entry = self._table.get(uuid)
        await self._start(entry, parse_pool(entry.document), build=build)

    async def _start(self, entry: Entry, pool: Pool, *, build: bool) -> None:
        async with self._lock(entry.uuid):
            if entry.live is not None:
                raise InvalidState(f"storage pool '{entry.name}' is already active")
            if build:
                await asyncio.to_thread(folder.build, pool)
            await asyncio.to_thread(folder.check, pool)
            self._content[entry.uuid] = await _look(pool)
            entry.record.live, entry.record.boot = render_pool(parse_pool(render_pool(pool))), boot_id()
            self._table.put(entry)

    async def pool_stop(self, uuid: str) -> None:
        entry = self._active(uuid)
        entry.record.live = None
        self._table.put(entry)
        self._content.pop(uuid, None)

    async def pool_delete(self, uuid: str) -> None:
        await asyncio.to_thread(folder.delete, parse_pool(self._inactive(uuid).document))

    async def pool_refresh(self, uuid: str) -> None:
        entry = self._active(uuid)
        async with self._lock(uuid):
            self._content[uuid] = await _look(parse_pool(entry.document))

    async def pool_set_autostart(self, uuid: str, enabled: bool) -> None:
        entry = self._table.get(uuid)
        if entry.record.config is None:
            raise InvalidState("pool has no config file", hint="define it; a transient one cannot start by itself")
        entry.record.autostart = enabled
        self._table.put(entry)

    def _lock(self, uuid: str) -> asyncio.Lock:
        return self._locks.setdefault(uuid, asyncio.Lock())

    def _inactive(self, uuid: str) -> Entry:
        entry = self._table.get(uuid)
        if entry.live is not None:
            raise InvalidState(f"storage pool '{entry.name}' is active", hint="stop it first")
        return entry

    def _active(self, uuid: str) -> Entry:
        entry = self._table.get(uuid)
        if entry.live is None:
            raise InvalidState(f"storage pool '{entry.name}' is not active", hint="start it first")
        return entry

    async def _known(self, entry: Entry) -> _Content:
        """What is in an active pool; it is looked at once after the daemon has started."""
        async with self._lock(entry.uuid):
            content = self._content.get(entry.uuid)
            if content is None:
                content = self._content[entry.uuid] = await _look(parse_pool(entry.document))
            return content

    async def _info(self, entry: Entry) -> PoolInfo:
        pool, state = parse_pool(entry.document), PoolState.INACTIVE
        if entry.live is not None:
            try:
                content = await self._known(entry)
                await asyncio.to_thread(folder.measure, content.pool)
                pool, state = content.pool, PoolState.RUNNING
            except HostError:  # the folder has gone away
                state = PoolState.INACCESSIBLE
        return PoolInfo(
            uuid=entry.uuid,
            name=entry.name,
            type=str(pool.type),
            state=state,
            persistent=entry.record.config is not None,
            autostart=entry.record.autostart,
            path=str(folder.path_of(pool)),
            capacity=pool.capacity,
            allocation=pool.allocation,
            available=pool.available,
        )

    # Volumes

    async def volume_list(self, pool: str) -> list[VolumeInfo]:
        entry = self._active(pool)
        content = await self._known(entry)
        return [_volume_info(entry, volume) for volume in content.volumes.values()]

    async def volume_find(self, pool: str, name: str) -> VolumeInfo:
        entry, volume = await self._volume(pool, name)
        return _volume_info(entry, volume)

    async def volume_by_path(self, path: str) -> VolumeInfo:
        wanted = paths.without_doubled_slashes(path)
        for entry in self._table.all():
            if entry.live is not None:
                for volume in (await self._known(entry)).volumes.values():
                    if wanted == volume.target.path:
                        return _volume_info(entry, volume)
        raise VolumeNotFound(path)

    async def volume_xml(self, pool: str, name: str) -> str:
        _, volume = await self._volume(pool, name)
        return render(volume)

    async def _volume(self, uuid: str, name: str) -> tuple[Entry, Volume]:
        """A volume that was found when the pool was looked at, as it is now."""
        entry = self._active(uuid)
        content = await self._known(entry)
        if name not in content.volumes:
            raise VolumeNotFound(name)
        now = await asyncio.to_thread(folder.look, content.pool, name)
        if now is None:
            del content.volumes[name]
            raise VolumeNotFound(name)
        content.volumes[name] = now
        return entry, now

    async def volume_create(self, pool: str, xml: str, *, source: tuple[str, str] | None = None) -> VolumeInfo:
        entry = self._active(pool)
        content = await self._known(entry)
        volume = parse_volume(xml, content.pool, need_capacity=source is None)
        assert volume.name  # parse_volume refuses one without
        path = folder.volume_path(content.pool, volume.name)
        if volume.target.format and volume.target.format.type == "qcow2":
            # libvirt makes images for QEMU of 2011 unless told otherwise.
            volume.target.compat = volume.target.compat or "1.1"
        async with passphrase.of(volume, self.uri, self._run) as key:
            if source:
                _, original = await self._volume(*source)
                volume.capacity = volume.capacity or original.capacity
                await image.copy(*_content(original), path, volume, key)
            else:
                await image.create(path, volume, key)
        made = await asyncio.to_thread(folder.look, content.pool, volume.name)
        if made is None:
            raise HostError(f"{path} was made and is gone already")
        content.volumes[volume.name] = made
        return _volume_info(entry, made)

    async def volume_delete(self, pool: str, name: str) -> None:
        await asyncio.to_thread(image.delete, await self._path(pool, name))
        self._content[pool].volumes.pop(name, None)

    async def volume_wipe(self, pool: str, name: str) -> None:
        await asyncio.to_thread(image.wipe, await self._path(pool, name))

    async def volume_resize(
        self, pool: str, name: str, capacity: int, *, shrink: bool = False, allocate: bool = False
    ) -> None:
        _, volume = await self._volume(pool, name)
        if capacity < (volume.capacity or 0) and not shrink:
            raise InvalidArgument(f"{capacity} bytes are fewer than it has", hint="shrinking it must be asked for")
        path, kind = await self._path(pool, name), volume.target.format.type if volume.target.format else "raw"
        await image.resize(path, kind, capacity, shrink=shrink, allocate=allocate)

    async def _path(self, pool: str, name: str) -> Path:
        await self._volume(pool, name)
        return folder.volume_path(self._content[pool].pool, name)


def _content(volume: Volume) -> tuple[Path, str]:
    """Where a volume that was found is, and its format."""
    assert volume.target.path
    return Path(volume.target.path), volume.target.format.type if volume.target.format else "raw"


async def _look(pool: Pool) -> _Content:
    """Look into a pool, in a thread: there may be thousands of volumes."""

    def work() -> _Content:
        folder.measure(pool)
        return _Content(pool, folder.scan(pool))

    return await asyncio.to_thread(work)


def _read(xml: str) -> Pool:
    pool = parse_pool(xml)
    if pool.type is not PoolType.DIR:
        raise Unsupported(f"pools of type {str(pool.type)!r} cannot be used yet", place="pool/@type", hint="use 'dir'")
    pool.uuid = pool.uuid or str(uuid4())
    return pool


def _volume_info(entry: Entry, volume: Volume) -> VolumeInfo:
    assert volume.name  # volumes that were found have all of these
    assert volume.type
    assert volume.target.path
    return VolumeInfo(
        pool=entry.name,
        pool_uuid=entry.uuid,
        name=volume.name,
        key=volume.key or volume.target.path,
        path=volume.target.path,
        kind=VolumeKind[volume.type.name],
        format=volume.target.format.type if volume.target.format else "",
        capacity=volume.capacity or 0,
        allocation=volume.allocation or 0,
        physical=volume.physical or 0,
    )
