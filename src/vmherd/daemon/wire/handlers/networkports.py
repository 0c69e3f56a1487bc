"""The places of guests' cards in networks."""

from __future__ import annotations

from typing import NamedTuple

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import only
from vmherd.daemon.wire.handlers.networks import NetworkRef, networks
from vmherd.driver.params import Kind
from vmherd.errors import InvalidArgument, OperationUnsupported
from vmherd.rpc.params import plain, typed
from vmherd.rpc.xdr import TypedParam

_RECLAIM, _VALIDATE = 1, 2  # virNetworkPortCreateFlags
_STRINGS = 4  # VIR_TYPED_PARAM_STRING_OKAY


class PortRef(NamedTuple):
    """How the protocol names a port."""

    net: NetworkRef
    uuid: str


@remote
async def network_list_all_ports(
    call: Call, network: NetworkRef, need_results: int, flags: int
) -> tuple[list[PortRef], int]:
    only(flags, 0)
    found = [PortRef(network, info.uuid) for info in await (await networks(call)).port_list(network.uuid)]
    return found if need_results else [], len(found)


@remote
async def network_port_lookup_by_uuid(call: Call, network: NetworkRef, uuid: str) -> PortRef:
    return PortRef(network, (await (await networks(call)).port_find(network.uuid, uuid)).uuid)


@remote
async def network_port_create_xml(call: Call, network: NetworkRef, xml: str, flags: int) -> PortRef:
    only(flags, _RECLAIM | _VALIDATE)
    if flags & _RECLAIM:
        raise OperationUnsupported("ports cannot be reclaimed: they are kept", hint="look them up")
    return PortRef(network, (await (await networks(call)).port_create(network.uuid, xml)).uuid)


@remote
async def network_port_get_xml_desc(call: Call, port: PortRef, flags: int) -> str:
    only(flags, 0)
    return await (await networks(call)).port_xml(port.net.uuid, port.uuid)


@remote
async def network_port_delete(call: Call, port: PortRef, flags: int) -> None:
    only(flags, 0)
    await (await networks(call)).port_delete(port.net.uuid, port.uuid)


@remote
async def network_port_get_parameters(call: Call, port: PortRef, most: int, flags: int) -> tuple[list[TypedParam], int]:
    only(flags, _STRINGS)
    found = await (await networks(call)).port_params(port.net.uuid, port.uuid)
    if not most:
        return [], len(found)
    told = typed(found, lambda _: Kind.UINT)[:most]
    return told, len(told)


@remote
async def network_port_set_parameters(call: Call, port: PortRef, params: list[TypedParam], flags: int) -> None:
    only(flags, _STRINGS)
    for name, kind, _ in params:
        if kind != Kind.UINT:
            raise InvalidArgument(f"invalid type for parameter '{name}', expected '{Kind.UINT.word}'")
    await (await networks(call)).port_set_params(port.net.uuid, port.uuid, plain(params))
