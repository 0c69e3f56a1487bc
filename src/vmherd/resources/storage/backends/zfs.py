"""Pools that are a pool of ZFS, or a dataset of one: the volumes are its block devices (zvols).

Sources: zpool(8), zfs(8).  Only options that zfs-fuse has too are used where there is a choice.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from vmherd.conf.storage import Pool, Volume, VolumeType
from vmherd.conf.storage.volume import VolumeTarget
from vmherd.errors import HostError, InvalidArgument, InvalidState
from vmherd.resources.storage import signatures
from vmherd.resources.storage.backends.block import BlockBackend, plain_name
from vmherd.resources.storage.works import Work
from vmherd.util import command

_PACKAGE = "zfsutils-linux"
_KIB = 1024


class ZfsBackend(BlockBackend):
    """zpool(8) brings it, zfs(8) does the rest."""

    async def ready(self, pool: Pool) -> bool:
        try:
            await _run("zpool", "list", "-H", "-o", "name", _zpool(pool))
        except HostError as problem:
            if "no such pool" in problem.message:
                return False
            raise
        return True

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        devices = [device.path for device in pool.source.devices]
        if not devices:
            raise InvalidState(f"No source device specified when formatting pool '{pool.name}'", hint="add <device>")
        if "/" in _dataset(pool) or await self.ready(pool):
            raise InvalidState(f"'{_dataset(pool)}' is there already, or is no pool of ZFS", hint="start the pool")
        for device in devices:
            signatures.require_device(device, pool.name)
            if not overwrite:
                await signatures.require_blank(device, "zfs_member")
        self._mark(pool).write_bytes(msgspec.json.encode(devices))
        try:
            await _run("zpool", "create", *(["-f"] if overwrite else []), _dataset(pool), *devices)
        except BaseException:
            await self.unbuild(pool)
            raise
        self._mark(pool).unlink()

    def _mark(self, pool: Pool) -> Path:
        """A file with the devices that are being made into a pool."""
        return self.around.run / f"{pool.uuid}.zpool"

    async def unbuild(self, pool: Pool) -> None:
        mark = self._mark(pool)
        if not mark.exists():
            return
        if not await self.ready(pool):
            for device in msgspec.json.decode(mark.read_bytes(), type=list[str]):
                await signatures.erase(device)
        mark.unlink()

    async def start(self, pool: Pool) -> None:
        folders = sorted({os.path.dirname(device.path) for device in pool.source.devices})
        where = [word for folder in folders for word in ("-d", folder)]
        await _run("zpool", "import", *where, _zpool(pool))

    async def stop(self, pool: Pool) -> None:
        await _run("zpool", "export", _zpool(pool))

    async def delete(self, pool: Pool) -> None:
        if not await self.ready(pool):
            await self.start(pool)
        if "/" in _dataset(pool):
            await _run("zfs", "destroy", "-r", _dataset(pool))
        else:
            await _run("zpool", "destroy", _dataset(pool))

    async def refresh(self, pool: Pool) -> dict[str, Volume]:
        """Sizes are those that can be used: what ZFS needs for itself is not counted."""
        facts = (await _facts("used,available", _dataset(pool)))[_dataset(pool)]
        pool.allocation, pool.available = int(facts["used"]), int(facts["available"])
        pool.capacity = pool.allocation + pool.available
        prefix = f"{_dataset(pool)}/"
        listed = await _run("zfs", "list", "-H", "-r", "-t", "volume", "-o", "name", _dataset(pool))
        names = [name for name in listed.splitlines() if name.startswith(prefix)]
        found = await _facts("volsize,referenced", *names) if names else {}
        assert pool.target  # parse_pool sees to it
        return {
            name.removeprefix(prefix): _volume(pool, name.removeprefix(prefix), found[name]) for name in sorted(found)
        }

    async def measure(self, pool: Pool) -> None:
        if not await self.ready(pool):
            raise HostError(f"the ZFS pool '{_zpool(pool)}' is gone", hint="stop the pool and start it again")

    async def look(self, pool: Pool, volume: Volume) -> Volume | None:
        name = f"{_dataset(pool)}/{volume.name}"
        try:
            return _volume(pool, volume.name or "", (await _facts("volsize,referenced", name))[name])
        except HostError as problem:
            if "does not exist" in problem.message:
                return None
            raise

    async def make(self, pool: Pool, volume: Volume) -> None:
        await _run(*creation(volume, _dataset(pool)))

    async def remove(self, pool: Pool, volume: Volume, *, snapshots: bool = False) -> None:
        await _run("zfs", "destroy", *(["-r"] if snapshots else []), f"{_dataset(pool)}/{plain_name(volume)}")

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
        size = f"volsize={-(-capacity // _KIB)}K"
        await _run("zfs", "set", size, f"{_dataset(pool)}/{plain_name(volume)}")


def creation(volume: Volume, dataset: str) -> list[str]:
    """What makes a zvol; with less room reserved than it has, it is sparse."""
    capacity, allocation = volume.capacity or 0, volume.allocation or 0
    argv = ["zfs", "create"]
    if allocation < capacity:
        argv += ["-s"]
        argv += ["-o", f"refreservation={-(-allocation // _KIB)}K"] if allocation else []
    return [*argv, "-V", f"{-(-capacity // _KIB)}K", f"{dataset}/{plain_name(volume)}"]


async def _run(*argv: str) -> str:
    return await command.run(argv, patience=300, package=_PACKAGE)


async def _facts(properties: str, *names: str) -> dict[str, dict[str, str]]:
    """Properties in bytes, by name."""
    found: dict[str, dict[str, str]] = {}
    text = await _run("zfs", "get", "-H", "-p", "-o", "name,property,value", properties, *names)
    for line in text.splitlines():
        name, key, value = line.split("\t")[:3]
        found.setdefault(name, {})[key] = value
    return found


def _dataset(pool: Pool) -> str:
    name = pool.source.name or ""
    if not name or name.startswith("-"):
        raise InvalidArgument(f"{name!r} is no name of a ZFS pool")
    return name


def _zpool(pool: Pool) -> str:
    return _dataset(pool).partition("/")[0]


def _volume(pool: Pool, name: str, facts: dict[str, str]) -> Volume:
    assert pool.target  # parse_pool sees to it
    path = f"{pool.target.path}/{name}"
    size = int(facts["volsize"])
    return Volume(
        type=VolumeType.BLOCK,
        name=name,
        key=path,
        capacity=size,
        allocation=int(facts["referenced"]),
        physical=size,
        target=VolumeTarget(path=path),
    )
