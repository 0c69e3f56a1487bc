"""The host's own network devices, and how they are configured.

Generated from aio/interfaces.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.api import aio, bridge
from vmherd.driver.interface import InterfaceInfo


class Interfaces:
    """The network devices of a host.

    Between ``begin`` and ``commit`` a mistake can be taken back with ``rollback``.
    """

    def __init__(self, wrapped: aio.Interfaces) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def list(self) -> Sequence[InterfaceInfo]:
        """Every interface, active or just configured, ordered by name."""
        return self._loop.run(self._wrapped.list())

    def find(self, name: str) -> HostInterface:
        """Raises InterfaceNotFound."""
        return HostInterface(self._loop.run(self._wrapped.find(name)))

    def by_mac(self, mac: str) -> HostInterface:
        """Raises InterfaceNotFound, and MultipleInterfaces where several have this address."""
        return HostInterface(self._loop.run(self._wrapped.by_mac(mac)))

    def define(self, xml: str) -> HostInterface:
        """Keep the configuration of an interface; it has effect when it starts."""
        return HostInterface(self._loop.run(self._wrapped.define(xml)))

    def begin(self) -> None:
        """Note every configuration, so that ``rollback`` can go back to it.  InvalidState if that was done."""
        self._loop.run(self._wrapped.begin())

    def commit(self) -> None:
        """Keep what was changed.  InvalidState if nothing was begun."""
        self._loop.run(self._wrapped.commit())

    def rollback(self) -> None:
        """Configure everything as it was when the change began, and start again what ran then."""
        self._loop.run(self._wrapped.rollback())


class HostInterface:
    """A network device of the host."""

    def __init__(self, wrapped: aio.HostInterface) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()
        self.name = wrapped.name

    def info(self) -> InterfaceInfo:
        """How it is now."""
        return self._loop.run(self._wrapped.info())

    def xml(self, *, inactive: bool = False) -> str:
        """The document: as it is now, or with ``inactive`` as it is configured."""
        return self._loop.run(self._wrapped.xml(inactive=inactive))

    def start(self) -> None:
        """Bring it up as it is configured."""
        self._loop.run(self._wrapped.start())

    def stop(self) -> None:
        """Take it down."""
        self._loop.run(self._wrapped.stop())

    def undefine(self) -> None:
        """Forget its configuration."""
        self._loop.run(self._wrapped.undefine())
