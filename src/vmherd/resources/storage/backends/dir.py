"""Pools that are a folder of this host: each file in it is a volume."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from vmherd.conf.storage import Pool, Volume
from vmherd.errors import HostError, InvalidState
from vmherd.resources.storage import folder, image, passphrase
from vmherd.resources.storage.backends.base import Backend
from vmherd.resources.storage.image import Source
from vmherd.resources.storage.unfinished import tidy
from vmherd.resources.storage.works import Work


class FolderBackend(Backend):
    """What pools have in common whose volumes are files in a folder, however that got there."""

    async def ready(self, pool: Pool) -> bool:
        return await asyncio.to_thread(folder.path_of(pool).is_dir)

    async def delete(self, pool: Pool) -> None:
        await asyncio.to_thread(folder.delete, pool)

    async def tidy(self, pool: Pool) -> None:
        await tidy(folder.path_of(pool), self.around.works)

    async def refresh(self, pool: Pool) -> dict[str, Volume]:
        return await asyncio.to_thread(_refresh, pool)

    async def measure(self, pool: Pool) -> None:
        await asyncio.to_thread(folder.measure, pool)

    def within(self, pool: Pool) -> Path:
        return folder.path_of(pool)

    def place(self, pool: Pool, volume: Volume) -> None:
        assert volume.name  # parse_volume refuses one without
        volume.target.path = volume.key = str(folder.volume_path(pool, volume.name))

    async def look(self, pool: Pool, volume: Volume) -> Volume | None:
        assert volume.name
        return await asyncio.to_thread(folder.look, pool, volume.name)

    async def create(self, pool: Pool, volume: Volume, work: Work, *, metadata: bool = False) -> None:
        if volume.target.format and volume.target.format.type == "dir":
            await asyncio.to_thread(folder.make_folder, image.path_of(volume), volume)
            return
        async with passphrase.of(volume, self.around.uri) as key:
            await image.create(image.path_of(volume), _for_today(volume), work, passphrase=key, metadata=metadata)

    async def clone(
        self, pool: Pool, volume: Volume, source: Source, work: Work, *, metadata: bool = False, reflink: bool = False
    ) -> None:
        async with passphrase.of(volume, self.around.uri) as key, passphrase.of(source.volume, self.around.uri) as old:
            await image.copy(
                msgspec.structs.replace(source, passphrase=old),
                image.path_of(volume),
                _for_today(volume),
                work,
                passphrase=key,
                metadata=metadata,
                reflink=reflink,
            )

    async def remove(self, pool: Pool, volume: Volume, *, snapshots: bool = False) -> None:
        await image.delete(image.path_of(volume), within=self.within(pool))

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
        async with passphrase.of(volume, self.around.uri) as key:
            await image.resize(
                image.path_of(volume),
                volume,
                capacity,
                work,
                shrink=shrink,
                allocate=allocate,
                within=self.within(pool),
                passphrase=key,
            )


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


def _for_today(volume: Volume) -> Volume:
    """libvirt makes images for QEMU of 2011 unless told otherwise."""
    if volume.target.format and volume.target.format.type == "qcow2":
        volume.target.compat = volume.target.compat or "1.1"
    return volume


def _refresh(pool: Pool) -> dict[str, Volume]:
    folder.measure(pool)
    return folder.scan(pool)
