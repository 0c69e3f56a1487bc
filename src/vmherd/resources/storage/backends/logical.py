"""Pools that are a volume group of LVM: its logical volumes are the volumes, thin ones too."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from vmherd.conf.storage import Pool, Volume, VolumeType
from vmherd.conf.storage.volume import BackingStore, VolumeTarget
from vmherd.driver.storage import WipeAlgorithm
from vmherd.errors import HostError, InvalidArgument, InvalidState
from vmherd.resources.storage import activate, lvm, signatures
from vmherd.resources.storage.backends import spec
from vmherd.resources.storage.backends.block import BlockBackend, plain_name
from vmherd.resources.storage.works import Work


class LogicalBackend(BlockBackend):
    """Programs of lvm2, which lock each other out by themselves."""

    async def ready(self, pool: Pool) -> bool:
        group = await lvm.look(group_of(pool))
        return group is not None and any(each.is_active for each in group.volumes.values())

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        group, devices = group_of(pool), [device.path for device in pool.source.devices]
        if not devices:
            raise InvalidState(f"No source device specified when formatting pool '{pool.name}'", hint="add <device>")
        if await lvm.look(group):
            raise InvalidState(f"volume group '{group}' is there already", hint="start the pool")
        for device in devices:
            signatures.require_device(device, pool.name)
            if not overwrite:
                await signatures.require_blank(device, "LVM2_member")
        self._mark(pool).write_bytes(msgspec.json.encode(devices))
        try:
            await self._make_group(group, devices)
        except BaseException:
            await self.unbuild(pool)
            raise
        self._mark(pool).unlink()

    async def _make_group(self, group: str, devices: list[str]) -> None:
        for device in devices:
            await signatures.erase(device)
            await lvm.run("pvcreate", "--yes", device)
        await lvm.run("vgcreate", group, *devices)

    def _mark(self, pool: Pool) -> Path:
        """A file with the devices that are being made into a group."""
        return self.around.run / f"{pool.uuid}.vgcreate"

    async def unbuild(self, pool: Pool) -> None:
        mark = self._mark(pool)
        if not mark.exists():
            return
        if not await lvm.look(group_of(pool)):
            for device in msgspec.json.decode(mark.read_bytes(), type=list[str]):
                await signatures.erase(device)
        mark.unlink()

    async def start(self, pool: Pool) -> None:
        await _look(pool)
        await lvm.run(*activate.command(pool))

    async def stop(self, pool: Pool) -> None:
        await lvm.run("vgchange", "-aln", group_of(pool))

    async def delete(self, pool: Pool) -> None:
        group = group_of(pool)
        devices = (await lvm.groups()).get(group, [])
        await lvm.run("vgremove", "--force", group)
        await lvm.remove_labels(devices)

    async def refresh(self, pool: Pool) -> dict[str, Volume]:
        group = await _look(pool)
        pool.capacity, pool.available = group.size, group.free
        pool.allocation = pool.capacity - pool.available
        assert pool.target  # parse_pool sees to it
        found = {name: each for name, each in group.volumes.items() if each.is_active and not each.is_thin_pool}
        return {name: _volume(each, pool.target.path or "") for name, each in found.items()}

    async def look(self, pool: Pool, volume: Volume) -> Volume | None:
        found = (await _look(pool)).volumes.get(volume.name or "")
        assert pool.target
        return _volume(found, pool.target.path or "") if found else None

    async def sources(self, where: str) -> str:
        groups = sorted((await lvm.groups()).items())
        return spec.sources([spec.source(name=name, devices=devices, kind="lvm2") for name, devices in groups])

    async def make(self, pool: Pool, volume: Volume) -> None:
        backing = _backing(pool, volume)
        special = backing or (volume.allocation or 0) < (volume.capacity or 0)
        thin = _thin_pool((await _look(pool)).volumes, volume, backing) if special else ""
        sizes = volume.capacity or 0, volume.allocation or 0
        await lvm.run(*lvm.creation(plain_name(volume), group_of(pool), *sizes, backing=backing, thin_pool=thin))

    async def remove(self, pool: Pool, volume: Volume, *, snapshots: bool = False) -> None:
        await lvm.run("lvremove", "--force", f"{group_of(pool)}/{volume.name}")

    async def wipe(self, pool: Pool, volume: Volume, algorithm: WipeAlgorithm, work: Work) -> None:
        found = (await _look(pool)).volumes.get(volume.name or "")
        if found and found.attributes[:1] == "s":
            self._lacks(f"logical volume '{volume.name}' is sparse, volume wipe not supported")
        await super().wipe(pool, volume, algorithm, work)

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
        await lvm.run("lvresize", "--force", "-L", f"{-(-capacity // 1024)}K", f"{group_of(pool)}/{volume.name}")


async def _look(pool: Pool) -> lvm.Group:
    """Raises HostError where there is no such group."""
    group = await lvm.look(group_of(pool))
    if group is None:
        hint = "build the pool first, or correct its <source><name>"
        raise HostError(f"cannot find logical volume group name '{group_of(pool)}'", hint=hint)
    return group


def group_of(pool: Pool) -> str:
    assert pool.source.name  # parse_pool gives one
    if pool.source.name.startswith("-") or "/" in pool.source.name:
        raise InvalidArgument(f"{pool.source.name!r} is no name of a volume group")
    return pool.source.name


def _backing(pool: Pool, volume: Volume) -> str:
    """The name of the volume that a new one begins as, "" for none."""
    path = volume.backing.path if volume.backing else None
    if not path:
        return ""
    assert pool.target
    if os.path.dirname(path) != pool.target.path:
        raise InvalidArgument(f"{path} is no volume of pool '{pool.name}'", hint="only those can be its backing store")
    return os.path.basename(path)


def _thin_pool(known: dict[str, lvm.LogicalVolume], volume: Volume, backing: str) -> str:
    """Where a volume's blocks come from if it is thin: that of its backing volume, or the first one there is."""
    if backing:
        return known[backing].pool if backing in known and known[backing].is_thin else ""
    if (volume.allocation or 0) >= (volume.capacity or 0):
        return ""
    return next((each.name for each in known.values() if each.is_thin_pool), "")


def _volume(found: lvm.LogicalVolume, folder: str) -> Volume:
    path = f"{folder}/{found.name}"
    backed = found.origin and not found.origin.startswith("[")
    return Volume(
        type=VolumeType.BLOCK,
        name=found.name,
        key=found.uuid,
        capacity=int(found.size),
        allocation=found.allocation,
        physical=int(found.size),
        target=VolumeTarget(path=path),
        backing=BackingStore(path=f"{folder}/{found.origin}") if backed else None,
    )
