"""The host's own network devices, over the wire."""

from __future__ import annotations

from typing import Any

from vmherd.driver.interface import InterfaceDriver, InterfaceInfo
from vmherd.remote.gathered import described
from vmherd.remote.resource import Resource

_INACTIVE = 1  # VIR_INTERFACE_XML_INACTIVE


class RemoteInterfaces(Resource, InterfaceDriver):
    """virInterface* of libvirt."""

    async def interface_list(self) -> list[InterfaceInfo]:
        refs = (await self._call("connect_list_all_interfaces", 1, 0))[0]
        return sorted(await described(refs, self._info), key=lambda info: info.name)

    async def _info(self, ref: Any) -> InterfaceInfo:
        active = await self._call("interface_is_active", ref)
        return InterfaceInfo(name=ref.name, mac=ref.mac, active=bool(active))

    async def interface_find(self, name: str) -> InterfaceInfo:
        return await self._info(await self._call("interface_lookup_by_name", name))

    async def interface_by_mac(self, mac: str) -> InterfaceInfo:
        return await self._info(await self._call("interface_lookup_by_mac_string", mac))

    async def interface_xml(self, name: str, *, inactive: bool = False) -> str:
        return str(await self._call("interface_get_xml_desc", (name, ""), _INACTIVE * inactive))

    async def interface_define(self, xml: str) -> InterfaceInfo:
        return await self._info(await self._change("interface_define_xml", xml, 0))

    async def interface_undefine(self, name: str) -> None:
        await self._change("interface_undefine", (name, ""))

    async def interface_start(self, name: str) -> None:
        await self._change("interface_create", (name, ""), 0)

    async def interface_stop(self, name: str) -> None:
        await self._change("interface_destroy", (name, ""), 0)

    async def change_begin(self) -> None:
        await self._change("interface_change_begin", 0)

    async def change_commit(self) -> None:
        await self._change("interface_change_commit", 0)

    async def change_rollback(self) -> None:
        await self._change("interface_change_rollback", 0)
