"""The interface driver API: the host's own network devices, and how they are configured.  They are named by name."""

from __future__ import annotations

import msgspec

from vmherd.driver.base import Driver


class InterfaceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An interface as lists show it; ``mac`` is "" where it has none."""

    name: str
    mac: str = ""
    active: bool = False


class InterfaceDriver(Driver):
    """Base of interface drivers."""

    name = "interface"

    async def interface_list(self) -> list[InterfaceInfo]:
        """Every interface, active or just configured, ordered by name."""
        self._unsupported("interface_list")

    async def interface_find(self, name: str) -> InterfaceInfo:
        """Raises InterfaceNotFound."""
        self._unsupported("interface_find")

    async def interface_by_mac(self, mac: str) -> InterfaceInfo:
        """Raises InterfaceNotFound, and MultipleInterfaces where several have this address."""
        self._unsupported("interface_by_mac")

    async def interface_xml(self, name: str, *, inactive: bool = False) -> str:
        """The document: as it is now, or with ``inactive`` as it is configured."""
        self._unsupported("interface_xml")

    async def interface_define(self, xml: str) -> InterfaceInfo:
        """Keep the configuration of an interface; it has effect when it starts."""
        self._unsupported("interface_define")

    async def interface_undefine(self, name: str) -> None:
        """Forget the configuration of an interface."""
        self._unsupported("interface_undefine")

    async def interface_start(self, name: str) -> None:
        """Bring an interface up as it is configured."""
        self._unsupported("interface_start")

    async def interface_stop(self, name: str) -> None:
        """Take an interface down."""
        self._unsupported("interface_stop")

    async def change_begin(self) -> None:
        """Note every configuration, so that ``change_rollback`` can go back to it.  InvalidState if that was done."""
        self._unsupported("change_begin")

    async def change_commit(self) -> None:
        """Keep what was changed.  InvalidState if nothing was begun."""
        self._unsupported("change_commit")

    async def change_rollback(self) -> None:
        """Configure everything as it was when the change began, and start again what ran then."""
        self._unsupported("change_rollback")
