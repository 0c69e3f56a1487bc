"""What each operation on volumes does, and in which order; how is a matter of the backends."""

from __future__ import annotations

from vmherd.conf.storage import Volume, parse_volume, render
from vmherd.driver.storage import VolumeInfo, VolumeKind
from vmherd.errors import AlreadyExists, HostError, InvalidArgument, VolumeNotFound
from vmherd.resources.storage.backends import Backend
from vmherd.resources.storage.backends.base import Lacks
from vmherd.resources.storage.stock import Content, Entry, Stock
from vmherd.util import paths


class Volumes(Stock):
    """Volumes: made, copied, changed, removed."""

    async def volume_list(self, pool: str) -> list[VolumeInfo]:
        entry = self._active(pool)
        content = await self._known(entry)
        return [_info(entry, content.volumes[name]) for name in sorted(content.volumes)]

    async def volume_find(self, pool: str, name: str) -> VolumeInfo:
        entry, _, volume = await self._volume(pool, name)
        return _info(entry, volume)

    async def volume_by_path(self, path: str) -> VolumeInfo:
        wanted = paths.without_doubled_slashes(path)
        for entry in self._table.all():
            if entry.live is not None:
                for volume in (await self._known(entry)).volumes.values():
                    if wanted == volume.target.path or path == volume.key:
                        return _info(entry, volume)
        raise VolumeNotFound(path)

    async def volume_xml(self, pool: str, name: str) -> str:
        _, _, volume = await self._volume(pool, name)
        return render(volume)

    async def _volume(self, uuid: str, name: str) -> tuple[Entry, Content, Volume]:
        """A volume that was found when the pool was looked at, as it is now."""
        entry = self._active(uuid)
        content = await self._known(entry)
        if name not in content.volumes:
            raise VolumeNotFound(name)
        now = await self._backend(content.pool.type).look(content.pool, content.volumes[name])
        if now is None:
            del content.volumes[name]
            raise VolumeNotFound(name)
        content.volumes[name] = now
        return entry, content, now

    async def volume_create(self, pool: str, xml: str, *, source: tuple[str, str] | None = None) -> VolumeInfo:
        entry = self._active(pool)
        content = await self._known(entry)
        backend = self._backend(content.pool.type)
        await backend.measure(content.pool)  # raises where what the pool is made of has gone away
        volume = parse_volume(xml, content.pool, need_capacity=source is None)
        assert volume.name  # parse_volume refuses one without
        if volume.name in content.volumes:
            raise AlreadyExists(f"storage volume '{volume.name}' exists already", hint="choose another name")
        backend.place(content.pool, volume)
        if source:
            await self._clone(backend, content, volume, source)
        else:
            await backend.create(content.pool, volume)
        made = await backend.look(content.pool, volume)
        if made is None:
            raise HostError(f"{volume.target.path} was made and is gone already")
        content.volumes[volume.name] = made
        return _info(entry, made)

    async def _clone(self, backend: Backend, content: Content, volume: Volume, source: tuple[str, str]) -> None:
        _, other, original = await self._volume(*source)
        if not self._backend(other.pool.type).local and other.pool.type is not content.pool.type:
            raise Lacks("storage pool does not support volume creation from an existing volume")
        volume.capacity = volume.capacity or original.capacity
        await backend.clone(content.pool, volume, original)

    async def volume_delete(self, pool: str, name: str) -> None:
        _, content, volume = await self._volume(pool, name)
        await self._backend(content.pool.type).remove(content.pool, volume)
        content.volumes.pop(name, None)

    async def volume_wipe(self, pool: str, name: str) -> None:
        _, content, volume = await self._volume(pool, name)
        await self._backend(content.pool.type).wipe(content.pool, volume)

    async def volume_resize(
        self, pool: str, name: str, capacity: int, *, shrink: bool = False, allocate: bool = False
    ) -> None:
        _, content, volume = await self._volume(pool, name)
        if capacity < (volume.capacity or 0) and not shrink:
            raise InvalidArgument(f"{capacity} bytes are fewer than it has", hint="shrinking it must be asked for")
        backend = self._backend(content.pool.type)
        await backend.resize(content.pool, volume, capacity, shrink=shrink, allocate=allocate)


def _info(entry: Entry, volume: Volume) -> VolumeInfo:
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
