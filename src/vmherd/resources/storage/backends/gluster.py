"""Pools that are a folder of a volume of Gluster: files, which QEMU reaches by itself.

The folder is mounted at a place of ours while the pool is active, for looking and making; guests do not go that way.
Sources: gluster(8), mount.glusterfs(8)
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from vmherd.conf.storage import Pool, Volume, VolumeType
from vmherd.conf.storage.pool import PoolTarget
from vmherd.driver.storage import WipeAlgorithm
from vmherd.errors import HostError, InvalidArgument, Unsupported
from vmherd.resources.storage import folder, glustersources
from vmherd.resources.storage.backends import spec
from vmherd.resources.storage.backends.dir import FolderBackend
from vmherd.resources.storage.image import Source
from vmherd.resources.storage.works import Work
from vmherd.util import command
from vmherd.util.mounts import mount_at

_PACKAGE = "glusterfs-client"
_PATIENCE = 60.0


class GlusterBackend(FolderBackend):
    """mount.glusterfs(8), and what can be done with files."""

    local = False

    def _mounted(self, pool: Pool) -> Path:
        return self.around.run / f"{pool.uuid}.gluster"

    def _here(self, pool: Pool) -> Pool:
        """The pool as a folder of this host."""
        assert pool.source.dir  # parse_pool sees to it
        path = self._mounted(pool) / pool.source.dir.path.strip("/")
        return pool.replace(target=PoolTarget(path=str(path)))

    def within(self, pool: Pool) -> Path:
        return super().within(self._here(pool))

    async def ready(self, pool: Pool) -> bool:
        return await asyncio.to_thread(mount_at, self._mounted(pool)) is not None

    async def start(self, pool: Pool) -> None:
        place = self._mounted(pool)
        await asyncio.to_thread(place.mkdir, mode=0o700, exist_ok=True)
        host, name = pool.source.hosts[0].name, pool.source.name
        argv = ["mount", "-t", "glusterfs", "-o", "nodev,nosuid,noexec,direct-io-mode=1", f"{host}:/{name}", str(place)]
        await command.run(argv, patience=_PATIENCE, package=_PACKAGE)

    async def stop(self, pool: Pool) -> None:
        await command.run(["umount", self._mounted(pool)], patience=_PATIENCE, package="mount")
        await asyncio.to_thread(self._mounted(pool).rmdir)

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        if overwrite is not None:
            self._lacks("volumes of Gluster are built with 'gluster volume create'")

    async def delete(self, pool: Pool) -> None:
        self._lacks("pool does not support pool deletion")

    async def tidy(self, pool: Pool) -> None:
        await super().tidy(self._here(pool))

    async def measure(self, pool: Pool) -> None:
        if not await self.ready(pool):
            text = f"the volume {pool.source.name!r} of Gluster is not mounted any more"
            raise HostError(text, hint="stop the pool and start it again")
        here = self._here(pool)
        await super().measure(here)
        pool.capacity, pool.allocation, pool.available = here.capacity, here.allocation, here.available

    async def refresh(self, pool: Pool) -> dict[str, Volume]:
        await self.measure(pool)
        found = await super().refresh(self._here(pool))
        return {name: _seen_from_afar(pool, volume) for name, volume in found.items()}

    def place(self, pool: Pool, volume: Volume) -> None:
        folder.volume_path(self._here(pool), volume.name or "")  # it checks the name
        volume.type, volume.target.path = VolumeType.NETWORK, _url(pool, volume.name or "")
        volume.key = volume.target.path

    async def look(self, pool: Pool, volume: Volume) -> Volume | None:
        found = await super().look(self._here(pool), volume)
        return _seen_from_afar(pool, found) if found else None

    def _file(self, pool: Pool, volume: Volume) -> Volume:
        """A volume as a file of this host."""
        path = str(folder.volume_path(self._here(pool), volume.name or ""))
        return volume.replace(type=VolumeType.FILE, target=volume.target.replace(path=path))

    async def create(self, pool: Pool, volume: Volume, work: Work, *, metadata: bool = False) -> None:
        await super().create(self._here(pool), self._file(pool, volume), work, metadata=metadata)

    async def clone(
        self, pool: Pool, volume: Volume, source: Source, work: Work, *, metadata: bool = False, reflink: bool = False
    ) -> None:
        if source.volume.type is VolumeType.NETWORK:
            place = "volume"
            raise Unsupported("volumes of servers cannot be copied from", place=place, hint="mount it as 'netfs'")
        here, new = self._here(pool), self._file(pool, volume)
        await super().clone(here, new, source, work, metadata=metadata, reflink=reflink)

    async def remove(self, pool: Pool, volume: Volume, *, snapshots: bool = False) -> None:
        await super().remove(self._here(pool), self._file(pool, volume), snapshots=snapshots)

    async def wipe(self, pool: Pool, volume: Volume, algorithm: WipeAlgorithm, work: Work) -> None:
        self._lacks("storage pool doesn't support volume wiping")

    async def resize(
        self,
        pool: Pool,
        volume: Volume,
        capacity: int,
        work: Work,
        *,
        shrink: bool = False,
        allocate: bool = False,
    ) -> None:
        here, file = self._here(pool), self._file(pool, volume)
        await super().resize(here, file, capacity, work, shrink=shrink, allocate=allocate)

    async def sources(self, where: str) -> str:
        wanted = spec.read(where)
        if not wanted or not wanted.hosts:
            text = "hostname must be specified for gluster sources"
            raise InvalidArgument(text, hint="give <source><host name='...'/></source>")
        return spec.sources(await glustersources.ask(wanted.hosts[0].name, as_folders=False))


def _url(pool: Pool, name: str) -> str:
    assert pool.source.dir  # parse_pool sees to it
    host = pool.source.hosts[0]
    port = f":{host.port}" if host.port else ""
    path = "/".join(filter(None, (pool.source.name, pool.source.dir.path.strip("/"), name)))
    return f"gluster://{host.name}{port}/{path}"


def _seen_from_afar(pool: Pool, volume: Volume) -> Volume:
    path = _url(pool, volume.name or "")
    kind = VolumeType.NETDIR if volume.type is VolumeType.DIR else VolumeType.NETWORK
    return volume.replace(type=kind, key=path, target=volume.target.replace(path=path))
