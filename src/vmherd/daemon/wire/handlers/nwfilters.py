"""Network filters, and the cards they are applied to."""

from __future__ import annotations

from typing import NamedTuple

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import only
from vmherd.driver.nwfilter import BindingInfo, FilterDriver, FilterInfo
from vmherd.errors import FilterNotFound

_VALIDATE = 1


class FilterRef(NamedTuple):
    """How the protocol names a filter."""

    name: str
    uuid: str


class BindingRef(NamedTuple):
    """How the protocol names a filter on a card."""

    portdev: str
    filtername: str


async def _filters(call: Call) -> FilterDriver:
    return await call.driver.resource(FilterDriver)


def _reference(info: FilterInfo) -> FilterRef:
    return FilterRef(info.name, info.uuid)


def _binding(info: BindingInfo) -> BindingRef:
    return BindingRef(info.device, info.filter)


@remote
async def connect_list_all_nwfilters(call: Call, need_results: int, flags: int) -> tuple[list[FilterRef], int]:
    only(flags, 0)
    found = [_reference(info) for info in await (await _filters(call)).filter_list()]
    return found if need_results else [], len(found)


@remote
async def connect_num_of_nwfilters(call: Call) -> int:
    return len(await (await _filters(call)).filter_list())


@remote
async def connect_list_nwfilters(call: Call, most: int) -> list[str]:
    return [info.name for info in await (await _filters(call)).filter_list()][: max(most, 0)]


@remote
async def nwfilter_lookup_by_name(call: Call, name: str) -> FilterRef:
    info = await (await _filters(call)).filter_find(name)
    if info.name != name:  # found by its UUID
        raise FilterNotFound(name)
    return _reference(info)


@remote
async def nwfilter_lookup_by_uuid(call: Call, uuid: str) -> FilterRef:
    info = await (await _filters(call)).filter_find(uuid)
    if info.uuid != uuid:  # found by a name that looks like one
        raise FilterNotFound(uuid)
    return _reference(info)


@remote
async def nwfilter_define_xml(call: Call, xml: str) -> FilterRef:
    return _reference(await (await _filters(call)).filter_define(xml))


@remote
async def nwfilter_define_xml_flags(call: Call, xml: str, flags: int) -> FilterRef:
    only(flags, _VALIDATE)
    return _reference(await (await _filters(call)).filter_define(xml))


@remote
async def nwfilter_undefine(call: Call, filter_: FilterRef) -> None:
    await (await _filters(call)).filter_undefine(filter_.uuid)


@remote
async def nwfilter_get_xml_desc(call: Call, filter_: FilterRef, flags: int) -> str:
    only(flags, 0)
    return await (await _filters(call)).filter_xml(filter_.uuid)


@remote
async def connect_list_all_nwfilter_bindings(call: Call, need_results: int, flags: int) -> tuple[list[BindingRef], int]:
    only(flags, 0)
    found = [_binding(info) for info in await (await _filters(call)).binding_list()]
    return found if need_results else [], len(found)


@remote
async def nwfilter_binding_lookup_by_port_dev(call: Call, device: str) -> BindingRef:
    return _binding(await (await _filters(call)).binding_find(device))


@remote
async def nwfilter_binding_create_xml(call: Call, xml: str, flags: int) -> BindingRef:
    only(flags, _VALIDATE)
    return _binding(await (await _filters(call)).binding_create(xml))


@remote
async def nwfilter_binding_delete(call: Call, binding: BindingRef) -> None:
    await (await _filters(call)).binding_delete(binding.portdev)


@remote
async def nwfilter_binding_get_xml_desc(call: Call, binding: BindingRef, flags: int) -> str:
    only(flags, 0)
    return await (await _filters(call)).binding_xml(binding.portdev)
