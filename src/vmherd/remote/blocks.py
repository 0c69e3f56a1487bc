"""Disks and cards of another host's domains over the wire, and the statistics of many at once."""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.driver.blocks import (
    BlockInfo,
    DiskError,
    DomainStats,
    NetStats,
)
from vmherd.driver.params import Params
from vmherd.driver.types import CURRENT, Scope
from vmherd.remote.connection import RemoteConnection
from vmherd.rpc.params import plain, typed

_STRINGS, _BYTES = 4, 1
_VIRTUAL, _PHYSICAL = 1, 2
_NOWAIT, _BACKING, _ENFORCE = 1 << 29, 1 << 30, 1 << 31
_NOT_RUNNING = -1


class RemoteBlocks(RemoteConnection):
    """virDomainBlock* and virDomainInterface* of libvirt, and virConnectGetAllDomainStats."""

    async def stats_all(
        self,
        uuids: Sequence[str] | None = None,
        groups: int = 0,
        *,
        only: int = 0,
        backing: bool = False,
        enforce: bool = False,
        nowait: bool = False,
    ) -> list[DomainStats]:
        if uuids is not None and not uuids:
            return []
        refs = [self._ref(uuid) for uuid in uuids or ()]
        flags = only | _BACKING * backing | _ENFORCE * enforce | _NOWAIT * nowait
        return [
            DomainStats(uuid=dom[1], name=dom[0], id=None if dom[2] == _NOT_RUNNING else dom[2], params=plain(params))
            for dom, params in await self._call("connect_get_all_domain_stats", refs, groups, flags)
        ]

    async def domain_block_info(self, uuid: str, disk: str) -> BlockInfo:
        allocation, capacity, physical = await self._ask(uuid, "domain_get_block_info", disk, 0)
        return BlockInfo(capacity=capacity, allocation=allocation, physical=physical)

    async def domain_block_stats(self, uuid: str, disk: str = "") -> dict[str, int]:
        _, count = await self._ask(uuid, "domain_block_stats_flags", disk, 0, _STRINGS)
        params, _ = await self._ask(uuid, "domain_block_stats_flags", disk, count, _STRINGS)
        return {name: int(value) for name, value in plain(params).items()}

    async def domain_block_resize(self, uuid: str, disk: str, size: int) -> None:
        await self._change(uuid, "domain_block_resize", disk, size, _BYTES)

    async def domain_block_iotune(self, uuid: str, disk: str, *, scope: Scope = CURRENT) -> Params:
        flags = scope.flags | _STRINGS
        _, count = await self._ask(uuid, "domain_get_block_io_tune", disk, 0, flags)
        params, _ = await self._ask(uuid, "domain_get_block_io_tune", disk, count, flags)
        return plain(params)

    async def domain_set_block_iotune(self, uuid: str, disk: str, params: Params, *, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_set_block_io_tune", disk, typed(params), scope.flags)

    async def domain_set_block_threshold(self, uuid: str, dev: str, threshold: int) -> None:
        await self._change(uuid, "domain_set_block_threshold", dev, threshold, 0)

    async def domain_disk_errors(self, uuid: str) -> dict[str, DiskError]:
        _, count = await self._ask(uuid, "domain_get_disk_errors", 0, 0)
        found, _ = await self._ask(uuid, "domain_get_disk_errors", count, 0) if count else ([], 0)
        return {disk: DiskError(error) for disk, error in found}

    async def domain_block_peek(self, uuid: str, disk: str, offset: int, size: int) -> bytes:
        return bytes(await self._change(uuid, "domain_block_peek", disk, offset, size, 0))

    async def domain_memory_peek(self, uuid: str, address: int, size: int, *, physical: bool = False) -> bytes:
        kind = _PHYSICAL if physical else _VIRTUAL
        return bytes(await self._change(uuid, "domain_memory_peek", address, size, kind))

    async def domain_interface_stats(self, uuid: str, device: str) -> NetStats:
        names = NetStats.__struct_fields__
        values = await self._ask(uuid, "domain_interface_stats", device)
        return NetStats(**dict(zip(names, values, strict=True)))
