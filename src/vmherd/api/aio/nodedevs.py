"""The devices of a host, which form a tree."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from vmherd.api.resource import changing
from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.nodedev import DeviceInfo, NodeDeviceDriver
from vmherd.events import ResourceEvent


class HostDevices:
    """The devices of a host."""

    def __init__(self, driver: HypervisorDriver) -> None:
        self._driver = driver

    async def list(self) -> Sequence[DeviceInfo]:
        """Every device, ordered by name."""
        return await (await self._driver.resource(NodeDeviceDriver)).device_list()

    async def find(self, name: str) -> HostDevice:
        """Raises NodeDeviceNotFound."""
        return HostDevice(self._driver, await (await self._driver.resource(NodeDeviceDriver)).device_find(name))

    async def by_wwn(self, wwnn: str, wwpn: str) -> HostDevice:
        """The SCSI host with these names in the fabric; raises NodeDeviceNotFound."""
        devices = await self._driver.resource(NodeDeviceDriver)
        return HostDevice(self._driver, await devices.device_by_wwn(wwnn, wwpn))

    async def create(self, xml: str) -> HostDevice:
        """Make a device, such as a mediated one, that is gone when it is destroyed."""
        return HostDevice(self._driver, await (await changing(self._driver, NodeDeviceDriver)).device_create(xml))

    async def define(self, xml: str) -> HostDevice:
        """Keep the definition of a mediated device."""
        return HostDevice(self._driver, await (await changing(self._driver, NodeDeviceDriver)).device_define(xml))

    async def events(self, *wanted: type[ResourceEvent]) -> AsyncGenerator[ResourceEvent, None]:
        """The events of these classes, NodeDeviceEvent or NodeDeviceUpdateEvent, while the loop lasts."""
        devices = await self._driver.resource(NodeDeviceDriver)
        async with await devices.events(*wanted) as subscription:
            async for event in subscription:
                yield event


class HostDevice:
    """A device of a host."""

    def __init__(self, driver: HypervisorDriver, info: DeviceInfo) -> None:
        self._driver = driver
        self.name = info.name

    async def _changing(self) -> NodeDeviceDriver:
        return await changing(self._driver, NodeDeviceDriver)

    async def info(self) -> DeviceInfo:
        """Its place in the tree, and what it can do."""
        return await (await self._driver.resource(NodeDeviceDriver)).device_find(self.name)

    async def xml(self, *, inactive: bool = False) -> str:
        """The document, as the device is now, or with ``inactive`` as it is defined."""
        return await (await self._driver.resource(NodeDeviceDriver)).device_xml(self.name, inactive=inactive)

    async def detach(self, driver: str = "") -> None:
        """Take a PCI device from its driver for a guest to have; ``driver`` is by default vfio.

        Raises Busy while a guest has it.
        """
        await (await self._changing()).device_detach(self.name, driver)

    async def reattach(self) -> None:
        """Give a PCI device back to its driver.  Raises Busy while a guest has it."""
        await (await self._changing()).device_reattach(self.name)

    async def reset(self) -> None:
        """Reset a PCI device.  Raises Busy while a guest has it."""
        await (await self._changing()).device_reset(self.name)

    async def start(self) -> None:
        """Make a device that is defined."""
        await (await self._changing()).device_start(self.name)

    async def destroy(self) -> None:
        """Remove a device that was made."""
        await (await self._changing()).device_destroy(self.name)

    async def undefine(self) -> None:
        """Forget the definition of a mediated device."""
        await (await self._changing()).device_undefine(self.name)

    async def set_autostart(self, enabled: bool) -> None:
        """Make the device with its parent, or no more."""
        await (await self._changing()).device_set_autostart(self.name, enabled)
