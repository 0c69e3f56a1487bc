"""Devices of a domain: attach, detach, change."""

from __future__ import annotations

from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.types import CURRENT, Scope


class Devices:
    """The devices of one domain.

    ``scope`` says what a change reaches: the running guest, its definition, or both, of which then either both change
    or none.  Without it, that is the running guest, or the definition of one that is shut off.
    """

    def __init__(self, driver: HypervisorDriver, uuid: str) -> None:
        self._driver = driver
        self._uuid = uuid

    async def attach(self, xml: str, scope: Scope = CURRENT) -> None:
        """Plug in the device that ``xml``, an element of <devices>, describes."""
        await self._driver.domain_attach_device(self._uuid, xml, scope)

    async def detach(self, xml: str, scope: Scope = CURRENT) -> None:
        """Take out the device that ``xml`` describes.

        A running guest has to agree; it may take its time, and an event tells when it has.
        """
        await self._driver.domain_detach_device(self._uuid, xml, scope)

    async def detach_alias(self, alias: str, scope: Scope = CURRENT) -> None:
        """Ask for the device of that name to be taken out; an event tells when it is gone."""
        await self._driver.domain_detach_device_alias(self._uuid, alias, scope)

    async def update(self, xml: str, scope: Scope = CURRENT, *, force: bool = False) -> None:
        """Change what can be changed of the device that ``xml`` describes anew; ``force`` opens a locked drive."""
        await self._driver.domain_update_device(self._uuid, xml, scope, force=force)
