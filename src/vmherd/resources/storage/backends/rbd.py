"""Pools that are a pool of a Ceph cluster: its images are the volumes, which QEMU reaches by itself."""

from __future__ import annotations

import secrets
from typing import Any

from vmherd.conf.storage import Pool, Volume, VolumeType
from vmherd.conf.storage.volume import VolumeFormat, VolumeTarget
from vmherd.driver.storage import WipeAlgorithm
from vmherd.errors import AlreadyExists, HostError, InvalidArgument, OperationFailed, Unsupported
from vmherd.resources.storage import blocks, image, remotewipe
from vmherd.resources.storage.backends.base import Backend
from vmherd.resources.storage.backends.block import plain_name
from vmherd.resources.storage.ceph import Ceph, cluster
from vmherd.resources.storage.image import Source
from vmherd.resources.storage.works import Work


class RbdBackend(Backend):
    """rbd(8) and ceph(8)."""

    local = False

    async def ready(self, pool: Pool) -> bool:
        """There is nothing to bring up; a cluster that cannot be reached is told when the pool is looked at."""
        return True

    async def refresh(self, pool: Pool) -> dict[str, Volume]:
        async with cluster(pool, self.around.uri) as ceph:
            await _measure(ceph, pool)
            images = await ceph.told("ls", "--long")
        found = [_volume(pool, each["image"], each["size"]) for each in images if "snapshot" not in each]
        return {volume.name or "": volume for volume in sorted(found, key=lambda each: each.name or "")}

    async def look(self, pool: Pool, volume: Volume) -> Volume | None:
        async with cluster(pool, self.around.uri) as ceph:
            try:
                told = await ceph.told("info", plain_name(volume))
            except HostError as problem:
                if "No such file" in problem.message:
                    return None
                raise
        return _volume(pool, plain_name(volume), told["size"])

    def place(self, pool: Pool, volume: Volume) -> None:
        volume.type = VolumeType.NETWORK
        volume.target.path = volume.key = f"{pool.source.name}/{plain_name(volume)}"

    async def create(self, pool: Pool, volume: Volume, work: Work, *, metadata: bool = False) -> None:
        _require_raw(volume, metadata=metadata)
        async with cluster(pool, self.around.uri) as ceph:
            await _create(ceph, volume)

    async def clone(
        self, pool: Pool, volume: Volume, source: Source, work: Work, *, metadata: bool = False, reflink: bool = False
    ) -> None:
        _require_raw(volume, metadata=metadata)
        volume.capacity = max(volume.capacity or 0, source.volume.capacity or 0)
        with blocks.noted(self.around, pool, volume):
            async with cluster(pool, self.around.uri) as ceph:
                try:
                    await self._clone(ceph, pool, volume, source, work)
                except AlreadyExists:
                    raise
                except BaseException:
                    await self.remove(pool, volume)
                    raise

    async def _clone(self, ceph: Ceph, pool: Pool, volume: Volume, source: Source, work: Work) -> None:
        if source.volume.type is VolumeType.NETWORK:
            if (source.volume.target.path or "").partition("/")[0] != pool.source.name:
                raise Unsupported("volumes of other clusters or pools cannot be cloned", place="volume", hint="copy it")
            await _clone_inside(ceph, volume, source.volume)
            return
        await _create(ceph, volume)
        words = f"rbd:{pool.source.name}/{plain_name(volume)}:id={ceph.user}:conf={ceph.conf}"
        there = volume.replace(target=volume.target.replace(path=words))
        await image.fill(there, source, work)

    async def tidy(self, pool: Pool) -> None:
        async def remove(volume: Volume) -> None:
            await self.remove(pool, volume)

        await blocks.tidy(self.around, pool, remove)

    async def remove(self, pool: Pool, volume: Volume, *, snapshots: bool = False) -> None:
        name = plain_name(volume)
        async with cluster(pool, self.around.uri) as ceph:
            if snapshots:
                for each in await ceph.told("snap", "ls", name):
                    if each.get("protected") == "true":
                        await ceph.rbd("snap", "unprotect", f"{name}@{each['name']}")
                await ceph.rbd("snap", "purge", name, "--no-progress")
            await ceph.rbd("rm", name, "--no-progress", patience=3600)

    async def wipe(self, pool: Pool, volume: Volume, algorithm: WipeAlgorithm, work: Work) -> None:
        async with cluster(pool, self.around.uri) as ceph:
            node = {"driver": "rbd", "pool": pool.source.name or "", "image": plain_name(volume)}
            node |= {"conf": ceph.conf, "user": ceph.user}
            await remotewipe.wipe(node, volume.capacity or 0, algorithm, work)

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
        if allocate:
            raise InvalidArgument("images of Ceph take room when they are written", hint="leave it out")
        words = ["--allow-shrink"] if shrink else []
        async with cluster(pool, self.around.uri) as ceph:
            await ceph.rbd("resize", "--size", f"{capacity}B", *words, "--no-progress", plain_name(volume))


