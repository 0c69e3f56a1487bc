"""The screen of a guest, as a person sits at it: what it shows, keys, displays.

Generated from aio/screen.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.api import aio, bridge
from vmherd.driver.screen import Screenshot
from vmherd.util.keycodes import Codeset


class Screen:
    """The screen of a guest, as a person sits at it: what it shows, keys, displays."""

    def __init__(self, wrapped: aio.Screen) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def picture(self, screen: int = 0) -> Screenshot:
        """What the guest shows now, as PNG where the hypervisor can, else as PPM.

        Screens count from 0 through all graphics cards.  Raises InvalidState where there is no such screen.
        """
        return self._loop.run(self._wrapped.picture(screen))

    def press(self, keys: Sequence[str | int], *, codeset: Codeset = Codeset.LINUX, hold: float = 0.0) -> None:
        """Press keys together for ``hold`` seconds: names such as KEY_A, or numbers of ``codeset``.

        0 is the hypervisor's usual time.  Raises InvalidArgument for a name that is no key.
        """
        self._loop.run(self._wrapped.press(keys, codeset=codeset, hold=hold))

    def interrupt(self) -> None:
        """Send a non-maskable interrupt, as the button for that on a server does."""
        self._loop.run(self._wrapped.interrupt())

    def serve(self, fd: int, *, display: int = 0, skip_auth: bool = False) -> None:
        """Serve a display on a connected socket; ``fd`` stays the caller's to close.

        ``skip_auth`` asks whoever is there for no password.
        """
        self._loop.run(self._wrapped.serve(fd, display=display, skip_auth=skip_auth))

    def connect(self, *, display: int = 0, skip_auth: bool = False) -> int:
        """The descriptor of a socket that a display is served on, the caller's to close."""
        return self._loop.run(self._wrapped.connect(display=display, skip_auth=skip_auth))
