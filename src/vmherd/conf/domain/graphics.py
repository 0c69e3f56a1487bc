"""<graphics>: how a person sees the guest's screen.

Source: https://libvirt.org/formatdomain.html#graphical-framebuffers
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.chardev import MouseMode
from vmherd.util.xmlmodel import Element, Int, Switch, UInt, YesNo, attr, child, children


class GraphicsType(StrEnum):
    SDL = "sdl"
    VNC = "vnc"
    RDP = "rdp"
    DESKTOP = "desktop"
    SPICE = "spice"
    EGL_HEADLESS = "egl-headless"
    DBUS = "dbus"


class ListenType(StrEnum):
    ADDRESS = "address"
    NETWORK = "network"
    SOCKET = "socket"
    NONE = "none"


class Listen(Element, tag="listen"):
    type: ListenType = attr()
    address: str | None = attr()
    network: str | None = attr()
    socket: str | None = attr()


class SharePolicy(StrEnum):
    """Whether a second VNC client may join, or throws out the first."""

    ALLOW_EXCLUSIVE = "allow-exclusive"
    FORCE_SHARED = "force-shared"
    IGNORE = "ignore"


class OnPasswordChange(StrEnum):
    """What happens to clients that are connected when the password changes."""

    FAIL = "fail"
    DISCONNECT = "disconnect"
    KEEP = "keep"


class ChannelMode(StrEnum):
    ANY = "any"
    SECURE = "secure"
    INSECURE = "insecure"


class ChannelName(StrEnum):
    MAIN = "main"
    DISPLAY = "display"
    INPUTS = "inputs"
    CURSOR = "cursor"
    PLAYBACK = "playback"
    RECORD = "record"
    SMARTCARD = "smartcard"
    USBREDIR = "usbredir"


class SpiceChannel(Element, tag="channel"):
    name: ChannelName = attr()
    mode: ChannelMode = attr()


class ImageCompression(StrEnum):
    AUTO_GLZ = "auto_glz"
    AUTO_LZ = "auto_lz"
    QUIC = "quic"
    GLZ = "glz"
    LZ = "lz"
    OFF = "off"


class SpiceImage(Element, tag="image"):
    compression: ImageCompression = attr()


class LossyCompression(StrEnum):
    AUTO = "auto"
    NEVER = "never"
    ALWAYS = "always"


class SpiceCompression(Element, tag="jpeg"):
    """When JPEG or zlib compression is used over slow links."""

    compression: LossyCompression = attr()


class SpicePlayback(Element, tag="playback"):
    compression: Switch = attr()


class StreamingMode(StrEnum):
    FILTER = "filter"
    ALL = "all"
    OFF = "off"


class SpiceStreaming(Element, tag="streaming"):
    mode: StreamingMode = attr()


class SpiceMouse(Element, tag="mouse"):
    mode: MouseMode = attr()


class CopyPaste(Element, tag="clipboard"):
    copypaste: YesNo = attr()


class FileTransfer(Element, tag="filetransfer"):
    enable: YesNo = attr()


class Gl(Element, tag="gl"):
    enable: YesNo | None = attr()
    rendernode: str | None = attr()


class AudioRef(Element, tag="audio"):
    """The <audio> backend to use, by its id."""

    id: UInt = attr()


class Graphics(Element, tag="graphics"):
    """``passwd`` and ``passwd_valid_to`` are written only by ``render(..., secure=True)``."""

    type: GraphicsType = attr()
    socket: str | None = attr()
    port: Int | None = attr()
    tls_port: Int | None = attr("tlsPort")
    autoport: YesNo | None = attr()
    websocket: Int | None = attr()
    websocket_generated: YesNo | None = attr("websocketGenerated")
    p2p: YesNo | None = attr()
    address: str | None = attr()
    display: str | None = attr()
    xauth: str | None = attr()
    fullscreen: YesNo | None = attr()
    replace_user: YesNo | None = attr("replaceUser")
    multi_user: YesNo | None = attr("multiUser")
    listen: str | None = attr()  # the first listen address, repeated for old clients
    keymap: str | None = attr()
    share_policy: SharePolicy | None = attr("sharePolicy")
    power_control: YesNo | None = attr("powerControl")
    default_mode: ChannelMode | None = attr("defaultMode")
    passwd: str | None = attr()
    passwd_valid_to: str | None = attr("passwdValidTo")
    connected: OnPasswordChange | None = attr()
    listens: list[Listen] = children()
    audio: AudioRef | None = child()
    channels: list[SpiceChannel] = children()
    image: SpiceImage | None = child()
    jpeg: SpiceCompression | None = child()
    zlib: SpiceCompression | None = child("zlib")
    playback: SpicePlayback | None = child()
    streaming: SpiceStreaming | None = child()
    mouse: SpiceMouse | None = child()
    clipboard: CopyPaste | None = child()
    filetransfer: FileTransfer | None = child()
    gl: Gl | None = child()
