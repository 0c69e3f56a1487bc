"""Networks, and the ports of cards in them, over the wire."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from vmherd.driver.network import Lease, NetworkDriver, NetworkInfo, PortInfo, UpdateCommand, UpdateSection
from vmherd.driver.params import Params
from vmherd.driver.types import CURRENT, Scope
from vmherd.errors import NetworkNotFound
from vmherd.remote.gathered import described
from vmherd.remote.names import by_uuid_or_name
from vmherd.remote.resource import Ref, Resource
from vmherd.rpc.params import plain, typed

_INACTIVE = 1  # VIR_NETWORK_XML_INACTIVE
_IPV6 = 1  # virIPAddrType
_ENOUGH = 16  # parameters of a port
#: VIR_DRV_FEATURE_NETWORK_UPDATE_HAS_CORRECT_ORDER: daemons before libvirt 7.2 take the section first.
_RIGHT_ORDER = 16


class _PortRef(NamedTuple):
    net: Ref
    uuid: str


class RemoteNetworks(Resource, NetworkDriver):
    """virNetwork* and virNetworkPort* of libvirt."""

    word = "network"

    async def network_list(self) -> list[NetworkInfo]:
        refs = (await self._call("connect_list_all_networks", 1, 0))[0]
        return sorted(await described(refs, self._info), key=lambda info: info.name)

    async def _info(self, ref: Any) -> NetworkInfo:
        from vmherd.conf.network import parse_network

        self._names[ref.uuid] = ref.name
        text, active, persistent, autostart = await asyncio.gather(
            self._call("network_get_xml_desc", ref, 0),
            self._call("network_is_active", ref),
            self._call("network_is_persistent", ref),
            self._call("network_get_autostart", ref),
        )
        network = parse_network(text)
        return NetworkInfo(
            uuid=ref.uuid,
            name=ref.name,
            active=bool(active),
            persistent=bool(persistent),
            autostart=bool(autostart),
            bridge=(network.bridge.name if network.bridge else "") or "",
            forward=str(network.mode) if network.forward else "",
        )

    async def network_find(self, key: str) -> NetworkInfo:
        return await self._info(await by_uuid_or_name(self._call, "network", key, NetworkNotFound))

    async def network_xml(self, uuid: str, *, inactive: bool = False) -> str:
        return str(await self._call("network_get_xml_desc", await self._ref(uuid), _INACTIVE * inactive))

    async def network_define(self, xml: str) -> NetworkInfo:
        return await self._info(await self._change("network_define_xml", xml))

    async def network_create(self, xml: str) -> NetworkInfo:
        return await self._info(await self._change("network_create_xml", xml))

    async def network_undefine(self, uuid: str) -> None:
        await self._change("network_undefine", await self._ref(uuid))

    async def network_start(self, uuid: str) -> None:
        await self._change("network_create", await self._ref(uuid))

    async def network_stop(self, uuid: str) -> None:
        await self._change("network_destroy", await self._ref(uuid))

    async def network_set_autostart(self, uuid: str, enabled: bool) -> None:
        await self._change("network_set_autostart", await self._ref(uuid), int(enabled))

    async def network_update(
        self,
        uuid: str,
        command: UpdateCommand,
        section: UpdateSection,
        parent: int,
        xml: str,
        scope: Scope = CURRENT,
    ) -> None:
        in_order = await self._call("connect_supports_feature", _RIGHT_ORDER)
        what = (command, section) if in_order else (section, command)
        await self._change("network_update", await self._ref(uuid), *what, parent, xml, scope.flags)

    async def network_leases(self, uuid: str, mac: str = "") -> list[Lease]:
        found = (await self._call("network_get_dhcp_leases", await self._ref(uuid), mac or None, 1, 0))[0]
        return [_lease(each) for each in found]

    # Ports

    async def _port(self, network: str, uuid: str) -> _PortRef:
        return _PortRef(await self._ref(network), uuid)

    async def port_list(self, network: str) -> list[PortInfo]:
        refs = (await self._call("network_list_all_ports", await self._ref(network), 1, 0))[0]
        return sorted(await described(refs, self._port_info), key=lambda info: info.uuid)

    async def _port_info(self, ref: Any) -> PortInfo:
        from vmherd.conf.network import parse_port

        port = parse_port(await self._call("network_port_get_xml_desc", ref, 0))
        return PortInfo(
            uuid=ref.uuid,
            network=ref.net.uuid,
            owner=port.owner.uuid,
            mac=port.mac.address,
            device=(port.plug.dev if port.plug else "") or "",
        )

    async def port_find(self, network: str, uuid: str) -> PortInfo:
        return await self._port_info(await self._call("network_port_lookup_by_uuid", await self._ref(network), uuid))

    async def port_xml(self, network: str, uuid: str) -> str:
        return str(await self._call("network_port_get_xml_desc", await self._port(network, uuid), 0))

    async def port_create(self, network: str, xml: str) -> PortInfo:
        return await self._port_info(await self._change("network_port_create_xml", await self._ref(network), xml, 0))

    async def port_delete(self, network: str, uuid: str) -> None:
        await self._change("network_port_delete", await self._port(network, uuid), 0)

    async def port_params(self, network: str, uuid: str) -> Params:
        return plain(
            (await self._call("network_port_get_parameters", await self._port(network, uuid), _ENOUGH, 0)).params
        )

    async def port_set_params(self, network: str, uuid: str, params: Params) -> None:
        await self._change("network_port_set_parameters", await self._port(network, uuid), typed(params), 0)


def _lease(told: Any) -> Lease:
    return Lease(
        interface=told.iface,
        expiry=told.expirytime,
        mac=told.mac or "",
        address=told.ipaddr,
        prefix=told.prefix,
        ipv6=told.type == _IPV6,
        hostname=told.hostname or "",
        client_id=told.clientid or "",
        iaid=told.iaid or "",
    )
