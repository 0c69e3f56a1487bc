"""Virtual networks, and the ports of guests' cards in them.

Generated from aio/networks.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from vmherd.api import aio, bridge
from vmherd.driver.network import Lease, NetworkInfo, PortInfo, UpdateCommand, UpdateSection
from vmherd.driver.params import Params
from vmherd.driver.types import CURRENT, Scope
from vmherd.events import ResourceEvent


class Networks:
    """The virtual networks of a host."""

    def __init__(self, wrapped: aio.Networks) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def list(self) -> Sequence[NetworkInfo]:
        """A summary of every network, active or not, ordered by name."""
        return self._loop.run(self._wrapped.list())

    def find(self, key: str) -> Network:
        """The network with this name or UUID; raises NetworkNotFound."""
        return Network(self._loop.run(self._wrapped.find(key)))

    def validate(self, xml: str) -> str:
        """The document as ``define`` would keep it, completed, without keeping it."""
        return self._loop.run(self._wrapped.validate(xml))

    def define(self, xml: str) -> Network:
        """Keep a network, or replace the kept definition of the one with the same UUID and name."""
        return Network(self._loop.run(self._wrapped.define(xml)))

    def create(self, xml: str) -> Network:
        """Start a transient network: it is gone when it stops."""
        return Network(self._loop.run(self._wrapped.create(xml)))

    def events(self, *wanted: type[ResourceEvent]) -> Generator[ResourceEvent, None, None]:
        """What happens to networks while the loop lasts."""
        return self._loop.iterate(self._wrapped.events(*wanted))


class Network:
    """A virtual network that runs, or its definition, or both."""

    def __init__(self, wrapped: aio.Network) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()
        self.uuid = wrapped.uuid
        self.name = wrapped.name

    @property
    def ports(self) -> Ports:
        """The places that guests' cards have in it."""
        return Ports(self._wrapped.ports)

    def info(self) -> NetworkInfo:
        """How it is now."""
        return self._loop.run(self._wrapped.info())

    def xml(self, *, inactive: bool = False) -> str:
        """The document as it is now, or with ``inactive`` as it will start next time."""
        return self._loop.run(self._wrapped.xml(inactive=inactive))

    def start(self) -> None:
        """Make the bridge, the rules, the DHCP and DNS server; all of it or nothing."""
        self._loop.run(self._wrapped.start())

    def stop(self) -> None:
        """Remove what ``start`` made (libvirt: destroy).  Guests that run keep cards without a network."""
        self._loop.run(self._wrapped.stop())

    def undefine(self) -> None:
        """Forget the definition; an active network goes on until it stops."""
        self._loop.run(self._wrapped.undefine())

    def set_autostart(self, enabled: bool) -> None:
        """Start the network with the host, or no more."""
        self._loop.run(self._wrapped.set_autostart(enabled))

    def update(
        self, command: UpdateCommand, section: UpdateSection, xml: str, *, parent: int = -1, scope: Scope = CURRENT
    ) -> None:
        """Change a part of the network, also while it is active, without a restart.

        ``parent`` is which <ip> the section is in, -1 for the one that fits.
        """
        self._loop.run(self._wrapped.update(command, section, xml, parent=parent, scope=scope))

    def leases(self, mac: str = "") -> list[Lease]:
        """The addresses that are given away now, of one card if ``mac`` names it."""
        return self._loop.run(self._wrapped.leases(mac))


class Ports:
    """The ports of a network, each named by its UUID."""

    def __init__(self, wrapped: aio.Ports) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def list(self) -> Sequence[PortInfo]:
        """A summary of every port, ordered by UUID."""
        return self._loop.run(self._wrapped.list())

    def info(self, uuid: str) -> PortInfo:
        """Raises NetworkPortNotFound."""
        return self._loop.run(self._wrapped.info(uuid))

    def xml(self, uuid: str) -> str:
        """The document, which says how a card is plugged in (<plug>)."""
        return self._loop.run(self._wrapped.xml(uuid))

    def create(self, xml: str) -> PortInfo:
        """Find a place for a card in an active network, and keep it until it is deleted."""
        return self._loop.run(self._wrapped.create(xml))

    def delete(self, uuid: str) -> None:
        """Give the place back, with its bandwidth."""
        self._loop.run(self._wrapped.delete(uuid))

    def params(self, uuid: str) -> Params:
        """The bandwidth of a port, by libvirt's names ("inbound.average", ... in KiB/s)."""
        return self._loop.run(self._wrapped.params(uuid))

    def set_params(self, uuid: str, params: Params) -> None:
        """Change the bandwidth; what is not named stays."""
        self._loop.run(self._wrapped.set_params(uuid, params))
