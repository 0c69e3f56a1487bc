"""What pools have in common whose volumes are block devices of this host."""

from __future__ import annotations

import asyncio

from vmherd.conf.storage import Pool, Volume
from vmherd.errors import InvalidArgument
from vmherd.resources.storage import blocks, image, passphrase
from vmherd.resources.storage.backends.base import Backend
from vmherd.resources.storage.image import Source
from vmherd.resources.storage.works import Work

_LONGEST = 127


class BlockBackend(Backend):
    """Devices under the pool's target path."""

    def place(self, pool: Pool, volume: Volume) -> None:
        assert pool.target  # pools of these types have one: parse_pool sees to it
        volume.target.path = volume.key = f"{pool.target.path}/{plain_name(volume)}"

    async def make(self, pool: Pool, volume: Volume) -> None:
        """Make the device alone."""
        self._lacks("storage pool does not support volume creation")

    async def create(self, pool: Pool, volume: Volume, work: Work, *, metadata: bool = False) -> None:
        with blocks.noted(self.around, pool, volume):
            await self._create(pool, volume, work, None, metadata=metadata)

    async def clone(
        self, pool: Pool, volume: Volume, source: Source, work: Work, *, metadata: bool = False, reflink: bool = False
    ) -> None:
        if reflink:
            raise InvalidArgument("block volumes cannot share their blocks", hint="clone without reflink")
        volume.capacity = max(volume.capacity or 0, source.volume.capacity or 0)
        with blocks.noted(self.around, pool, volume):
            await self._create(pool, volume, work, source, metadata=metadata)

    async def _create(self, pool: Pool, volume: Volume, work: Work, source: Source | None, *, metadata: bool) -> None:
        if metadata:
            raise InvalidArgument("metadata preallocation is not supported for block volumes", hint="leave it out")
        await self.make(pool, volume)
        try:
            await blocks.appeared(volume.target.path or "")
            await asyncio.to_thread(blocks.own, volume)
            async with passphrase.of(volume, self.around.uri) as key:
                if volume.target.encryption:
                    await image.format_device(volume, key, work)
                if source:
                    await image.fill(volume, source, work, passphrase=key)
        except BaseException:
            await self.remove(pool, volume)
            raise

    async def tidy(self, pool: Pool) -> None:
        async def remove(volume: Volume) -> None:
            await self.remove(pool, volume)

        await blocks.tidy(self.around, pool, remove)


def plain_name(volume: Volume) -> str:
    """Its name.  Raises InvalidArgument where some tool would take that for anything else."""
    name = volume.name or ""
    if not name or name[0] in ".-" or len(name) > _LONGEST or any(not (c.isalnum() or c in "._-+") for c in name):
        hint = "use letters, digits and '.', '_', '-', '+'"
        raise InvalidArgument(f"{name!r} is no name of a volume", hint=hint)
    return name
