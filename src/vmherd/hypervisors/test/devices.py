"""Devices of test guests: a running one has them as soon as its document does."""

from __future__ import annotations

from vmherd.conf.domain import Domain, parse_domain
from vmherd.conf.domain.plug import parse_device, persistent, settle
from vmherd.driver.types import CURRENT, Scope
from vmherd.state.changes import Edit, change_running, resolve
from vmherd.state.driver import LocalDriver


class TestDevices(LocalDriver):
    """Devices of test guests."""

    __test__ = False

    async def domain_attach_device(self, uuid: str, xml: str, scope: Scope = CURRENT) -> None:
        device = settle(parse_device(xml))
        await self._exchange(uuid, scope, lambda domain: persistent.attach(domain, device))

    async def domain_detach_device(self, uuid: str, xml: str, scope: Scope = CURRENT) -> None:
        device = parse_device(xml)
        await self._exchange(uuid, scope, lambda domain: persistent.detach(domain, device))

    async def domain_detach_device_alias(self, uuid: str, alias: str, scope: Scope = CURRENT) -> None:
        await self._exchange(uuid, scope, lambda domain: persistent.detach_alias(domain, alias))

    async def domain_update_device(self, uuid: str, xml: str, scope: Scope = CURRENT, *, force: bool = False) -> None:
        device = parse_device(xml)
        await self._exchange(uuid, scope, lambda domain: persistent.update(domain, device))

    async def _exchange(self, uuid: str, scope: Scope, edit: Edit) -> None:
        self.require_writable()
        entry = self.table.get(uuid)
        scope = resolve(entry, scope)
        if scope.config:
            await self.edited(entry, edit)  # so that a definition that refuses leaves the running guest alone
        if scope.live and entry.live:
            await self._exchange_running(entry.live.xml, uuid, entry.live.id, edit)
        if scope.config:
            await self.change_definition(uuid, edit)

    async def _exchange_running(self, xml: str, uuid: str, run: int, edit: Edit) -> None:
        domain = parse_domain(xml)
        edit(domain)
        await self.accept(domain)

        def take_over(running: Domain) -> None:
            running.devices, running.memory = domain.devices, domain.memory
            running.current_memory = domain.current_memory

        change_running(self.table, uuid, run, take_over)
