"""Network interfaces of the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import only
from vmherd.driver.interface import InterfaceDriver, InterfaceInfo
from vmherd.errors import InterfaceNotFound

_INACTIVE = 1  # VIR_INTERFACE_XML_INACTIVE
_VALIDATE = 1

#: virConnectListAllInterfacesFlags
_STATES: dict[int, Callable[[InterfaceInfo], bool]] = {1: lambda info: not info.active, 2: lambda info: info.active}


class InterfaceRef(NamedTuple):
    """How the protocol names an interface."""

    name: str
    mac: str


async def _interfaces(call: Call) -> InterfaceDriver:
    return await call.driver.resource(InterfaceDriver)


def _reference(info: InterfaceInfo) -> InterfaceRef:
    return InterfaceRef(info.name, info.mac)


@remote
async def connect_list_all_interfaces(call: Call, need_results: int, flags: int) -> tuple[list[InterfaceRef], int]:
    only(flags, 3)
    tests = [test for bit, test in _STATES.items() if flags & bit]
    infos = await (await _interfaces(call)).interface_list()
    found = [_reference(info) for info in infos if not tests or any(test(info) for test in tests)]
    return found if need_results else [], len(found)


async def _names(call: Call, *, active: bool) -> list[str]:
    return [info.name for info in await (await _interfaces(call)).interface_list() if info.active is active]


@remote
async def connect_num_of_interfaces(call: Call) -> int:
    return len(await _names(call, active=True))


@remote
async def connect_list_interfaces(call: Call, most: int) -> list[str]:
    return (await _names(call, active=True))[: max(most, 0)]


@remote
async def connect_num_of_defined_interfaces(call: Call) -> int:
    return len(await _names(call, active=False))


@remote
async def connect_list_defined_interfaces(call: Call, most: int) -> list[str]:
    return (await _names(call, active=False))[: max(most, 0)]


@remote
async def interface_lookup_by_name(call: Call, name: str) -> InterfaceRef:
    return _reference(await (await _interfaces(call)).interface_find(name))


@remote
async def interface_lookup_by_mac_string(call: Call, mac: str) -> InterfaceRef:
    return _reference(await (await _interfaces(call)).interface_by_mac(mac))


@remote
async def interface_get_xml_desc(call: Call, interface: InterfaceRef, flags: int) -> str:
    only(flags, _INACTIVE)
    return await (await _interfaces(call)).interface_xml(interface.name, inactive=bool(flags & _INACTIVE))


@remote
async def interface_define_xml(call: Call, xml: str, flags: int) -> InterfaceRef:
    only(flags, _VALIDATE)
    return _reference(await (await _interfaces(call)).interface_define(xml))


@remote
async def interface_undefine(call: Call, interface: InterfaceRef) -> None:
    await (await _interfaces(call)).interface_undefine(interface.name)


@remote
async def interface_create(call: Call, interface: InterfaceRef, flags: int) -> None:
    only(flags, 0)
    await (await _interfaces(call)).interface_start(interface.name)


@remote
async def interface_destroy(call: Call, interface: InterfaceRef, flags: int) -> None:
    only(flags, 0)
    await (await _interfaces(call)).interface_stop(interface.name)


@remote
async def interface_is_active(call: Call, interface: InterfaceRef) -> int:
    """Also of one that was undefined, or unplugged, since."""
    try:
        return int((await (await _interfaces(call)).interface_find(interface.name)).active)
    except InterfaceNotFound:
        return 0


@remote
async def interface_change_begin(call: Call, flags: int) -> None:
    only(flags, 0)
    await (await _interfaces(call)).change_begin()


@remote
async def interface_change_commit(call: Call, flags: int) -> None:
    only(flags, 0)
    await (await _interfaces(call)).change_commit()


@remote
async def interface_change_rollback(call: Call, flags: int) -> None:
    only(flags, 0)
    await (await _interfaces(call)).change_rollback()
