"""The volumes that a document names, looked up in their pools before QEMU's arguments are made."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from vmherd.conf.domain import Domain
from vmherd.conf.domain.storage import DiskSource, StorageType
from vmherd.driver.registry import lent
from vmherd.driver.storage import StorageDriver
from vmherd.driver.uri import parse_uri
from vmherd.hypervisors.qemu.command.launch import no_volumes
from vmherd.hypervisors.qemu.startup.volumes import Pool, Volume, resolve

Resolve = Callable[[DiskSource], tuple[StorageType, DiskSource]]


async def fetch(domain: Domain, uri: str) -> Resolve:
    """What tells the image that is each volume of ``domain``.

    Raises PoolNotFound, VolumeNotFound, HostError for a pool that is not active.
    """
    wanted = [disk.source for disk in domain.devices.disks if disk.type is StorageType.VOLUME and disk.source]
    if not wanted:
        return no_volumes
    async with lent(StorageDriver, parse_uri(uri)) as driver:
        found = {(each.pool, each.volume): await _found(driver, each) for each in wanted}
    return lambda source: resolve(source, *found[source.pool, source.volume])


async def _found(driver: StorageDriver, source: DiskSource) -> tuple[Pool, Volume]:
    pool = await driver.pool_find(source.pool or "")
    described = Pool(name=pool.name, type=pool.type, active=pool.active)
    if not pool.active:
        return described, Volume(name=source.volume or "", type="file", path="")  # `resolve` refuses it
    volume = await driver.volume_find(pool.uuid, source.volume or "")
    return described, msgspec.convert(
        {"name": volume.name, "type": volume.kind.name.lower(), "path": volume.path}, Volume
    )
