"""Virtual networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import only
from vmherd.driver.network import Lease, NetworkDriver, NetworkInfo, UpdateCommand, UpdateSection
from vmherd.driver.types import Scope
from vmherd.errors import NetworkNotFound, OperationUnsupported, VmherdError

_INACTIVE = 1  # VIR_NETWORK_XML_INACTIVE
_VALIDATE = 1
_AFFECT = 3  # virNetworkUpdateFlags

#: virConnectListAllNetworksFlags, in groups as with domains.
_GROUPS: tuple[dict[int, Callable[[NetworkInfo], bool]], ...] = (
    {1: lambda info: not info.active, 2: lambda info: info.active},
    {4: lambda info: info.persistent, 8: lambda info: not info.persistent},
    {16: lambda info: info.autostart, 32: lambda info: not info.autostart},
)
_ALL = 63


class NetworkRef(NamedTuple):
    """How the protocol names a network."""

    name: str
    uuid: str


class LeaseEntry(NamedTuple):
    """As the protocol has it; ``type`` is virIPAddrType."""

    interface: str
    expiry: int
    type: int
    mac: str | None
    iaid: str | None
    address: str
    prefix: int
    hostname: str | None
    client_id: str | None


async def networks(call: Call) -> NetworkDriver:
    """The networks behind the client's connection."""
    return await call.driver.resource(NetworkDriver)


def _reference(info: NetworkInfo) -> NetworkRef:
    return NetworkRef(info.name, info.uuid)


async def _find(call: Call, network: NetworkRef) -> NetworkInfo:
    """The network a client means."""
    return await (await networks(call)).network_find(network.uuid)


def _wanted(flags: int, info: NetworkInfo) -> bool:
    asked = ([test for bit, test in group.items() if flags & bit] for group in _GROUPS)
    return all(any(test(info) for test in tests) for tests in asked if tests)


@remote
async def connect_list_all_networks(call: Call, need_results: int, flags: int) -> tuple[list[NetworkRef], int]:
    only(flags, _ALL)
    found = [_reference(info) for info in await (await networks(call)).network_list() if _wanted(flags, info)]
    return found if need_results else [], len(found)


async def _names(call: Call, *, active: bool) -> list[str]:
    return [info.name for info in await (await networks(call)).network_list() if info.active is active]


@remote
async def connect_num_of_networks(call: Call) -> int:
    return len(await _names(call, active=True))


@remote
async def connect_list_networks(call: Call, most: int) -> list[str]:
    return (await _names(call, active=True))[: max(most, 0)]


@remote
async def connect_num_of_defined_networks(call: Call) -> int:
    return len(await _names(call, active=False))


@remote
async def connect_list_defined_networks(call: Call, most: int) -> list[str]:
    return (await _names(call, active=False))[: max(most, 0)]


@remote
async def network_lookup_by_name(call: Call, name: str) -> NetworkRef:
    info = await (await networks(call)).network_find(name)
    if info.name != name:
        raise NetworkNotFound(name)
    return _reference(info)


@remote
async def network_lookup_by_uuid(call: Call, uuid: str) -> NetworkRef:
    info = await (await networks(call)).network_find(uuid)
    if info.uuid != uuid:
        raise NetworkNotFound(uuid)
    return _reference(info)


@remote
async def network_define_xml(call: Call, xml: str) -> NetworkRef:
    return _reference(await (await networks(call)).network_define(xml))


@remote
async def network_define_xml_flags(call: Call, xml: str, flags: int) -> NetworkRef:
    only(flags, _VALIDATE)
    return _reference(await (await networks(call)).network_define(xml))


@remote
async def network_create_xml(call: Call, xml: str) -> NetworkRef:
    return _reference(await (await networks(call)).network_create(xml))


@remote
async def network_create_xml_flags(call: Call, xml: str, flags: int) -> NetworkRef:
    only(flags, _VALIDATE)
    return _reference(await (await networks(call)).network_create(xml))


@remote
async def network_create(call: Call, network: NetworkRef) -> None:
    await (await networks(call)).network_start(network.uuid)


@remote
async def network_destroy(call: Call, network: NetworkRef) -> None:
    await (await networks(call)).network_stop(network.uuid)


@remote
async def network_undefine(call: Call, network: NetworkRef) -> None:
    await (await networks(call)).network_undefine(network.uuid)


@remote
async def network_get_xml_desc(call: Call, network: NetworkRef, flags: int) -> str:
    only(flags, _INACTIVE)
    return await (await networks(call)).network_xml(network.uuid, inactive=bool(flags & _INACTIVE))


@remote
async def network_get_bridge_name(call: Call, network: NetworkRef) -> str:
    info = await _find(call, network)
    if not info.bridge:
        raise VmherdError(f"network '{info.name}' does not have a bridge name.")
    return info.bridge


@remote
async def network_get_autostart(call: Call, network: NetworkRef) -> int:
    return int((await _find(call, network)).autostart)


@remote
async def network_set_autostart(call: Call, network: NetworkRef, enabled: int) -> None:
    await (await networks(call)).network_set_autostart(network.uuid, bool(enabled))


@remote
async def network_is_active(call: Call, network: NetworkRef) -> int:
    return int((await _find(call, network)).active)


@remote
async def network_is_persistent(call: Call, network: NetworkRef) -> int:
    return int((await _find(call, network)).persistent)


@remote
async def network_update(
    call: Call, network: NetworkRef, command: int, section: int, parent: int, xml: str, flags: int
) -> None:
    only(flags, _AFFECT)
    if command not in list(UpdateCommand) or section not in list(UpdateSection):
        raise OperationUnsupported(f"unrecognized network update command {command} or section {section}")
    change = UpdateCommand(command), UpdateSection(section)
    await (await networks(call)).network_update(network.uuid, *change, parent, xml, Scope.from_flags(flags))


@remote
async def network_get_dhcp_leases(
    call: Call, network: NetworkRef, mac: str | None, need_results: int, flags: int
) -> tuple[list[LeaseEntry], int]:
    only(flags, 0)
    found = [_entry(lease) for lease in await (await networks(call)).network_leases(network.uuid, mac or "")]
    return found if need_results else [], len(found)


def _entry(lease: Lease) -> LeaseEntry:
    return LeaseEntry(
        interface=lease.interface,
        expiry=lease.expiry,
        type=int(lease.ipv6),
        mac=lease.mac or None,
        iaid=lease.iaid or None,
        address=lease.address,
        prefix=lease.prefix,
        hostname=lease.hostname or None,
        client_id=lease.client_id or None,
    )
