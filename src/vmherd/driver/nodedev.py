"""The node device driver API: the devices of the host, which form a tree.  They are named by name."""

from __future__ import annotations

import msgspec

from vmherd.driver.resource import ResourceDriver
from vmherd.events import ResourceEvent


class DeviceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A device as lists show it.

    ``capabilities`` are words such as "pci", "net", "scsi_host", "vports"; ``parent`` is "" for the root.
    """

    name: str
    parent: str = ""
    capabilities: tuple[str, ...] = ()
    active: bool = True
    persistent: bool = False
    autostart: bool = False


class NodeDeviceDriver(ResourceDriver[ResourceEvent]):
    """Base of node device drivers."""

    name = "nodedev"

    async def device_list(self) -> list[DeviceInfo]:
        """Every device, ordered by name."""
        self._unsupported("device_list")

    async def device_find(self, name: str) -> DeviceInfo:
        """Raises NodeDeviceNotFound."""
        self._unsupported("device_find")

    async def device_by_wwn(self, wwnn: str, wwpn: str) -> DeviceInfo:
        """The SCSI host with these names in the fabric; raises NodeDeviceNotFound."""
        self._unsupported("device_by_wwn")

    async def device_xml(self, name: str, *, inactive: bool = False) -> str:
        """The document, as the device is now, or with ``inactive`` as it is defined."""
        self._unsupported("device_xml")

    async def device_detach(self, name: str, driver: str = "") -> None:
        """Take a PCI device from its driver for a guest to have; ``driver`` is by default vfio.

        Raises InvalidState while a guest has it.
        """
        self._unsupported("device_detach")

    async def device_reattach(self, name: str) -> None:
        """Give a PCI device back to its driver.  Raises InvalidState while a guest has it."""
        self._unsupported("device_reattach")

    async def device_reset(self, name: str) -> None:
        """Reset a PCI device.  Raises InvalidState while a guest has it."""
        self._unsupported("device_reset")

    async def device_create(self, xml: str) -> DeviceInfo:
        """Make a device, such as a mediated one, that is gone when it is destroyed."""
        self._unsupported("device_create")

    async def device_destroy(self, name: str) -> None:
        """Remove a device that was made."""
        self._unsupported("device_destroy")

    async def device_define(self, xml: str) -> DeviceInfo:
        """Keep the definition of a mediated device."""
        self._unsupported("device_define")

    async def device_undefine(self, name: str) -> None:
        """Forget the definition of a mediated device."""
        self._unsupported("device_undefine")

    async def device_start(self, name: str) -> None:
        """Make a device that is defined."""
        self._unsupported("device_start")

    async def device_set_autostart(self, name: str, enabled: bool) -> None:
        """Make the device with its parent, or no more."""
        self._unsupported("device_set_autostart")
