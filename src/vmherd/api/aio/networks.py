"""Virtual networks, and the ports of guests' cards in them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from vmherd.api.resource import changing
from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.network import Lease, NetworkDriver, NetworkInfo, PortInfo, UpdateCommand, UpdateSection
from vmherd.driver.params import Params
from vmherd.driver.types import CURRENT, Scope
from vmherd.events import ResourceEvent


class Networks:
    """The virtual networks of a host."""

    def __init__(self, driver: HypervisorDriver) -> None:
        self._driver = driver

    async def list(self) -> Sequence[NetworkInfo]:
        """A summary of every network, active or not, ordered by name."""
        return await (await self._driver.resource(NetworkDriver)).network_list()

    async def find(self, key: str) -> Network:
        """The network with this name or UUID; raises NetworkNotFound."""
        return Network(self._driver, await (await self._driver.resource(NetworkDriver)).network_find(key))

    async def validate(self, xml: str) -> str:
        """The document as ``define`` would keep it, completed, without keeping it."""
        return await (await self._driver.resource(NetworkDriver)).network_validate(xml)

    async def define(self, xml: str) -> Network:
        """Keep a network, or replace the kept definition of the one with the same UUID and name."""
        return Network(self._driver, await (await changing(self._driver, NetworkDriver)).network_define(xml))

    async def create(self, xml: str) -> Network:
        """Start a transient network: it is gone when it stops."""
        return Network(self._driver, await (await changing(self._driver, NetworkDriver)).network_create(xml))

    async def events(self, *wanted: type[ResourceEvent]) -> AsyncGenerator[ResourceEvent, None]:
        """What happens to networks while the loop lasts."""
        networks = await self._driver.resource(NetworkDriver)
        async with await networks.events(*wanted) as subscription:
            async for event in subscription:
                yield event


class Network:
    """A virtual network that runs, or its definition, or both."""

    def __init__(self, driver: HypervisorDriver, info: NetworkInfo) -> None:
        self._driver = driver
        self.uuid = info.uuid
        self.name = info.name

    async def _networks(self) -> NetworkDriver:
        return await self._driver.resource(NetworkDriver)

    async def _changing(self) -> NetworkDriver:
        return await changing(self._driver, NetworkDriver)

    @property
    def ports(self) -> Ports:
        """The places that guests' cards have in it."""
        return Ports(self._driver, self.uuid)

    async def info(self) -> NetworkInfo:
        """How it is now."""
        return await (await self._networks()).network_find(self.uuid)

    async def xml(self, *, inactive: bool = False) -> str:
        """The document as it is now, or with ``inactive`` as it will start next time."""
        return await (await self._networks()).network_xml(self.uuid, inactive=inactive)

    async def start(self) -> None:
        """Make the bridge, the rules, the DHCP and DNS server; all of it or nothing."""
        await (await self._changing()).network_start(self.uuid)

    async def stop(self) -> None:
        """Remove what ``start`` made (libvirt: destroy).  Guests that run keep cards without a network."""
        await (await self._changing()).network_stop(self.uuid)

    async def undefine(self) -> None:
        """Forget the definition; an active network goes on until it stops."""
        await (await self._changing()).network_undefine(self.uuid)

    async def set_autostart(self, enabled: bool) -> None:
        """Start the network with the host, or no more."""
        await (await self._changing()).network_set_autostart(self.uuid, enabled)

    async def update(
        self, command: UpdateCommand, section: UpdateSection, xml: str, *, parent: int = -1, scope: Scope = CURRENT
    ) -> None:
        """Change a part of the network, also while it is active, without a restart.

        ``parent`` is which <ip> the section is in, -1 for the one that fits.
        """
        networks = await self._changing()
        await networks.network_update(self.uuid, command, section, parent, xml, scope)

    async def leases(self, mac: str = "") -> list[Lease]:
        """The addresses that are given away now, of one card if ``mac`` names it."""
        return await (await self._networks()).network_leases(self.uuid, mac)


class Ports:
    """The ports of a network, each named by its UUID."""

    def __init__(self, driver: HypervisorDriver, network: str) -> None:
        self._driver = driver
        self._network = network

    async def _networks(self) -> NetworkDriver:
        return await self._driver.resource(NetworkDriver)

    async def _changing(self) -> NetworkDriver:
        return await changing(self._driver, NetworkDriver)

    async def list(self) -> Sequence[PortInfo]:
        """A summary of every port, ordered by UUID."""
        return await (await self._networks()).port_list(self._network)

    async def info(self, uuid: str) -> PortInfo:
        """Raises NetworkPortNotFound."""
        return await (await self._networks()).port_find(self._network, uuid)

    async def xml(self, uuid: str) -> str:
        """The document, which says how a card is plugged in (<plug>)."""
        return await (await self._networks()).port_xml(self._network, uuid)

    async def create(self, xml: str) -> PortInfo:
        """Find a place for a card in an active network, and keep it until it is deleted."""
        return await (await self._changing()).port_create(self._network, xml)

    async def delete(self, uuid: str) -> None:
        """Give the place back, with its bandwidth."""
        await (await self._changing()).port_delete(self._network, uuid)

    async def params(self, uuid: str) -> Params:
        """The bandwidth of a port, by libvirt's names ("inbound.average", ... in KiB/s)."""
        return await (await self._networks()).port_params(self._network, uuid)

    async def set_params(self, uuid: str, params: Params) -> None:
        """Change the bandwidth; what is not named stays."""
        await (await self._changing()).port_set_params(self._network, uuid, params)
