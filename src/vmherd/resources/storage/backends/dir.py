"""Pools that are a folder of this host: each file in it is a volume."""

from __future__ import annotations

import asyncio
from pathlib import Path

from vmherd.conf.storage import Pool, Volume
from vmherd.errors import HostError, InvalidState
from vmherd.resources.storage import folder, image, passphrase
from vmherd.resources.storage.backends.base import Backend


class FolderBackend(Backend):
    """What pools have in common whose volumes are files in a folder, however that got there."""

    async def ready(self, pool: Pool) -> bool:
        return await asyncio.to_thread(folder.path_of(pool).is_dir)

    async def delete(self, pool: Pool) -> None:
        await asyncio.to_thread(folder.delete, pool)

    async def tidy(self, pool: Pool) -> None:
        await asyncio.to_thread(folder.tidy, pool)

    async def refresh(self, pool: Pool) -> dict[str, Volume]:
        return await asyncio.to_thread(_refresh, pool)

    async def measure(self, pool: Pool) -> None:
        await asyncio.to_thread(folder.measure, pool)

    def place(self, pool: Pool, volume: Volume) -> None:
        assert volume.name  # parse_volume refuses one without
        volume.target.path = volume.key = str(folder.volume_path(pool, volume.name))

    async def look(self, pool: Pool, volume: Volume) -> Volume | None:
        assert volume.name
        return await asyncio.to_thread(folder.look, pool, volume.name)

    async def create(self, pool: Pool, volume: Volume, *, metadata: bool = False) -> None:
        async with passphrase.of(volume, self.around.uri, self.around.run) as key:
            await image.create(_path(volume), _for_today(volume), key)

    async def clone(self, pool: Pool, volume: Volume, source: Volume, *, metadata: bool = False) -> None:
        kind = source.target.format.type if source.target.format else "raw"
        async with passphrase.of(volume, self.around.uri, self.around.run) as key:
            await image.copy(_path(source), kind, _path(volume), _for_today(volume), key)

    async def remove(self, pool: Pool, volume: Volume, *, snapshots: bool = False) -> None:
        await asyncio.to_thread(image.delete, _path(volume))

    async def wipe(self, pool: Pool, volume: Volume) -> None:
        await asyncio.to_thread(image.wipe, _path(volume))

    async def resize(
        self, pool: Pool, volume: Volume, capacity: int, *, shrink: bool = False, allocate: bool = False
    ) -> None:
        kind = volume.target.format.type if volume.target.format else "raw"
        await image.resize(_path(volume), kind, capacity, shrink=shrink, allocate=allocate)


class DirBackend(FolderBackend):
    """A folder that is there already."""

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        if overwrite is not None:
            text = f"No source device specified when formatting pool '{pool.name}'"
            raise InvalidState(text, hint="leave the flag out: a folder is never emptied")
        await asyncio.to_thread(folder.build, pool)

    async def start(self, pool: Pool) -> None:
        path = folder.path_of(pool)
        raise HostError(f"cannot open directory '{path}'", hint="build the pool first, or correct its <path>")


def _path(volume: Volume) -> Path:
    assert volume.target.path  # `place` gave it one, or it was found there
    return Path(volume.target.path)


def _for_today(volume: Volume) -> Volume:
    """libvirt makes images for QEMU of 2011 unless told otherwise."""
    if volume.target.format and volume.target.format.type == "qcow2":
        volume.target.compat = volume.target.compat or "1.1"
    return volume


def _refresh(pool: Pool) -> dict[str, Volume]:
    folder.measure(pool)
    return folder.scan(pool)