async def _create(ceph: Ceph, volume: Volume) -> None:
    try:
        await ceph.rbd("create", "--size", f"{volume.capacity}B", plain_name(volume))
    except HostError as problem:
        if "File exists" in problem.message or "already exists" in problem.message:
            raise AlreadyExists(f"storage volume '{volume.name}' exists already", hint="choose another name") from None
        raise


async def _clone_inside(ceph: Ceph, volume: Volume, source: Volume) -> None:
    """As libvirt: from a snapshot that stays, since both share what is in it."""
    name, new = plain_name(source), plain_name(volume)
    if volume.capacity != source.capacity and (volume.capacity or 0) < (source.capacity or 0):
        raise OperationFailed(f"{new!r} cannot be smaller than {name!r}")
    snapshot = f"{name}@vmherd-{secrets.token_hex(8)}"
    await ceph.rbd("snap", "create", snapshot, "--no-progress")
    await ceph.rbd("snap", "protect", snapshot)
    await ceph.rbd("clone", snapshot, new)
    if (volume.capacity or 0) > (source.capacity or 0):
        await ceph.rbd("resize", "--size", f"{volume.capacity}B", "--no-progress", new)


async def _measure(ceph: Ceph, pool: Pool) -> None:
    told: dict[str, Any] = await ceph.asked("df")
    pool.capacity = told["stats"]["total_bytes"]
    pool.available = told["stats"]["total_avail_bytes"]
    used = [each["stats"]["bytes_used"] for each in told["pools"] if each["name"] == pool.source.name]
    # A new pool is not measured yet.
    if not used and pool.source.name not in [each["poolname"] for each in await ceph.asked("osd", "lspools")]:
        text = f"the cluster has no pool {pool.source.name!r}"
        raise HostError(text, hint="'ceph osd pool create' makes one")
    pool.allocation = sum(used)


def _require_raw(volume: Volume, *, metadata: bool) -> None:
    kind = volume.target.format.type if volume.target.format else "raw"
    if kind != "raw":
        place = "volume/target/format/@type"
        raise Unsupported("only RAW volumes are supported by this storage pool", place=place, hint="use 'raw'")
    if metadata:
        raise InvalidArgument("metadata preallocation is not supported for raw volumes", hint="leave it out")
    if volume.target.encryption:
        place = "volume/target/encryption"
        raise Unsupported("storage pool does not support encrypted volumes", place=place, hint="let the guest encrypt")


def _volume(pool: Pool, name: str, size: int) -> Volume:
    path = f"{pool.source.name}/{name}"
    return Volume(
        type=VolumeType.NETWORK,
        name=name,
        key=path,
        capacity=size,
        allocation=size,
        physical=size,
        target=VolumeTarget(path=path, format=VolumeFormat(type="raw")),
    )
