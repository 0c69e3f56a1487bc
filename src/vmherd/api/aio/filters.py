"""Network filters: rules for the packets of guests' cards, and the cards they are applied to."""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.api.resource import changing
from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.nwfilter import BindingInfo, FilterDriver, FilterInfo


class Filters:
    """The network filters of a host."""

    def __init__(self, driver: HypervisorDriver) -> None:
        self._driver = driver

    @property
    def bindings(self) -> Bindings:
        """The cards that filters are applied to."""
        return Bindings(self._driver)

    async def list(self) -> Sequence[FilterInfo]:
        """Every filter, the built-in ones too, ordered by name."""
        return await (await self._driver.resource(FilterDriver)).filter_list()

    async def find(self, key: str) -> Filter:
        """The filter with this name or UUID; raises FilterNotFound."""
        return Filter(self._driver, await (await self._driver.resource(FilterDriver)).filter_find(key))

    async def define(self, xml: str) -> Filter:
        """Keep a filter, or replace that of this name and UUID; cards that have it get the new rules at once.

        If these cannot be applied everywhere, nothing changes.
        """
        return Filter(self._driver, await (await changing(self._driver, FilterDriver)).filter_define(xml))


class Filter:
    """A network filter."""

    def __init__(self, driver: HypervisorDriver, info: FilterInfo) -> None:
        self._driver = driver
        self.uuid = info.uuid
        self.name = info.name

    async def xml(self) -> str:
        """The document."""
        return await (await self._driver.resource(FilterDriver)).filter_xml(self.uuid)

    async def undefine(self) -> None:
        """Forget the filter.  Raises Busy while a binding or another filter uses it."""
        await (await changing(self._driver, FilterDriver)).filter_undefine(self.uuid)


class Bindings:
    """Filters that are applied, each named by the network device at the host's end of the card."""

    def __init__(self, driver: HypervisorDriver) -> None:
        self._driver = driver

    async def list(self) -> Sequence[BindingInfo]:
        """Every binding, ordered by device."""
        return await (await self._driver.resource(FilterDriver)).binding_list()

    async def info(self, device: str) -> BindingInfo:
        """Raises BindingNotFound."""
        return await (await self._driver.resource(FilterDriver)).binding_find(device)

    async def xml(self, device: str) -> str:
        """The document."""
        return await (await self._driver.resource(FilterDriver)).binding_xml(device)

    async def create(self, xml: str) -> BindingInfo:
        """Apply a filter to a card: all of the rules or an error."""
        return await (await changing(self._driver, FilterDriver)).binding_create(xml)

    async def delete(self, device: str) -> None:
        """Remove a card's rules."""
        await (await changing(self._driver, FilterDriver)).binding_delete(device)
