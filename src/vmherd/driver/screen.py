"""The screen, the keyboard, the displays and the channels of a guest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from vmherd.driver.base import Driver
from vmherd.driver.types import Console
from vmherd.util.keycodes import Codeset


class Screenshot(msgspec.Struct, frozen=True):
    """A whole picture of a screen; ``mime`` is such as image/png."""

    mime: str
    data: bytes


class Picture(Console, Protocol):
    """A picture that is read piece by piece; ``mime`` is such as image/png.  Nothing can be written."""

    mime: str


class ScreenOperations(Driver):
    """What a person at the machine sees and does."""

    async def domain_screenshot(self, uuid: str, *, screen: int = 0) -> Picture:
        """What the guest shows now: PNG where the hypervisor can, else PPM.

        Screens count from 0 through all graphics cards.  Raises InvalidState where there is no such screen.
        """
        self._unsupported("domain_screenshot")

    async def domain_send_keys(
        self, uuid: str, keys: Sequence[int], *, codeset: Codeset = Codeset.LINUX, hold: float = 0.0
    ) -> None:
        """Press keys together, at most 16, for ``hold`` seconds; 0 is the hypervisor's usual time.

        Raises NoSuchKey for a number that the set has not, InvalidArgument for too many or none.
        """
        self._unsupported("domain_send_keys")

    async def domain_send_signal(self, uuid: str, pid: int, number: int) -> None:
        """Send a signal to a process of the guest."""
        self._unsupported("domain_send_signal")

    async def domain_inject_nmi(self, uuid: str) -> None:
        """Interrupt the guest as the button for that on a server does."""
        self._unsupported("domain_inject_nmi")

    async def domain_channel(self, uuid: str, *, name: str = "", force: bool = False) -> Console:
        """Open a channel by the alias or the name its port has in the guest; without one, the first.

        Raises Busy if somebody has it, unless ``force`` takes it from them.
        """
        self._unsupported("domain_channel")

    async def domain_open_graphics(self, uuid: str, index: int, fd: int, *, skip_auth: bool = False) -> None:
        """Serve a display, counted from 0, on a connected socket; ``fd`` stays the caller's to close.

        ``skip_auth`` asks whoever is there for no password.
        """
        self._unsupported("domain_open_graphics")

    async def domain_open_graphics_fd(self, uuid: str, index: int, *, skip_auth: bool = False) -> int:
        """As ``domain_open_graphics``, on a new pair of sockets: a descriptor of our end, the caller's to close."""
        self._unsupported("domain_open_graphics_fd")
