"""Network filters, and the cards they are applied to, over the wire."""

from __future__ import annotations

from typing import Any

from vmherd.driver.nwfilter import BindingInfo, FilterDriver, FilterInfo
from vmherd.errors import FilterNotFound
from vmherd.remote.gathered import described
from vmherd.remote.names import by_uuid_or_name
from vmherd.remote.resource import Resource


class RemoteFilters(Resource, FilterDriver):
    """virNWFilter* and virNWFilterBinding* of libvirt."""

    async def filter_list(self) -> list[FilterInfo]:
        refs = (await self._call("connect_list_all_nwfilters", 1, 0))[0]
        return sorted(map(_info, refs), key=lambda info: info.name)

    async def filter_find(self, key: str) -> FilterInfo:
        return _info(await by_uuid_or_name(self._call, "nwfilter", key, FilterNotFound))

    async def filter_xml(self, uuid: str) -> str:
        return str(await self._call("nwfilter_get_xml_desc", ("", uuid), 0))

    async def filter_define(self, xml: str) -> FilterInfo:
        return _info(await self._change("nwfilter_define_xml", xml))

    async def filter_undefine(self, uuid: str) -> None:
        await self._change("nwfilter_undefine", ("", uuid))

    async def binding_list(self) -> list[BindingInfo]:
        refs = (await self._call("connect_list_all_nwfilter_bindings", 1, 0))[0]
        return sorted(await described(refs, self._binding), key=lambda info: info.device)

    async def _binding(self, ref: Any) -> BindingInfo:
        from vmherd.conf.nwfilter import parse_binding

        binding = parse_binding(await self._call("nwfilter_binding_get_xml_desc", ref, 0))
        return BindingInfo(device=ref.portdev, filter=ref.filtername, mac=binding.mac.address, owner=binding.owner.uuid)

    async def binding_find(self, device: str) -> BindingInfo:
        return await self._binding(await self._call("nwfilter_binding_lookup_by_port_dev", device))

    async def binding_xml(self, device: str) -> str:
        return str(await self._call("nwfilter_binding_get_xml_desc", (device, ""), 0))

    async def binding_create(self, xml: str) -> BindingInfo:
        return await self._binding(await self._change("nwfilter_binding_create_xml", xml, 0))

    async def binding_delete(self, device: str) -> None:
        await self._change("nwfilter_binding_delete", (device, ""))


def _info(ref: Any) -> FilterInfo:
    return FilterInfo(uuid=ref.uuid, name=ref.name)
