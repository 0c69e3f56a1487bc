"""Network filters: rules for the packets of guests' cards, and the cards they are applied to.

Generated from aio/filters.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.api import aio, bridge
from vmherd.driver.nwfilter import BindingInfo, FilterInfo


class Filters:
    """The network filters of a host."""

    def __init__(self, wrapped: aio.Filters) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    @property
    def bindings(self) -> Bindings:
        """The cards that filters are applied to."""
        return Bindings(self._wrapped.bindings)

    def list(self) -> Sequence[FilterInfo]:
        """Every filter, the built-in ones too, ordered by name."""
        return self._loop.run(self._wrapped.list())

    def find(self, key: str) -> Filter:
        """The filter with this name or UUID; raises FilterNotFound."""
        return Filter(self._loop.run(self._wrapped.find(key)))

    def define(self, xml: str) -> Filter:
        """Keep a filter, or replace that of this name and UUID; cards that have it get the new rules at once.

        If these cannot be applied everywhere, nothing changes.
        """
        return Filter(self._loop.run(self._wrapped.define(xml)))


class Filter:
    """A network filter."""

    def __init__(self, wrapped: aio.Filter) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()
        self.uuid = wrapped.uuid
        self.name = wrapped.name

    def xml(self) -> str:
        """The document."""
        return self._loop.run(self._wrapped.xml())

    def undefine(self) -> None:
        """Forget the filter.  Raises Busy while a binding or another filter uses it."""
        self._loop.run(self._wrapped.undefine())


class Bindings:
    """Filters that are applied, each named by the network device at the host's end of the card."""

    def __init__(self, wrapped: aio.Bindings) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def list(self) -> Sequence[BindingInfo]:
        """Every binding, ordered by device."""
        return self._loop.run(self._wrapped.list())

    def info(self, device: str) -> BindingInfo:
        """Raises BindingNotFound."""
        return self._loop.run(self._wrapped.info(device))

    def xml(self, device: str) -> str:
        """The document."""
        return self._loop.run(self._wrapped.xml(device))

    def create(self, xml: str) -> BindingInfo:
        """Apply a filter to a card: all of the rules or an error."""
        return self._loop.run(self._wrapped.create(xml))

    def delete(self, device: str) -> None:
        """Remove a card's rules."""
        self._loop.run(self._wrapped.delete(device))
