"""Disks and cards of the ``test`` driver: what libvirt's test driver makes up of them.

Source: what libvirt 9.0 answers at test:///default
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from vmherd.driver.blocks import (
    BlockInfo,
    DiskError,
    DomainStats,
    NetStats,
    StatsFilter,
    StatsGroup,
)
from vmherd.driver.types import CURRENT, Scope
from vmherd.errors import ArgumentUnsupported, InvalidArgument
from vmherd.state.blocks import LocalBlocks
from vmherd.state.changes import described

_TERABYTE = 1 << 40
_OVERHEAD = 79 << 16
_LIVE = Scope(live=True)


class TestBlocks(LocalBlocks):
    """Counters that grow with the clock, and disks that grow not at all."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

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
        unknown = groups & ~int(StatsGroup.STATE)
        if enforce and unknown:
            raise ArgumentUnsupported(f"Stats types bits 0x{unknown:x} are not supported by this daemon")
        found = []
        for entry in self.table.all():
            info = entry.info
            if (uuids is None or info.uuid in uuids) and StatsFilter(only).wants(info):
                state = {"state.state": int(info.state), "state.reason": info.reason}
                told = state if not groups or groups & StatsGroup.STATE else {}
                found.append(DomainStats(uuid=info.uuid, name=info.name, id=info.id, params=dict(told)))
        return found

    async def domain_block_info(self, uuid: str, disk: str) -> BlockInfo:
        self._target(uuid, disk)
        if not self.table.get(uuid).info.active:
            return BlockInfo(capacity=_TERABYTE, allocation=0, physical=0)
        return BlockInfo(capacity=_TERABYTE - _OVERHEAD, allocation=_TERABYTE, physical=_TERABYTE)

    async def domain_block_stats(self, uuid: str, disk: str = "") -> dict[str, int]:
        if not disk:
            raise ArgumentUnsupported("summary statistics are not supported yet", hint="name a disk")
        self._target(uuid, disk, scope=_LIVE)
        base = _clock()
        return {
            "rd_operations": base // 10,
            "rd_bytes": base // 20,
            "wr_operations": base // 30,
            "wr_bytes": base // 40,
            "errs": base // 2_000_000,
        }

    async def domain_disk_errors(self, uuid: str) -> dict[str, DiskError]:
        disks = described(self.table.get(uuid), _LIVE).devices.disks
        kinds = len(DiskError)
        return {
            disk.target.dev: DiskError((number + 1) % kinds)
            for number, disk in enumerate(disks)
            if (number + 1) % kinds
        }

    async def domain_interface_stats(self, uuid: str, device: str) -> NetStats:
        cards = described(self.table.get(uuid), _LIVE).devices.interfaces
        known = [{card.target and card.target.dev, card.mac and card.mac.address} for card in cards]
        if not any(device in names for names in known):
            raise InvalidArgument(f"invalid path, '{device}' is not a known interface")
        base = _clock()
        seconds = base // 1_000_000
        return NetStats(
            rx_bytes=base // 10,
            rx_packets=base // 100,
            rx_errs=seconds,
            rx_drop=seconds // 2,
            tx_bytes=base // 20,
            tx_packets=base // 110,
            tx_errs=seconds // 3,
            tx_drop=seconds // 4,
        )

    def _target(self, uuid: str, disk: str, *, scope: Scope = CURRENT) -> str:
        """The target of a disk that is named by it or by its image."""
        for each in described(self.table.get(uuid), scope).devices.disks:
            if disk in (each.target.dev, each.source.file if each.source else None):
                return each.target.dev
        raise InvalidArgument(f"invalid path {disk} not assigned to domain")


def _clock() -> int:
    """Microseconds since the epoch: no significance to these numbers, but that they grow."""
    return time.time_ns() // 1000
