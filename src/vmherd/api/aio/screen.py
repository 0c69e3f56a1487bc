"""The screen of a guest, as a person sits at it: what it shows, keys, displays."""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.screen import Screenshot
from vmherd.util.keycodes import Codeset, by_name


class Screen:
    """The screen of a guest, as a person sits at it: what it shows, keys, displays."""

    def __init__(self, driver: HypervisorDriver, uuid: str) -> None:
        self._driver = driver
        self._uuid = uuid

    async def picture(self, screen: int = 0) -> Screenshot:
        """What the guest shows now, as PNG where the hypervisor can, else as PPM.

        Screens count from 0 through all graphics cards.  Raises InvalidState where there is no such screen.
        """
        source = await self._driver.domain_screenshot(self._uuid, screen=screen)
        parts = []
        try:
            while part := await source.read():
                parts.append(part)
        finally:
            await source.close()
        return Screenshot(source.mime, b"".join(parts))

    async def press(self, keys: Sequence[str | int], *, codeset: Codeset = Codeset.LINUX, hold: float = 0.0) -> None:
        """Press keys together for ``hold`` seconds: names such as KEY_A, or numbers of ``codeset``.

        0 is the hypervisor's usual time.  Raises InvalidArgument for a name that is no key.
        """
        numbers = [by_name(key) if isinstance(key, str) else key for key in keys]
        await self._driver.domain_send_keys(self._uuid, numbers, codeset=codeset, hold=hold)

    async def interrupt(self) -> None:
        """Send a non-maskable interrupt, as the button for that on a server does."""
        await self._driver.domain_inject_nmi(self._uuid)

    async def serve(self, fd: int, *, display: int = 0, skip_auth: bool = False) -> None:
        """Serve a display on a connected socket; ``fd`` stays the caller's to close.

        ``skip_auth`` asks whoever is there for no password.
        """
        await self._driver.domain_open_graphics(self._uuid, display, fd, skip_auth=skip_auth)

    async def connect(self, *, display: int = 0, skip_auth: bool = False) -> int:
        """The descriptor of a socket that a display is served on, the caller's to close."""
        return await self._driver.domain_open_graphics_fd(self._uuid, display, skip_auth=skip_auth)
