"""The pool of all multipath devices of this host, each of them a volume.

Source: dmsetup(8)
"""

from __future__ import annotations

import asyncio
import re

from vmherd.conf.storage import Pool, Volume, VolumeType
from vmherd.conf.storage.volume import VolumeTarget
from vmherd.resources.storage import blocks
from vmherd.resources.storage.backends.base import Backend
from vmherd.util import command

_LINE = re.compile(r"(\S+)\s+\((\d+)[:, ]+(\d+)\)")


class MpathBackend(Backend):
    """dmsetup(8); who makes the devices is multipathd."""

    async def ready(self, pool: Pool) -> bool:
        return True

    async def refresh(self, pool: Pool) -> dict[str, Volume]:
        text = await command.run(["dmsetup", "ls", "--target", "multipath"], package="dmsetup")
        found = [await asyncio.to_thread(_volume, name, int(minor)) for name, _, minor in _LINE.findall(text)]
        pool.capacity = pool.allocation = sum(volume.capacity or 0 for volume in found)
        return {volume.name or "": volume for volume in found}


def _volume(name: str, minor: int) -> Volume:
    path = f"/dev/mapper/{name}"
    size = blocks.size_of(path)
    return Volume(
        type=VolumeType.BLOCK,
        name=f"dm-{minor}",
        key=path,
        capacity=size,
        allocation=size,
        physical=size,
        target=VolumeTarget(path=path),
    )
