"""What drivers that keep their own guests do alike when the limits of disks are changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmherd.driver.params import Params
from vmherd.driver.types import CURRENT, LIVE, Scope
from vmherd.events import TunableEvent
from vmherd.state.changes import change_running, described
from vmherd.state.domains import Entry, Live
from vmherd.state.driver import LocalDriver

if TYPE_CHECKING:
    from vmherd.conf.domain.disk import Disk


class LocalBlocks(LocalDriver):
    """The limits of disks, as documents say."""

    async def domain_block_iotune(self, uuid: str, disk: str, *, scope: Scope = CURRENT) -> Params:
        from vmherd.state.tuning import throttle

        return throttle.params(throttle.disk_of(described(self.table.get(uuid), scope), disk).iotune)

    async def domain_set_block_iotune(self, uuid: str, disk: str, params: Params, *, scope: Scope = CURRENT) -> None:
        from vmherd.state.tuning import throttle

        edit = throttle.Limiting(disk, throttle.wanted(params))
        async with self._adjusting(uuid, "limit a disk", scope) as (entry, reach):
            if reach.config:
                await self.edited(entry, edit)
            if reach.live and entry.live:
                domain = described(entry, LIVE)
                edit(domain)
                found = throttle.disk_of(domain, disk)
                await self._apply_limits(entry, entry.live, found)
                event = TunableEvent(uuid=uuid, name=entry.name, params=throttle.told(found.target.dev, params))
                change_running(self.table, uuid, entry.live.id, edit, [event])
            if reach.config:
                await self.change_definition(uuid, edit)

    async def _apply_limits(self, entry: Entry, live: Live, disk: Disk) -> None:
        """Tell a running guest; the disk is as its document will have it."""
