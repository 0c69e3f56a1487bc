"""What all drivers have in common: one open connection."""

from __future__ import annotations

from typing import NoReturn, Self

from vmherd.driver.uri import ConnectURI
from vmherd.errors import NotSupported, ReadOnly


class Driver:
    """One open connection.  What a driver does not override is not supported."""

    name = "hypervisor"

    def __init__(self, uri: ConnectURI, *, readonly: bool = False) -> None:
        self.uri = uri
        self.readonly = readonly

    @classmethod
    async def open(cls, uri: ConnectURI, *, readonly: bool = False) -> Self:
        """Connect.  Raises ConnectFailed with the reason."""
        return cls(uri, readonly=readonly)

    async def warm_up(self) -> None:
        """Load what the first calls would wait for; a program that stays does this when it has nothing else to do."""

    async def attend(self) -> None:
        """Look after guests whose keeper was killed; a program that stays asks for it now and then."""

    async def close(self) -> None:
        """Let go of everything this connection holds; guests run on."""

    def require_writable(self) -> None:
        """Raise ReadOnly on a connection opened read-only."""
        if self.readonly:
            raise ReadOnly("this connection is read-only", hint="connect without the read-only option")

    def _unsupported(self, operation: str) -> NoReturn:
        raise NotSupported(operation, self.name)
