"""Devices of a domain: attach, detach, change."""

from __future__ import annotations

from vmherd.driver.base import Driver
from vmherd.driver.types import CURRENT, Scope


class DeviceOperations(Driver):
    """Devices of a domain: attach, detach, change.

    A device is an element of <devices>, as XML text.  Each change is for the running guest, for its definition, or for
    both, of which then either both change or none.  All raise DocumentError for text that is no device, InvalidState
    where ``scope`` names what there is not, and OperationUnsupported for devices that stay as they are.
    """

    async def domain_attach_device(self, uuid: str, xml: str, scope: Scope = CURRENT) -> None:
        """Plug a device in.  Raises InvalidState where it is there already, HostError where the host lacks it."""
        self._unsupported("domain_attach_device")

    async def domain_detach_device(self, uuid: str, xml: str, scope: Scope = CURRENT) -> None:
        """Take out the device that is meant.

        A guest has to agree.  One that has not within 5 seconds may do so later: then the device stays in the document
        until it does, and an event tells.  Raises DeviceMissing where there is none, OperationFailed where the guest
        says no.
        """
        self._unsupported("domain_detach_device")

    async def domain_detach_device_alias(self, uuid: str, alias: str, scope: Scope = CURRENT) -> None:
        """Ask for the device of that name to be taken out; an event tells when a running guest has let it go."""
        self._unsupported("domain_detach_device_alias")

    async def domain_update_device(self, uuid: str, xml: str, scope: Scope = CURRENT, *, force: bool = False) -> None:
        """Change what can be changed of a device: the medium of a drive, a card's link, a screen's password, ...

        ``force`` opens a drive that the guest has locked.  Raises DeviceMissing, OperationUnsupported for the rest.
        """
        self._unsupported("domain_update_device")
