"""What a start writes into a document about displays: where each listens on this host, what it renders with.

Source: qemuProcessGraphicsSetupListen and qemuProcessGraphicsSetupRenderNode of libvirt
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.graphics import ChannelMode, ChannelName, Gl, Graphics, GraphicsType, Listen, ListenType
from vmherd.errors import HostError
from vmherd.hypervisors.qemu.config import Config, Display
from vmherd.hypervisors.qemu.host.ports import DISPLAYS, WEBSOCKETS


def complete(domain: Domain, config: Config, folder: Path, rendernode: Callable[[], str | None], bus: Path) -> None:
    """Where each display listens, and what it renders with.

    ``folder`` takes sockets that nobody named, ``bus`` is that of the guest's own D-Bus.  ``rendernode`` finds a
    graphics card of the host that renders; HostError if there is none and a display needs one.
    """
    settings = {GraphicsType.VNC: config.vnc, GraphicsType.SPICE: config.spice}
    for graphics in domain.devices.graphics:
        if graphics.type in settings:
            for listen in graphics.listens:
                _listen(graphics, listen, settings[graphics.type], folder / f"{graphics.type}.sock")
        if graphics.type is GraphicsType.DBUS and not graphics.p2p and not graphics.address:
            graphics.address = f"unix:path={bus}"
        if _renders(graphics) and not (graphics.gl and graphics.gl.rendernode):
            graphics.gl = graphics.gl or Gl()
            graphics.gl.rendernode = rendernode()
            if graphics.gl.rendernode is None:
                raise HostError("no graphics card of this host renders", hint="remove <gl enable='yes'/>")


def _listen(graphics: Graphics, listen: Listen, config: Display, socket: Path) -> None:
    if listen.type is ListenType.SOCKET:
        listen.socket = listen.socket or str(socket)
    elif listen.type is ListenType.NETWORK and not listen.address:
        raise HostError(f"network {listen.network!r} is not known here", hint="use <listen type='address'/>")
    elif listen.type is ListenType.ADDRESS and not listen.address:
        if config.auto_socket:
            listen.type, listen.socket = ListenType.SOCKET, str(socket)
        else:
            listen.address = config.listen
            graphics.listen = graphics.listen or config.listen


def _renders(graphics: Graphics) -> bool:
    """Whether it draws with a graphics card of the host.  Source: virDomainGraphicsNeedsAutoRenderNode"""
    if graphics.type is GraphicsType.EGL_HEADLESS:
        return True
    return graphics.type is GraphicsType.SPICE and bool(graphics.gl and graphics.gl.enable)


def forget_generated(domain: Domain, folder: str) -> None:
    """Drop sockets below ``folder`` that were made up for an earlier run; the next one makes up its own."""
    for graphics in domain.devices.graphics:
        if graphics.socket and _is_generated(graphics.socket, folder):
            graphics.socket = None
        for listen in graphics.listens:
            if listen.socket and _is_generated(listen.socket, folder):
                listen.socket = None


def _is_generated(path: str, folder: str) -> bool:
    return re.fullmatch(rf"{re.escape(folder)}/domain-[^/]+/(vnc|spice)\.sock", path) is not None


def rendernode() -> str | None:
    """The first graphics card of this host that we may render with."""
    nodes = sorted(Path("/dev/dri").glob("renderD*"))
    return next((str(node) for node in nodes if os.access(node, os.R_OK | os.W_OK)), None)


def choose_ports(domain: Domain, config: Config, reserve: Callable[[range, str], int]) -> None:
    """A free port for each display that shall have one chosen."""
    for graphics in domain.devices.graphics:
        if not graphics.listens or graphics.listens[0].type in (ListenType.SOCKET, ListenType.NONE):
            continue
        address = graphics.listens[0].address or "127.0.0.1"
        if graphics.type is GraphicsType.VNC:
            if graphics.autoport or graphics.port in (None, -1):
                graphics.port = reserve(DISPLAYS, address)
            if graphics.websocket == -1:
                graphics.websocket, graphics.websocket_generated = reserve(WEBSOCKETS, address), True
        elif graphics.type is GraphicsType.SPICE:
            plain, secure = _spice_ports(graphics, config.spice)
            graphics.port = reserve(DISPLAYS, address) if plain else graphics.port
            graphics.tls_port = reserve(DISPLAYS, address) if secure else graphics.tls_port


def _spice_ports(graphics: Graphics, config: Display) -> tuple[bool, bool]:
    """Whether a plain and an encrypted port are to be chosen: with autoport, those that some channel may use.

    Source: qemuProcessSPICEAllocatePorts of libvirt
    """
    plain, secure = graphics.port == -1, graphics.tls_port == -1
    if graphics.autoport:
        told = {channel.name: channel.mode for channel in graphics.channels}
        default = graphics.default_mode or ChannelMode.ANY
        modes = {default if (mode := told.get(name, default)) is ChannelMode.ANY else mode for name in ChannelName}
        plain |= bool(modes & {ChannelMode.ANY, ChannelMode.INSECURE})
        secure |= ChannelMode.SECURE in modes or (ChannelMode.ANY in modes and config.tls)
    if secure and not config.tls:
        raise HostError("a port for TLS shall be chosen, and TLS is not set up", hint="set tls in [spice] of qemu.toml")
    return plain, secure
