"""Displays: how a person sees the guest's screen."""

from __future__ import annotations

from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.graphics import Graphics, GraphicsType
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command import spice, vnc
from vmherd.hypervisors.qemu.command.audio import audiodev
from vmherd.hypervisors.qemu.command.device import escape
from vmherd.hypervisors.qemu.command.launch import Launch

#: A D-Bus address.
_UNIX = "unix:path="


def arguments(domain: Domain, launch: Launch) -> list[str]:
    """Every display."""
    args: list[str] = []
    for graphics in domain.devices.graphics:
        args += _graphics(domain, graphics, launch)
    return args


def _graphics(domain: Domain, graphics: Graphics, launch: Launch) -> list[str]:
    match graphics.type:
        case GraphicsType.VNC:
            return vnc.arguments(domain, graphics, launch)
        case GraphicsType.SPICE:
            return spice.arguments(graphics, launch)
        case GraphicsType.EGL_HEADLESS:
            return ["-display", f"egl-headless{_rendernode(graphics)}"]
        case GraphicsType.SDL:
            return [*(["-full-screen"] if graphics.fullscreen else []), "-display", f"sdl{_gl(graphics)}"]
        case GraphicsType.DBUS:
            return ["-display", _dbus(domain, graphics, launch)]
    raise Unsupported(
        f"QEMU has no displays of type {str(graphics.type)!r}",
        place="domain/devices/graphics/@type",
        hint="use <graphics type='vnc'/>",
    )


def _gl(graphics: Graphics) -> str:
    enable = graphics.gl.enable if graphics.gl else None
    return "" if enable is None else f",gl={'on' if enable else 'off'}"


def _rendernode(graphics: Graphics) -> str:
    node = graphics.gl.rendernode if graphics.gl else None
    return f",rendernode={escape(node)}" if node else ""


def _dbus(domain: Domain, graphics: Graphics, launch: Launch) -> str:
    """Reached over a bus, or by a client to which we hand a connection."""
    address = graphics.address or ""
    if address.startswith(_UNIX):
        address = _UNIX + launch.reach(Path(address.removeprefix(_UNIX)))
    where = "p2p=on" if graphics.p2p else f"addr={escape(address)}"
    sound = audiodev(domain, graphics.audio) if graphics.audio else ""
    return f"dbus,{where}{_gl(graphics)}{_rendernode(graphics)}{sound}"
