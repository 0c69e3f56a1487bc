"""The host's own network devices, and how they are configured."""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.api.resource import changing
from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.interface import InterfaceDriver, InterfaceInfo


class Interfaces:
    """The network devices of a host.

    Between ``begin`` and ``commit`` a mistake can be taken back with ``rollback``.
    """

    def __init__(self, driver: HypervisorDriver) -> None:
        self._driver = driver

    async def list(self) -> Sequence[InterfaceInfo]:
        """Every interface, active or just configured, ordered by name."""
        return await (await self._driver.resource(InterfaceDriver)).interface_list()

    async def find(self, name: str) -> HostInterface:
        """Raises InterfaceNotFound."""
        return HostInterface(self._driver, await (await self._driver.resource(InterfaceDriver)).interface_find(name))

    async def by_mac(self, mac: str) -> HostInterface:
        """Raises InterfaceNotFound, and MultipleInterfaces where several have this address."""
        return HostInterface(self._driver, await (await self._driver.resource(InterfaceDriver)).interface_by_mac(mac))

    async def define(self, xml: str) -> HostInterface:
        """Keep the configuration of an interface; it has effect when it starts."""
        return HostInterface(self._driver, await (await changing(self._driver, InterfaceDriver)).interface_define(xml))

    async def begin(self) -> None:
        """Note every configuration, so that ``rollback`` can go back to it.  InvalidState if that was done."""
        await (await changing(self._driver, InterfaceDriver)).change_begin()

    async def commit(self) -> None:
        """Keep what was changed.  InvalidState if nothing was begun."""
        await (await changing(self._driver, InterfaceDriver)).change_commit()

    async def rollback(self) -> None:
        """Configure everything as it was when the change began, and start again what ran then."""
        await (await changing(self._driver, InterfaceDriver)).change_rollback()


class HostInterface:
    """A network device of the host."""

    def __init__(self, driver: HypervisorDriver, info: InterfaceInfo) -> None:
        self._driver = driver
        self.name = info.name

    async def info(self) -> InterfaceInfo:
        """How it is now."""
        return await (await self._driver.resource(InterfaceDriver)).interface_find(self.name)

    async def xml(self, *, inactive: bool = False) -> str:
        """The document: as it is now, or with ``inactive`` as it is configured."""
        return await (await self._driver.resource(InterfaceDriver)).interface_xml(self.name, inactive=inactive)

    async def start(self) -> None:
        """Bring it up as it is configured."""
        await (await changing(self._driver, InterfaceDriver)).interface_start(self.name)

    async def stop(self) -> None:
        """Take it down."""
        await (await changing(self._driver, InterfaceDriver)).interface_stop(self.name)

    async def undefine(self) -> None:
        """Forget its configuration."""
        await (await changing(self._driver, InterfaceDriver)).interface_undefine(self.name)
