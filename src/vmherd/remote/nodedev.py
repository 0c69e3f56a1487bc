"""Devices of the host over the wire."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from vmherd.driver.nodedev import DeviceInfo, NodeDeviceDriver
from vmherd.remote.gathered import described
from vmherd.remote.resource import Resource

#: More capabilities than a device has.
_ENOUGH = 1024
#: What devices that can be defined are called; all others are there, and nothing else.
_DEFINABLE = "mdev_"
_INACTIVE = 1


class RemoteDevices(Resource, NodeDeviceDriver):
    """virNodeDevice* of libvirt."""

    word = "node_device"

    async def device_list(self) -> list[DeviceInfo]:
        refs = (await self._call("connect_list_all_node_devices", 1, 0))[0]
        return sorted(await described(refs, self._info), key=lambda info: info.name)

    async def _info(self, ref: Any) -> DeviceInfo:
        parent, capabilities = await asyncio.gather(
            self._call("node_device_get_parent", ref.name), self._call("node_device_list_caps", ref.name, _ENOUGH)
        )
        info = DeviceInfo(name=ref.name, parent=parent or "", capabilities=tuple(capabilities))
        if not ref.name.startswith(_DEFINABLE):
            return info
        asked = ("node_device_is_active", "node_device_is_persistent", "node_device_get_autostart")
        active, persistent, autostart = await asyncio.gather(*(self._call(name, ref.name) for name in asked))
        return replace(info, active=bool(active), persistent=bool(persistent), autostart=bool(autostart))

    async def device_find(self, name: str) -> DeviceInfo:
        return await self._info(await self._call("node_device_lookup_by_name", name))

    async def device_by_wwn(self, wwnn: str, wwpn: str) -> DeviceInfo:
        return await self._info(await self._call("node_device_lookup_scsi_host_by_wwn", wwnn, wwpn, 0))

    async def device_xml(self, name: str, *, inactive: bool = False) -> str:
        return str(await self._call("node_device_get_xml_desc", name, _INACTIVE * inactive))

    async def device_detach(self, name: str, driver: str = "") -> None:
        await self._change("node_device_detach_flags", name, driver or None, 0)

    async def device_reattach(self, name: str) -> None:
        await self._change("node_device_re_attach", name)

    async def device_reset(self, name: str) -> None:
        await self._change("node_device_reset", name)

    async def device_create(self, xml: str) -> DeviceInfo:
        return await self._info(await self._change("node_device_create_xml", xml, 0))

    async def device_destroy(self, name: str) -> None:
        await self._change("node_device_destroy", name)

    async def device_define(self, xml: str) -> DeviceInfo:
        return await self._info(await self._change("node_device_define_xml", xml, 0))

    async def device_undefine(self, name: str) -> None:
        await self._change("node_device_undefine", name, 0)

    async def device_start(self, name: str) -> None:
        await self._change("node_device_create", name, 0)

    async def device_set_autostart(self, name: str, enabled: bool) -> None:
        await self._change("node_device_set_autostart", name, int(enabled))
