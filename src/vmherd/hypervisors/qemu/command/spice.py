"""-spice: a display for clients of the SPICE protocol.

Source: qemuBuildGraphicsSPICECommandLine of libvirt; spice options in QEMU's manual page
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vmherd.conf.domain.chardev import MouseMode
from vmherd.conf.domain.graphics import ChannelMode, ChannelName, Graphics, ListenType
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command.device import escape
from vmherd.hypervisors.qemu.command.launch import Launch
from vmherd.hypervisors.qemu.config import Display

_PLACE = "domain/devices/graphics"
_OPTIONS = {ChannelMode.SECURE: "tls-channel", ChannelMode.INSECURE: "plaintext-channel"}


def arguments(graphics: Graphics, launch: Launch) -> list[str]:
    """The display."""
    config = launch.config.spice
    words = [*_address(graphics, launch), *_access(graphics, config), *_channels(graphics, config)]
    words += [*_picture(graphics), *_agent(graphics), *_gl(graphics), "seamless-migration=on"]
    keymap = ["-k", graphics.keymap] if graphics.keymap else []
    return ["-spice", ",".join(words), *keymap]


def _address(graphics: Graphics, launch: Launch) -> Iterator[str]:
    listen = graphics.listens[0]
    if listen.type is ListenType.NONE:
        yield "port=0"  # QEMU wants some port; none is opened
    elif listen.type is ListenType.SOCKET:
        yield f"unix,addr={escape(launch.reach(Path(listen.socket or '')))}"
    else:
        plain, secure = (graphics.port or 0) > 0, _is_secure(graphics)
        if secure and not launch.config.spice.tls:
            text = "a port for TLS is told, and TLS is not set up"
            raise Unsupported(text, place=f"{_PLACE}/@tlsPort", hint="set tls in [spice] of qemu.toml")
        yield from [f"port={graphics.port}"] if plain else []
        yield from [f"tls-port={graphics.tls_port}"] if secure else []
        yield from [f"addr={listen.address}"] if listen.address and (plain or secure) else []


def _is_secure(graphics: Graphics) -> bool:
    on_network = graphics.listens[0].type in (ListenType.ADDRESS, ListenType.NETWORK)
    return on_network and (graphics.tls_port or 0) > 0


def _is_plain(graphics: Graphics) -> bool:
    on_network = graphics.listens[0].type in (ListenType.ADDRESS, ListenType.NETWORK)
    return not on_network or (graphics.port or 0) > 0


def _access(graphics: Graphics, config: Display) -> Iterator[str]:
    if config.sasl:
        yield "sasl=on"
    if graphics.mouse:
        yield f"agent-mouse={'on' if graphics.mouse.mode is MouseMode.CLIENT else 'off'}"
    if graphics.passwd is None and config.password is None:
        yield "disable-ticketing=on"  # the password itself is told by the monitor, where nobody else sees it
    if _is_secure(graphics):
        yield f"x509-dir={escape(config.tls_folder)}"


def _channels(graphics: Graphics, config: Display) -> Iterator[str]:
    """Which channels are encrypted and which are not; QEMU's own choice is either."""
    modes = {channel.name: channel.mode for channel in graphics.channels}
    told = [("default", graphics.default_mode), *((str(name), modes.get(name)) for name in ChannelName)]
    for name, mode in told:
        if mode is None or mode is ChannelMode.ANY:
            continue
        if not (_is_secure(graphics) if mode is ChannelMode.SECURE else _is_plain(graphics)):
            lacking = "tlsPort" if mode is ChannelMode.SECURE else "port"
            text = f"channel {name!r} shall be {mode}, and there is no such connection"
            raise Unsupported(text, place=f"{_PLACE}/channel", hint=f"add {lacking}='-1'")
        yield f"{_OPTIONS[mode]}={name}"


def _picture(graphics: Graphics) -> Iterator[str]:
    if graphics.image:
        yield f"image-compression={graphics.image.compression}"
    if graphics.jpeg:
        yield f"jpeg-wan-compression={graphics.jpeg.compression}"
    if graphics.zlib:
        yield f"zlib-glz-wan-compression={graphics.zlib.compression}"
    if graphics.playback:
        yield f"playback-compression={'on' if graphics.playback.compression else 'off'}"
    if graphics.streaming:
        yield f"streaming-video={graphics.streaming.mode}"


def _agent(graphics: Graphics) -> Iterator[str]:
    if graphics.clipboard and not graphics.clipboard.copypaste:
        yield "disable-copy-paste=on"
    if graphics.filetransfer and not graphics.filetransfer.enable:
        yield "disable-agent-file-xfer=on"


def _gl(graphics: Graphics) -> Iterator[str]:
    if graphics.gl and graphics.gl.enable:
        yield "gl=on"
        yield from [f"rendernode={escape(graphics.gl.rendernode)}"] if graphics.gl.rendernode else []
