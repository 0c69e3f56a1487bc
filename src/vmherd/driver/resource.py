"""What the drivers of the things that guests need have in common: networks, storage, ..."""

from __future__ import annotations

from typing import Generic, TypeVar

from vmherd.driver.base import Driver
from vmherd.events import Event, Subscription

E = TypeVar("E", bound=Event)


class ResourceDriver(Driver, Generic[E]):
    """``name`` is also that of its entry point among ``vmherd.resources``."""

    async def events(self, *wanted: type[E]) -> Subscription[E]:
        """The events of these classes from now on; all where none is named."""
        self._unsupported("events")
