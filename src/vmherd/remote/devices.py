"""Devices that come and go, over the wire."""

from __future__ import annotations

from vmherd.driver.types import CURRENT, Scope
from vmherd.remote.connection import RemoteConnection

#: Of virDomainDeviceModifyFlags.
_FORCE = 4


class RemoteDevices(RemoteConnection):
    """Attaching, detaching, changing."""

    async def domain_attach_device(self, uuid: str, xml: str, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_attach_device_flags", xml, scope.flags)

    async def domain_detach_device(self, uuid: str, xml: str, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_detach_device_flags", xml, scope.flags)

    async def domain_detach_device_alias(self, uuid: str, alias: str, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_detach_device_alias", alias, scope.flags)

    async def domain_update_device(self, uuid: str, xml: str, scope: Scope = CURRENT, *, force: bool = False) -> None:
        await self._change(uuid, "domain_update_device_flags", xml, scope.flags | _FORCE * force)
