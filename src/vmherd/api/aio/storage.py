"""Storage pools, and the volumes in them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from vmherd.api.resource import changing
from vmherd.driver.content import Told, nobody
from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.storage import PoolInfo, StorageDriver, VolumeInfo, WipeAlgorithm
from vmherd.driver.types import JobInfo
from vmherd.events import ResourceEvent
from vmherd.util.paths import absolute


class Pools:
    """The storage pools of a host."""

    def __init__(self, driver: HypervisorDriver) -> None:
        self._driver = driver

    async def list(self) -> Sequence[PoolInfo]:
        """A summary of every pool, active or not, ordered by name."""
        return await (await self._driver.resource(StorageDriver)).pool_list()

    async def find(self, key: str) -> Pool:
        """The pool with this name or UUID; raises PoolNotFound."""
        return Pool(self._driver, await (await self._driver.resource(StorageDriver)).pool_find(key))

    async def define(self, xml: str) -> Pool:
        """Keep a pool, or replace the kept definition of the one with the same UUID and name."""
        return Pool(self._driver, await (await changing(self._driver, StorageDriver)).pool_define(xml))

    async def create(self, xml: str, *, build: bool = False, overwrite: bool | None = None) -> Pool:
        """Start a transient pool: it is gone when it stops.  ``build`` makes what it needs before; see `Pool.build`."""
        storage = await changing(self._driver, StorageDriver)
        return Pool(self._driver, await storage.pool_create(xml, build=build, overwrite=overwrite))

    async def sources(self, kind: str, spec: str = "") -> str:
        """A <sources> document of what could be pools of a type; ``spec`` is a <source> that says where to look."""
        return await (await changing(self._driver, StorageDriver)).pool_sources(kind, spec)

    async def capabilities(self) -> str:
        """A <storagepoolCapabilities> document: the types of pools that there are, with their formats."""
        return await (await self._driver.resource(StorageDriver)).pool_capabilities()

    async def volume_by_path(self, path: str) -> Volume:
        """The volume of any active pool that is there, or has this key; raises VolumeNotFound."""
        return Volume(self._driver, await (await self._driver.resource(StorageDriver)).volume_by_path(path))

    async def events(self, *wanted: type[ResourceEvent]) -> AsyncGenerator[ResourceEvent, None]:
        """The events of these classes, PoolEvent or PoolRefreshEvent, while the loop lasts; all if none is named."""
        storage = await self._driver.resource(StorageDriver)
        async with await storage.events(*wanted) as subscription:
            async for event in subscription:
                yield event


class Pool:
    """A storage pool: a place with volumes, or its definition, or both."""

    def __init__(self, driver: HypervisorDriver, info: PoolInfo) -> None:
        self._driver = driver
        self.uuid = info.uuid
        self.name = info.name

    async def _storage(self) -> StorageDriver:
        return await self._driver.resource(StorageDriver)

    async def _changing(self) -> StorageDriver:
        return await changing(self._driver, StorageDriver)

    async def info(self) -> PoolInfo:
        """State and sizes as they are now."""
        return await (await self._storage()).pool_find(self.uuid)

    async def xml(self, *, inactive: bool = False) -> str:
        """The document; of an active pool with its sizes, unless ``inactive``."""
        return await (await self._storage()).pool_xml(self.uuid, inactive=inactive)

    async def build(self, *, overwrite: bool | None = None) -> None:
        """Make what an inactive pool needs, such as its folder.

        A file system is made only where ``overwrite`` is said: False keeps what the device has already, and raises
        PoolBuilt.
        """
        await (await self._changing()).pool_build(self.uuid, overwrite=overwrite)

    async def start(self, *, build: bool = False, overwrite: bool | None = None) -> None:
        """Make the volumes available; ``build`` and ``overwrite`` make what the pool needs before."""
        await (await self._changing()).pool_start(self.uuid, build=build, overwrite=overwrite)

    async def stop(self) -> None:
        """Make the volumes unavailable; nothing in them is lost (libvirt: destroy)."""
        await (await self._changing()).pool_stop(self.uuid)

    async def refresh(self) -> None:
        """Look again which volumes there are."""
        await (await self._changing()).pool_refresh(self.uuid)

    async def delete(self) -> None:
        """Remove what ``build`` made, of an inactive pool that is empty."""
        await (await self._changing()).pool_delete(self.uuid)

    async def undefine(self) -> None:
        """Forget the definition of an inactive pool.  Its volumes stay where they are."""
        await (await self._changing()).pool_undefine(self.uuid)

    async def set_autostart(self, enabled: bool) -> None:
        """Start the pool with the host, or no more."""
        await (await self._changing()).pool_set_autostart(self.uuid, enabled)

    async def volumes(self) -> list[VolumeInfo]:
        """A summary of every volume of an active pool, ordered by name."""
        return await (await self._storage()).volume_list(self.uuid)

    async def volume(self, name: str) -> Volume:
        """Raises VolumeNotFound."""
        return Volume(self._driver, await (await self._storage()).volume_find(self.uuid, name))

    async def create_volume(
        self, xml: str, *, source: Volume | None = None, metadata: bool = False, reflink: bool = False
    ) -> Volume:
        """Make a volume, empty or with the content of ``source``; it is there as a whole or not at all.

        ``metadata`` prepares all tables of its format at once; with ``reflink`` it shares the blocks of its source, or
        is not made.  Raises AlreadyExists for a name that is taken.
        """
        storage = await self._changing()
        copied = (source.pool_uuid, source.name) if source else None
        made = await storage.volume_create(self.uuid, xml, source=copied, metadata=metadata, reflink=reflink)
        return Volume(self._driver, made)

    async def job(self, volume: str) -> JobInfo | None:
        """What is being done to a volume, or made of this name, and how far that is."""
        return await (await self._storage()).volume_job(self.uuid, volume)

    async def abort_job(self, volume: str) -> None:
        """Ask for an end of what is done to a volume, or made of this name.  InvalidState if there is nothing."""
        await (await self._changing()).volume_abort(self.uuid, volume)


class Volume:
    """An image, a disk or a folder in a pool."""

    def __init__(self, driver: HypervisorDriver, info: VolumeInfo) -> None:
        self._driver = driver
        self.pool = info.pool
        self.pool_uuid = info.pool_uuid
        self.name = info.name
        self.key = info.key
        self.path = info.path

    async def _storage(self) -> StorageDriver:
        return await self._driver.resource(StorageDriver)

    async def _changing(self) -> StorageDriver:
        return await changing(self._driver, StorageDriver)

    async def info(self) -> VolumeInfo:
        """Format and sizes as they are now."""
        return await (await self._storage()).volume_find(self.pool_uuid, self.name)

    async def xml(self) -> str:
        """The document, with what is so now."""
        return await (await self._storage()).volume_xml(self.pool_uuid, self.name)

    async def resize(self, capacity: int, *, shrink: bool = False, allocate: bool = False) -> None:
        """Give it ``capacity`` bytes; fewer than it has only with ``shrink``.

        ``allocate`` takes the room on the disk at once.  Raises Busy while a guest has it open.
        """
        storage = await self._changing()
        await storage.volume_resize(self.pool_uuid, self.name, capacity, shrink=shrink, allocate=allocate)

    async def wipe(self, algorithm: WipeAlgorithm = WipeAlgorithm.ZERO) -> None:
        """Overwrite the content.  Raises Busy while anybody has it open."""
        await (await self._changing()).volume_wipe(self.pool_uuid, self.name, algorithm=algorithm)

    async def delete(self, *, zeroed: bool = False, snapshots: bool = False) -> None:
        """Remove it, overwritten with zeros before where that is asked for, with its ``snapshots`` where needed.

        Raises Busy while anybody has it open.
        """
        storage = await self._changing()
        await storage.volume_delete(self.pool_uuid, self.name, zeroed=zeroed, snapshots=snapshots)

    async def clone(
        self, name: str, *, pool: Pool | None = None, metadata: bool = False, reflink: bool = False
    ) -> Volume:
        """Copy it to a volume of another name, in the same pool or in another one; as ``Pool.create_volume``."""
        from vmherd.conf.storage import renamed

        storage, source = await self._changing(), (self.pool_uuid, self.name)
        xml, where = renamed(await storage.volume_xml(*source), name), pool.uuid if pool else self.pool_uuid
        made = await storage.volume_create(where, xml, source=source, metadata=metadata, reflink=reflink)
        return Volume(self._driver, made)

    async def upload(self, path: str | Path, *, offset: int = 0, told: Told = nobody) -> None:
        """Replace the content from ``offset`` on with that of a file here; its holes stay holes.

        ``told`` hears how many bytes are done, of how many.  Raises Busy while anybody has it open; where the content
        is replaced from its beginning and there is room, it stays as it was until all is there.
        """
        storage = await self._changing()
        content = await storage.volume_upload(self.pool_uuid, self.name, offset=offset, sparse=True)
        try:
            await content.take_from(absolute(path), told=told)
        finally:
            await content.close()

    async def download(self, path: str | Path, *, offset: int = 0, length: int = 0, told: Told = nobody) -> None:
        """Write the content from ``offset`` on, ``length`` bytes at most if that is not 0, to a new file here.

        Holes stay holes; half a file is removed.
        """
        storage = await self._changing()  # content is not for those who only look
        total = length or (await self.info()).physical - offset
        content = await storage.volume_download(self.pool_uuid, self.name, offset=offset, length=length, sparse=True)
        try:
            await content.save_to(absolute(path), total=total, told=told)
        finally:
            await content.close()
