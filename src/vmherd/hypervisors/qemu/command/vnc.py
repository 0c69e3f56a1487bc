"""-vnc: a display for clients of the RFB protocol (RFC 6143).

Source: qemuBuildGraphicsVNCCommandLine of libvirt
"""

from __future__ import annotations

from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.graphics import Graphics, ListenType, SharePolicy
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command import tls
from vmherd.hypervisors.qemu.command.audio import audiodev
from vmherd.hypervisors.qemu.command.device import escape
from vmherd.hypervisors.qemu.command.launch import Launch

#: Of display 0.
FIRST_PORT = 5900
_LAST_PORT = 65535
_CREDENTIALS = "vnc-tls-creds0"


def arguments(domain: Domain, graphics: Graphics, launch: Launch) -> list[str]:
    """The display with its certificates."""
    config = launch.config.vnc
    words = _address(graphics, launch)
    words += f",websocket={graphics.websocket}" if graphics.websocket else ""
    words += f",share={graphics.share_policy}" if isinstance(graphics.share_policy, SharePolicy) else ""
    words += ",password=on" if graphics.passwd is not None or config.password is not None else ""
    words += f",tls-creds={_CREDENTIALS}" if config.tls else ""
    words += ",sasl=on" if config.sasl else ""
    if graphics.power_control is not None:
        words += f",power-control={'on' if graphics.power_control else 'off'}"
    credentials = tls.credentials(_CREDENTIALS, config, launch, listens=True, name=_CREDENTIALS) if config.tls else []
    keymap = ["-k", graphics.keymap] if graphics.keymap else []
    return [*credentials, "-vnc", words + audiodev(domain, graphics.audio), *keymap]


def _address(graphics: Graphics, launch: Launch) -> str:
    listen = graphics.listens[0]
    match listen.type:
        case ListenType.NONE:
            return "none"
        case ListenType.SOCKET:
            return f"vnc=unix:{escape(launch.reach(Path(listen.socket or '')))}"
    port = graphics.port or FIRST_PORT
    if not FIRST_PORT <= port <= _LAST_PORT:
        text = f"VNC ports are {FIRST_PORT} to {_LAST_PORT}, not {port}"
        raise Unsupported(text, place="domain/devices/graphics/@port", hint="leave it out to have one chosen")
    host = listen.address or ""
    return f"[{host}]:{port - FIRST_PORT}" if ":" in host else f"{host}:{port - FIRST_PORT}"
