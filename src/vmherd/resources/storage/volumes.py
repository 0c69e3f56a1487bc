"""What each operation on volumes does, and in which order; how is a matter of the backends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from vmherd.conf.storage import Pool, Volume, parse_volume, render
from vmherd.driver.content import VolumeContent
from vmherd.driver.storage import VolumeInfo, VolumeKind, WipeAlgorithm
from vmherd.driver.types import JobInfo
from vmherd.errors import Denied, HostError, InvalidArgument, OperationFailed, VolumeExists, VolumeNotFound
from vmherd.resources.storage.backends.base import Backend, Lacks
from vmherd.resources.storage.chain import Open
from vmherd.resources.storage.content import Download, Upload
from vmherd.resources.storage.image import Source, path_of
from vmherd.resources.storage.opening import Use, open_volume, require_unused
from vmherd.resources.storage.stock import Content, Entry, Stock, refreshed
from vmherd.util import paths
from vmherd.util.sparse import length_of

#: The largest file there can be.
_LARGEST = (1 << 63) - 1


class Volumes(Stock):
    """Volumes: made, copied, changed, removed."""

    async def volume_list(self, pool: str) -> list[VolumeInfo]:
        entry = self._active(pool)
        content = await self._known(entry)
        return [_info(entry, content.volumes[name]) for name in sorted(content.volumes)]

    async def volume_find(self, pool: str, name: str, *, known: bool = False) -> VolumeInfo:
        if known:
            entry = self._active(pool)
            if volume := (await self._known(entry)).volumes.get(name):
                return _info(entry, volume)
            raise VolumeNotFound(name)
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

    async def volume_job(self, pool: str, name: str) -> JobInfo | None:
        return self._around.works.info(pool, name)

    async def volume_abort(self, pool: str, name: str) -> None:
        self.require_writable()
        self._around.works.abort(pool, name)

    async def _volume(self, uuid: str, name: str) -> tuple[Entry, Content, Volume]:
        """A volume that was found when the pool was looked at, as it is now."""
        entry = self._active(uuid)
        content = await self._known(entry)
        if name not in content.volumes:
            raise VolumeNotFound(name)
        now = await self._backend(content.pool.type).look(content.pool, content.volumes[name])
        if now is None:
            content.volumes.pop(name, None)
            raise VolumeNotFound(name)
        content.volumes[name] = now
        return entry, content, now

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
        entry = self._active(pool)
        content = await self._known(entry)
        backend = self._backend(content.pool.type)
        await backend.measure(content.pool)  # raises where what the pool is made of has gone away
        volume = parse_volume(xml, content.pool, need_capacity=source is None)
        assert volume.name  # parse_volume refuses one without
        _check_size(volume.capacity or 0)
        if volume.name in content.volumes:
            raise VolumeExists(volume.name)
        backend.place(content.pool, volume)
        async with self._around.works.hold(pool, volume.name, "clone" if source else "create") as work:
            if source:
                origin = await self._source(content, *source)
                await backend.clone(content.pool, volume, origin, work, metadata=metadata, reflink=reflink)
            else:
                await backend.create(content.pool, volume, work, metadata=metadata)
        made = await backend.look(content.pool, volume)
        if made is None:
            raise HostError(f"{volume.target.path} was made and is gone already")
        content.volumes[volume.name] = made
        self._changed(entry)
        return _info(entry, made)

    async def _source(self, content: Content, pool: str, name: str) -> Source:
        """What a volume of ``content`` can be made of."""
        _, other, original = await self._volume(pool, name)
        backend = self._backend(other.pool.type)
        if not backend.local and other.pool.type is not content.pool.type:
            raise Lacks("storage pool does not support volume creation from an existing volume")
        if original.type and original.type.value in ("dir", "netdir"):
            raise InvalidArgument(f"cannot copy from directory volume {name!r}", hint="choose a file or a disk")
        if self._around.works.info(pool, name):
            raise OperationFailed(f"volume '{name}' is still being worked on", hint="wait for it, then try again")
        return Source(volume=original, within=backend.within(other.pool), opener=await self._opener())

    async def _opener(self) -> Open:
        """What opens volumes of all active pools for reading, and nothing else."""
        known = []
        for entry in self._table.all():
            if entry.live is not None:
                with suppress(HostError):  # what cannot be reached cannot be read
                    content = await self._known(entry)
                    known.append((content, self._backend(content.pool.type)))

        def opened(path: Path) -> int:
            for content, backend in known:
                within = backend.within(content.pool)
                if within and path.is_relative_to(within):
                    return open_volume(path, Use.COPY, within=within)
                if any(volume.target.path == str(path) for volume in content.volumes.values()):
                    return open_volume(path, Use.COPY)
            raise Denied(f"{path} is in no active pool", hint="make its folder a pool, if it may be read")

        return opened

    async def volume_delete(self, pool: str, name: str, *, zeroed: bool = False, snapshots: bool = False) -> None:
        self.require_writable()
        entry, content, volume = await self._volume(pool, name)
        backend = self._backend(content.pool.type)
        async with self._around.works.hold(pool, name, "delete") as work:
            await self._require_unused(backend, volume)
            if zeroed:
                await backend.wipe(content.pool, volume, WipeAlgorithm.ZERO, work)
            await backend.remove(content.pool, volume, snapshots=snapshots)
        content.volumes.pop(name, None)
        self._changed(entry)

    async def _require_unused(self, backend: Backend, volume: Volume) -> None:
        """Raise Busy while anybody has a volume open; the tools of some pools would not notice."""
        if backend.local:
            await asyncio.to_thread(require_unused, path_of(volume))

    async def volume_wipe(self, pool: str, name: str, *, algorithm: WipeAlgorithm = WipeAlgorithm.ZERO) -> None:
        self.require_writable()
        entry, content, volume = await self._volume(pool, name)
        async with self._around.works.hold(pool, name, "wipe") as work:
            await self._backend(content.pool.type).wipe(content.pool, volume, algorithm, work)
        self._changed(entry)

    async def volume_resize(
        self, pool: str, name: str, capacity: int, *, shrink: bool = False, allocate: bool = False
    ) -> None:
        self.require_writable()
        entry, content, volume = await self._volume(pool, name)
        _check_size(capacity)
        _check_resize(content.pool, volume, capacity, shrink=shrink, allocate=allocate)
        backend = self._backend(content.pool.type)
        async with self._around.works.hold(pool, name, "resize") as work:
            if capacity < (volume.capacity or 0):
                await self._require_unused(backend, volume)
            await backend.resize(content.pool, volume, capacity, work, shrink=shrink, allocate=allocate)
        self._changed(entry)

    async def volume_download(
        self, pool: str, name: str, *, offset: int = 0, length: int = 0, sparse: bool = False
    ) -> VolumeContent:
        _, content, volume = await self._volume(pool, name)
        _check_size(offset + length)
        fd = await asyncio.to_thread(self._backend(content.pool.type).reading, content.pool, volume)
        end = length_of(fd)
        return Download(fd, offset, min(offset + length, end) if length else end, holes=sparse)

    async def volume_upload(
        self, pool: str, name: str, *, offset: int = 0, length: int = 0, sparse: bool = False
    ) -> VolumeContent:
        self.require_writable()
        entry, content, volume = await self._volume(pool, name)
        _check_size(offset + length)
        backend = self._backend(content.pool.type)
        held = await self._around.works.begin(pool, name, "upload")
        try:
            held.work.total = length
            target = await held.work.run(backend.writing, content.pool, volume, held.work, offset, length)
        except BaseException:
            await held.end()
            raise

        async def done() -> None:
            self._changed(entry)

        return Upload(target, offset, length, held, done, holes=sparse)

    def _changed(self, entry: Entry) -> None:
        """Tell everybody that the volumes of a pool are other ones."""
        with self._store.transaction():
            self._store.record_events([refreshed(entry)])


def _check_resize(pool: Pool, volume: Volume, capacity: int, *, shrink: bool, allocate: bool) -> None:
    """Raise InvalidArgument, OperationFailed as libvirt does (storageVolResize)."""
    before = volume.capacity or 0
    if capacity < min(volume.allocation or 0, before):
        text = "can't shrink capacity below existing allocation"
        raise InvalidArgument(text, hint="copy what is needed into a smaller volume")
    if capacity < before and not shrink:
        text = "Can't shrink capacity below current capacity unless shrink flag explicitly specified"
        raise InvalidArgument(text, hint="what is behind the new end is lost: say that it shall shrink")
    if allocate and capacity > before + pool.available:
        raise OperationFailed("Not enough space left in storage pool", hint="make room, or do not allocate it at once")


def _check_size(size: int) -> None:
    if not 0 <= size <= _LARGEST:
        raise InvalidArgument(f"{size} bytes are more than a volume can have", hint="8 EiB - 1 is the most")


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
