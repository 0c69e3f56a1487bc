"""Pools that are a file system on a disk, a partition, or in a file of this host."""

from __future__ import annotations

import asyncio
from pathlib import Path

from vmherd.conf.storage import Pool
from vmherd.errors import InvalidArgument, Unsupported
from vmherd.resources.storage import folder, signatures
from vmherd.resources.storage.backends.mounted import MountedBackend
from vmherd.util import command
from vmherd.util.mounts import Mount, is_source

#: The option that lets each program write where something is already, or on a file; what is there was looked at.
_FORCE = {"ext2": "-F", "ext3": "-F", "ext4": "-F", "xfs": "-f", "btrfs": "-f"}
_PACKAGES = {"ext2": "e2fsprogs", "ext3": "e2fsprogs", "ext4": "e2fsprogs", "xfs": "xfsprogs", "btrfs": "btrfs-progs"}
#: Seconds that it may take to make a file system.
_PATIENCE = 3600.0


class FsBackend(MountedBackend):
    """mkfs(8) and mount(8)."""

    def owns(self, pool: Pool, mount: Mount) -> bool:
        return is_source(mount, device_of(pool))

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        """The folder; and the file system, where it was said what becomes of what is on the device."""
        await asyncio.to_thread(folder.build, pool)
        if overwrite is not None:
            await self._make(pool, overwrite=overwrite)

    async def _make(self, pool: Pool, *, overwrite: bool) -> None:
        device, kind = device_of(pool), _format(pool)
        signatures.require_device(device, pool.name)
        if await self.ready(pool):
            raise InvalidArgument(f"{device} is mounted", hint="unmount it first")
        if not overwrite:
            await signatures.require_blank(device, kind)
        mark = self._mark(pool)
        mark.touch()
        force = [_FORCE[kind]] if kind in _FORCE else []
        argv = [*command.WITH_US, f"mkfs.{kind}", "-q" if kind in _FORCE else "", *force, device]
        try:
            await command.run([word for word in argv if word], patience=_PATIENCE, package=_PACKAGES.get(kind, ""))
        except BaseException:
            await self.unbuild(pool)
            raise
        mark.unlink()

    def _mark(self, pool: Pool) -> Path:
        """A file that is there while a file system is half made."""
        return self.around.run / f"{pool.uuid}.mkfs"

    async def unbuild(self, pool: Pool) -> None:
        mark = self._mark(pool)
        if mark.exists():
            await signatures.erase(device_of(pool))
            mark.unlink()


def device_of(pool: Pool) -> str:
    return pool.source.devices[0].path  # pools of this type have one: parse_pool sees to it


def _format(pool: Pool) -> str:
    kind = pool.source.format.type if pool.source.format else "auto"
    if kind in ("auto", "iso9660", "udf", "vmfs"):
        place = "pool/source/format/@type"
        raise Unsupported(f"no file system of type {kind!r} can be made", place=place, hint="say ext4, xfs or btrfs")
    return kind
