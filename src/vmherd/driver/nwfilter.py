"""The network filter driver API: rules for the packets of guests' cards, and the cards they are applied to.

Filters are named by UUID, bindings by the network device at the host's end of the card.
"""

from __future__ import annotations

import msgspec

from vmherd.driver.base import Driver


class FilterInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A filter as lists show it."""

    uuid: str
    name: str


class BindingInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A filter that is applied to the card behind ``device``; ``owner`` is the UUID of the guest."""

    device: str
    filter: str
    mac: str = ""
    owner: str = ""


class FilterDriver(Driver):
    """Base of network filter drivers."""

    name = "nwfilter"

    async def filter_list(self) -> list[FilterInfo]:
        """Every filter, the built-in ones too, ordered by name."""
        self._unsupported("filter_list")

    async def filter_find(self, key: str) -> FilterInfo:
        """The filter with this name or UUID; raises FilterNotFound."""
        self._unsupported("filter_find")

    async def filter_xml(self, uuid: str) -> str:
        """The document."""
        self._unsupported("filter_xml")

    async def filter_define(self, xml: str) -> FilterInfo:
        """Keep a filter, or replace that of this name and UUID; cards that have it get the new rules at once.

        If these cannot be applied everywhere, nothing changes.
        """
        self._unsupported("filter_define")

    async def filter_undefine(self, uuid: str) -> None:
        """Forget a filter.  Raises InvalidState while it is applied to a card, at once or by way of other filters."""
        self._unsupported("filter_undefine")

    async def binding_list(self) -> list[BindingInfo]:
        """Every binding, ordered by device."""
        self._unsupported("binding_list")

    async def binding_find(self, device: str) -> BindingInfo:
        """Raises BindingNotFound."""
        self._unsupported("binding_find")

    async def binding_xml(self, device: str) -> str:
        """The document."""
        self._unsupported("binding_xml")

    async def binding_create(self, xml: str) -> BindingInfo:
        """Apply a filter to a card before its first packet: all of the rules or an error.

        The card need not be there yet.  Where the filter asks for the guest's IP address and nobody told it, only
        DHCP passes until it is learned.
        """
        self._unsupported("binding_create")

    async def binding_delete(self, device: str) -> None:
        """Remove a card's rules."""
        self._unsupported("binding_delete")
