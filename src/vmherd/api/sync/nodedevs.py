"""The devices of a host, which form a tree.

Generated from aio/nodedevs.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from vmherd.api import aio, bridge
from vmherd.driver.nodedev import DeviceInfo
from vmherd.events import ResourceEvent


class HostDevices:
    """The devices of a host."""

    def __init__(self, wrapped: aio.HostDevices) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def list(self) -> Sequence[DeviceInfo]:
        """Every device, ordered by name."""
        return self._loop.run(self._wrapped.list())

    def find(self, name: str) -> HostDevice:
        """Raises NodeDeviceNotFound."""
        return HostDevice(self._loop.run(self._wrapped.find(name)))

    def by_wwn(self, wwnn: str, wwpn: str) -> HostDevice:
        """The SCSI host with these names in the fabric; raises NodeDeviceNotFound."""
        return HostDevice(self._loop.run(self._wrapped.by_wwn(wwnn, wwpn)))

    def create(self, xml: str) -> HostDevice:
        """Make a device, such as a mediated one, that is gone when it is destroyed."""
        return HostDevice(self._loop.run(self._wrapped.create(xml)))

    def define(self, xml: str) -> HostDevice:
        """Keep the definition of a mediated device."""
        return HostDevice(self._loop.run(self._wrapped.define(xml)))

    def events(self, *wanted: type[ResourceEvent]) -> Generator[ResourceEvent, None, None]:
        """The events of these classes, NodeDeviceEvent or NodeDeviceUpdateEvent, while the loop lasts."""
        return self._loop.iterate(self._wrapped.events(*wanted))


class HostDevice:
    """A device of a host."""

    def __init__(self, wrapped: aio.HostDevice) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()
        self.name = wrapped.name

    def info(self) -> DeviceInfo:
        """Its place in the tree, and what it can do."""
        return self._loop.run(self._wrapped.info())

    def xml(self, *, inactive: bool = False) -> str:
        """The document, as the device is now, or with ``inactive`` as it is defined."""
        return self._loop.run(self._wrapped.xml(inactive=inactive))

    def detach(self, driver: str = "") -> None:
        """Take a PCI device from its driver for a guest to have; ``driver`` is by default vfio.

        Raises Busy while a guest has it.
        """
        self._loop.run(self._wrapped.detach(driver))

    def reattach(self) -> None:
        """Give a PCI device back to its driver.  Raises Busy while a guest has it."""
        self._loop.run(self._wrapped.reattach())

    def reset(self) -> None:
        """Reset a PCI device.  Raises Busy while a guest has it."""
        self._loop.run(self._wrapped.reset())

    def start(self) -> None:
        """Make a device that is defined."""
        self._loop.run(self._wrapped.start())

    def destroy(self) -> None:
        """Remove a device that was made."""
        self._loop.run(self._wrapped.destroy())

    def undefine(self) -> None:
        """Forget the definition of a mediated device."""
        self._loop.run(self._wrapped.undefine())

    def set_autostart(self, enabled: bool) -> None:
        """Make the device with its parent, or no more."""
        self._loop.run(self._wrapped.set_autostart(enabled))
