"""The network driver API: virtual networks, and the ports that guests' cards have in them.

Networks are named by UUID, ports by their network's UUID and their own.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from vmherd.driver.params import Params
from vmherd.driver.resource import ResourceDriver
from vmherd.driver.types import CURRENT, Scope
from vmherd.events import ResourceEvent


class UpdateCommand(IntEnum):
    """virNetworkUpdateCommand."""

    MODIFY = 1
    DELETE = 2
    ADD_LAST = 3
    ADD_FIRST = 4


class UpdateSection(IntEnum):
    """virNetworkUpdateSection."""

    BRIDGE = 1
    DOMAIN = 2
    IP = 3
    IP_DHCP_HOST = 4
    IP_DHCP_RANGE = 5
    FORWARD = 6
    FORWARD_INTERFACE = 7
    FORWARD_PF = 8
    PORTGROUP = 9
    DNS_HOST = 10
    DNS_TXT = 11
    DNS_SRV = 12


class NetworkInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A network as lists show it; ``bridge`` is "" where it has none, ``forward`` the mode, "" for an isolated one."""

    uuid: str
    name: str
    active: bool
    persistent: bool = True
    autostart: bool = False
    bridge: str = ""
    forward: str = ""


class PortInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A port as lists show it: ``owner`` is the UUID of the guest that has it."""

    uuid: str
    network: str
    owner: str
    mac: str = ""
    device: str = ""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """An address that dnsmasq has given away; ``expiry`` is seconds since the epoch, 0: never."""

    interface: str
    expiry: int
    mac: str
    address: str
    prefix: int
    ipv6: bool = False
    hostname: str = ""
    client_id: str = ""
    iaid: str = ""


class NetworkDriver(ResourceDriver[ResourceEvent]):
    """Base of network drivers."""

    name = "network"

    async def network_list(self) -> list[NetworkInfo]:
        """Every network, ordered by name."""
        self._unsupported("network_list")

    async def network_find(self, key: str) -> NetworkInfo:
        """The network with this name or UUID; raises NetworkNotFound."""
        self._unsupported("network_find")

    async def network_xml(self, uuid: str, *, inactive: bool = False) -> str:
        """The document: as it is now, or with ``inactive`` as it will start next time."""
        self._unsupported("network_xml")

    async def network_validate(self, xml: str) -> str:
        """The document as ``network_define`` would keep it, without keeping it."""
        self._unsupported("network_validate")

    async def network_define(self, xml: str) -> NetworkInfo:
        """Keep a network, or replace the definition of the one with this UUID and name."""
        self._unsupported("network_define")

    async def network_create(self, xml: str) -> NetworkInfo:
        """Start a network that is gone when it stops."""
        self._unsupported("network_create")

    async def network_undefine(self, uuid: str) -> None:
        """Forget the definition; an active network goes on until it stops."""
        self._unsupported("network_undefine")

    async def network_start(self, uuid: str) -> None:
        """Make the bridge, the rules, the DHCP and DNS server; all of it or nothing.

        Raises HostError with the reason, such as a subnet that the host has a route to already.
        """
        self._unsupported("network_start")

    async def network_stop(self, uuid: str) -> None:
        """Remove what ``network_start`` made (libvirt: destroy).  Guests that run keep cards without a network."""
        self._unsupported("network_stop")

    async def network_set_autostart(self, uuid: str, enabled: bool) -> None:
        """Start the network with the host, or no more."""
        self._unsupported("network_set_autostart")

    async def network_update(
        self,
        uuid: str,
        command: UpdateCommand,
        section: UpdateSection,
        parent: int,
        xml: str,
        scope: Scope = CURRENT,
    ) -> None:
        """Change a part of a network, also while it is active, without a restart.

        ``parent`` is which <ip> the section is in, -1 for the one that fits.
        """
        self._unsupported("network_update")

    async def network_leases(self, uuid: str, mac: str = "") -> list[Lease]:
        """The addresses that are given away now, of one card if ``mac`` names it; also those of an inactive network."""
        self._unsupported("network_leases")

    async def port_list(self, network: str) -> list[PortInfo]:
        """Every port of a network, ordered by UUID."""
        self._unsupported("port_list")

    async def port_find(self, network: str, uuid: str) -> PortInfo:
        """Raises NetworkPortNotFound."""
        self._unsupported("port_find")

    async def port_xml(self, network: str, uuid: str) -> str:
        """The document, which says how a card is plugged in (<plug>)."""
        self._unsupported("port_xml")

    async def port_create(self, network: str, xml: str) -> PortInfo:
        """Find a place for a card in an active network, and keep it until ``port_delete``.

        Raises InvalidState for a network that is not active, HostError where there is no place left.
        """
        self._unsupported("port_create")

    async def port_delete(self, network: str, uuid: str) -> None:
        """Give the place back, with its bandwidth."""
        self._unsupported("port_delete")

    async def port_params(self, network: str, uuid: str) -> Params:
        """The bandwidth, by libvirt's names ("inbound.average", ... in KiB/s)."""
        self._unsupported("port_params")

    async def port_set_params(self, network: str, uuid: str, params: Params) -> None:
        """Change the bandwidth; what is not named stays."""
        self._unsupported("port_set_params")
