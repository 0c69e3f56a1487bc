"""What a guest shows: its heads, pictures of them, and the displays that serve them.

Source: screendump and add_client in QEMU's qapi/ui.json and misc.json; qemuDomainScreenshot and
qemuDomainOpenGraphics of libvirt
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from vmherd.conf.domain import parse_domain
from vmherd.conf.domain.graphics import GraphicsType
from vmherd.errors import InvalidState
from vmherd.hypervisors.qemu.folders import PIDFILE
from vmherd.hypervisors.qemu.lines import NoSuchDevice
from vmherd.hypervisors.qemu.monitor import Monitor, Refused
from vmherd.util.files import on_host, own_like

#: Seconds that QEMU may need to write a picture.
_PATIENCE = 60.0


class FilePicture:
    """A picture in a file that has no name any more."""

    def __init__(self, fd: int, mime: str) -> None:
        self.mime = mime
        self._fd = fd

    async def read(self, size: int = 65536) -> bytes:
        return os.read(self._fd, size) if self._fd >= 0 else b""

    async def write(self, data: bytes) -> None:
        raise InvalidState("a picture of the screen is only read")

    async def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def head(xml: str, screen: int) -> dict[str, object]:
    """How QEMU is told which screen it is.  Raises InvalidState where there is none of that number."""
    videos = parse_domain(xml).devices.videos
    if not videos:
        raise InvalidState("no screens to take screenshot from", hint="give the guest a <video>")
    left = screen
    for video in videos:
        heads = (video.model.heads if video.model else None) or 1
        if left < heads and video.alias:
            return {"device": video.alias.name, "head": left} if screen else {}
        left -= heads
    raise InvalidState("no such screen ID", hint="they are counted from 0, through all graphics cards")


async def take(monitor: Monitor, folder: Path, head: dict[str, object]) -> FilePicture:
    """A picture of a screen; ``folder`` has it while QEMU writes it."""
    with on_host("take a picture of the screen"):
        fd, name = tempfile.mkstemp(prefix="screen-", dir=folder)
        own_like(name, folder / PIDFILE)  # QEMU opens it, whoever it runs as
    try:
        mime = await _write(monitor, {"filename": name, **head})
        with on_host("read the picture of the screen"):
            os.lseek(fd, 0, os.SEEK_SET)
        return FilePicture(fd, mime)
    except BaseException:
        os.close(fd)
        raise
    finally:
        with suppress(OSError):
            await asyncio.to_thread(os.unlink, name)


async def _write(monitor: Monitor, arguments: dict[str, object]) -> str:
    """Have QEMU write the picture, as PNG if it was built with that; what it is."""
    with suppress(Refused):
        await monitor.execute("screendump", {**arguments, "format": "png"}, patience=_PATIENCE)
        return "image/png"
    await monitor.execute("screendump", arguments, patience=_PATIENCE)
    return "image/x-portable-pixmap"


#: What QEMU calls the displays that it serves on a socket it is given.
_PROTOCOLS = {GraphicsType.VNC: "vnc", GraphicsType.SPICE: "spice", GraphicsType.DBUS: "@dbus-display"}


def protocol(xml: str, index: int) -> str:
    """What QEMU calls a display.  Raises NoSuchDevice for one that is none, or that takes no sockets."""
    graphics = parse_domain(xml).devices.graphics
    if index >= len(graphics):
        raise NoSuchDevice(f"No graphics backend with index {index}")
    found = graphics[index]
    if found.type not in _PROTOCOLS or (found.type is GraphicsType.DBUS and not found.p2p):
        raise NoSuchDevice(f"Can only open VNC, SPICE or D-Bus p2p graphics backends, not {found.type}")
    return _PROTOCOLS[found.type]
