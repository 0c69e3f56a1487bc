"""Disks and cards of a guest that runs: sizes, counters, limits, content; and statistics in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from vmherd.driver.blocks import (
    ALL_GROUPS,
    BlockInfo,
    DiskError,
    DomainStats,
    NetStats,
    StatsFilter,
)
from vmherd.driver.params import Params
from vmherd.driver.types import CURRENT, Scope
from vmherd.errors import ArgumentUnsupported, DomainNotFound, InvalidArgument, OperationUnsupported
from vmherd.hypervisors.qemu.connection import QemuConnection
from vmherd.state.blocks import LocalBlocks
from vmherd.state.changes import resolve
from vmherd.state.domains import Entry, Live
from vmherd.util.aside import aside

if TYPE_CHECKING:
    from vmherd.conf.domain.disk import Disk
    from vmherd.hypervisors.qemu.outline import DiskOutline
    from vmherd.hypervisors.qemu.statistics.block import Image
    from vmherd.hypervisors.qemu.statistics.bulk import Statistics

#: Seconds a host gets to tell of an image, and QEMU to make one larger, which may mean to write all of it.
_PATIENCE, _RESIZING = 10.0, 600.0
_SECTOR = 512


class QemuBlocks(QemuConnection, LocalBlocks):
    """Disks and cards of a guest that runs: sizes, counters, limits, content; and statistics in bulk."""

    @cached_property
    def _statistics(self) -> Statistics:
        from vmherd.hypervisors.qemu.statistics.bulk import Statistics

        return Statistics(self._outlines, self._pulse, self._jobs.held)

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
        if enforce and groups & ~int(ALL_GROUPS):
            unknown = groups & ~int(ALL_GROUPS)
            raise ArgumentUnsupported(f"Stats types bits 0x{unknown:x} are not supported by this daemon or QEMU")
        entries = self.table.all() if uuids is None else list(self._known(uuids))
        if uuids is None:
            self._statistics.forget(entries)
        if only:
            wanted = StatsFilter(only)
            entries = [entry for entry in entries if wanted.wants(entry.info)]
        return await self._statistics.collect(entries, groups or ALL_GROUPS, backing=backing, nowait=nowait)

    def _known(self, uuids: Sequence[str]) -> list[Entry]:
        found = []
        for uuid in uuids:
            with suppress(DomainNotFound):
                found.append(self.table.get(uuid))
        return found

    # Disks

    async def domain_block_info(self, uuid: str, disk: str) -> BlockInfo:
        from vmherd.hypervisors.qemu.host import imagesize
        from vmherd.hypervisors.qemu.statistics import block

        entry = self.table.get(uuid)
        found = self._outlines.of(entry).disk(disk)
        if found.empty:
            raise InvalidArgument(f"disk '{disk}' does not currently have a source assigned", hint="insert a medium")
        if entry.live is None:
            return await aside(_PATIENCE, imagesize.require, found.path, found.format)
        image = await self._image(entry, entry.live, found)
        length = await aside(_PATIENCE, imagesize.length, found.path) if found.path else 0
        return block.info(found, image, length)

    async def domain_block_stats(self, uuid: str, disk: str = "") -> dict[str, int]:
        from vmherd.hypervisors.qemu.statistics import block

        entry = self.table.get(uuid)
        live, outline = self._alive(entry), self._outlines.of(entry)
        # What goes through a disk that another process plays, QEMU does not see.
        seen = [each for each in outline.disks if each.kind != "vhostuser"]
        disks = [outline.disk(disk)] if disk else seen
        return block.added(disks, block.Answered(await self._pulse.ask(uuid, live, block.QUESTIONS[:1])))

    async def domain_disk_errors(self, uuid: str) -> dict[str, DiskError]:
        from vmherd.hypervisors.qemu.statistics import block

        entry = self.table.get(uuid)
        live = self._alive(entry)
        return block.errors(self._outlines.of(entry), await self._pulse.ask(uuid, live, [("query-block", None)]))

    async def domain_block_resize(self, uuid: str, disk: str, size: int) -> None:
        async with self._changing(uuid, "resize a disk") as (entry, live):
            found = self._outlines.of(entry).disk(disk)
            if found.empty or found.readonly:
                text = f"can't resize empty or readonly disk '{found.target}'"
                raise OperationUnsupported(text, hint="choose another disk")
            image = await self._image(entry, live, found)
            # These formats have whole sectors only.
            wanted = -(-size // _SECTOR) * _SECTOR if found.format in ("qcow2", "qed") else size
            async with self._monitor(uuid) as monitor:
                await monitor.execute("block_resize", {"node-name": image.node, "size": wanted}, patience=_RESIZING)

    async def domain_set_block_threshold(self, uuid: str, dev: str, threshold: int) -> None:
        async with self._changing(uuid, "set a threshold") as (entry, live):
            target, _, index = dev.removesuffix("]").partition("[")
            chain = (await self._image(entry, live, self._outlines.of(entry).disk(target))).chain
            found = next((image for image in chain if not index or str(image.index) == index), None)
            if found is None:
                raise InvalidArgument(f"failed to find disk '{dev}'", hint="'domstats --block --backing' tells indexes")
            arguments: dict[str, object] = {"node-name": found.storage, "write-threshold": threshold}
            async with self._monitor(uuid) as monitor:
                await monitor.execute("block-set-write-threshold", arguments)

    async def _image(self, entry: Entry, live: Live, disk: DiskOutline) -> Image:
        """The uppermost image of a disk of a running guest."""
        from vmherd.hypervisors.qemu.statistics import block

        image = block.Answered(await self._pulse.ask(entry.uuid, live, block.QUESTIONS)).image(disk.alias)
        if image is None:
            raise InvalidArgument(f"disk '{disk.target}' does not currently have a source assigned")
        return image

    async def domain_block_iotune(self, uuid: str, disk: str, *, scope: Scope = CURRENT) -> Params:
        entry = self.table.get(uuid)
        if scope.config or not resolve(entry, scope).live:
            return await super().domain_block_iotune(uuid, disk, scope=scope)
        from vmherd.hypervisors.qemu import throttle

        found = self._outlines.of(entry).disk(disk)
        blocks = await self._pulse.ask(uuid, self._alive(entry), [("query-block", None)])
        return throttle.observed(blocks[0], found.alias)

    async def _apply_limits(self, entry: Entry, live: Live, disk: Disk) -> None:
        from vmherd.hypervisors.qemu import throttle

        async with self._monitor(entry.uuid) as monitor:
            await throttle.limit(monitor, disk)

    # Contents

    async def domain_block_peek(self, uuid: str, disk: str, offset: int, size: int) -> bytes:
        from vmherd.hypervisors.qemu import peek

        self.require_writable()
        peek.require_size(size)
        return await aside(_PATIENCE, peek.block, self._outlines.of(self.table.get(uuid)).disk(disk), offset, size)

    async def domain_memory_peek(self, uuid: str, address: int, size: int, *, physical: bool = False) -> bytes:
        from vmherd.hypervisors.qemu import peek

        peek.require_size(size)
        async with self._changing(uuid, "look into memory"), self._monitor(uuid) as monitor:
            return await peek.memory(monitor, self._folders.guest(uuid), address, size, physical=physical)

    # Cards

    async def domain_interface_stats(self, uuid: str, device: str) -> NetStats:
        from vmherd.hypervisors.qemu.statistics import cards

        entry = self.table.get(uuid)
        self._alive(entry)
        card = self._outlines.of(entry).card(device)
        found = cards.seen_by_guest(card, cards.counted())
        if found is None:
            raise OperationUnsupported(
                f"nothing counts what goes through {device}", hint="cards with a tap are counted"
            )
        return found
