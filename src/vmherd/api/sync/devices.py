"""Devices of a domain: attach, detach, change.

Generated from aio/devices.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from vmherd.api import aio, bridge
from vmherd.driver.types import CURRENT, Scope


class Devices:
    """The devices of one domain.

    ``scope`` says what a change reaches: the running guest, its definition, or both, of which then either both change
    or none.  Without it, that is the running guest, or the definition of one that is shut off.
    """

    def __init__(self, wrapped: aio.Devices) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def attach(self, xml: str, scope: Scope = CURRENT) -> None:
        """Plug in the device that ``xml``, an element of <devices>, describes."""
        self._loop.run(self._wrapped.attach(xml, scope))

    def detach(self, xml: str, scope: Scope = CURRENT) -> None:
        """Take out the device that ``xml`` describes.

        A running guest has to agree; it may take its time, and an event tells when it has.
        """
        self._loop.run(self._wrapped.detach(xml, scope))

    def detach_alias(self, alias: str, scope: Scope = CURRENT) -> None:
        """Ask for the device of that name to be taken out; an event tells when it is gone."""
        self._loop.run(self._wrapped.detach_alias(alias, scope))

    def update(self, xml: str, scope: Scope = CURRENT, *, force: bool = False) -> None:
        """Change what can be changed of the device that ``xml`` describes anew; ``force`` opens a locked drive."""
        self._loop.run(self._wrapped.update(xml, scope, force=force))
