"""Devices of guests: in the definition, and hot in the machine that runs.

Where both are to change, the definition is tried first, then the guest is changed, then the definition is kept.
Source: qemuDomainAttachDeviceLiveAndConfig of libvirt
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmherd.driver.types import CURRENT, Scope
from vmherd.hypervisors.qemu.connection import QemuConnection
from vmherd.state.domains import Entry

if TYPE_CHECKING:
    from vmherd.hypervisors.qemu.hotplug.running import Means, Running


class QemuDevices(QemuConnection):
    """Devices of guests: in the definition, and hot in the machine that runs."""

    async def domain_attach_device(self, uuid: str, xml: str, scope: Scope = CURRENT) -> None:
        self.require_writable()
        from vmherd.conf.domain.plug import parse_device, persistent, settle

        device = settle(parse_device(xml))
        async with self._adjusting(uuid, "attach-device", scope) as (entry, reach):
            if reach.config:
                await self.edited(entry, lambda domain: persistent.attach(domain, device))
            if reach.live:
                from vmherd.hypervisors.qemu.hotplug import attach

                await attach.attach(*await self._running(entry), device)
            if reach.config:
                await self.change_definition(uuid, lambda domain: persistent.attach(domain, device))

    async def domain_detach_device(self, uuid: str, xml: str, scope: Scope = CURRENT) -> None:
        self.require_writable()
        from vmherd.conf.domain.plug import parse_device, persistent

        device = parse_device(xml)
        async with self._adjusting(uuid, "detach-device", scope) as (entry, reach):
            if reach.config:
                await self.edited(entry, lambda domain: persistent.detach(domain, device))
            if reach.live:
                from vmherd.hypervisors.qemu.hotplug import detach

                await detach.detach(*await self._running(entry), device)
            if reach.config:
                await self.change_definition(uuid, lambda domain: persistent.detach(domain, device))

    async def domain_detach_device_alias(self, uuid: str, alias: str, scope: Scope = CURRENT) -> None:
        self.require_writable()
        from vmherd.conf.domain.plug import persistent

        async with self._adjusting(uuid, "detach-device", scope) as (entry, reach):
            if reach.config:
                await self.edited(entry, lambda domain: persistent.detach_alias(domain, alias))
            if reach.live:
                from vmherd.hypervisors.qemu.hotplug import detach

                await detach.detach_alias((await self._running(entry))[0], alias)
            if reach.config:
                await self.change_definition(uuid, lambda domain: persistent.detach_alias(domain, alias))

    async def domain_update_device(self, uuid: str, xml: str, scope: Scope = CURRENT, *, force: bool = False) -> None:
        self.require_writable()
        from vmherd.conf.domain.plug import parse_device, persistent

        device = parse_device(xml)
        async with self._adjusting(uuid, "update-device", scope) as (entry, reach):
            if reach.config:
                await self.edited(entry, lambda domain: persistent.update(domain, device))
            if reach.live:
                from vmherd.hypervisors.qemu.hotplug import update

                await update.update(*await self._running(entry), device, force=force)
            if reach.config:
                await self.change_definition(uuid, lambda domain: persistent.update(domain, device))

    async def _running(self, entry: Entry) -> tuple[Running, Means]:
        """The guest as it runs, and what its devices are made with."""
        from vmherd.hypervisors.qemu.hotplug.running import Running

        running = Running(self.table, self._folders, entry, self._alive(entry))
        return running, await self._workshop.means(running.domain)
