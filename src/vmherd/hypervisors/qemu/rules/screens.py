"""Screens and graphics cards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.graphics import Graphics, GraphicsType
from vmherd.conf.domain.problem import duplicates, numbered
from vmherd.conf.domain.sound import SoundModel
from vmherd.conf.domain.video import Video, VideoModel, VideoType

_FIRST_PORT = 5900
#: Bytes of the DES key that VNC makes of a password (RFC 6143, 7.2.2).
_PASSWORD = 8


def screens(domain: Domain) -> Iterator[Problem]:
    """Source: qemuValidateDomainDeviceDefGraphics and qemuValidateDomainDefGraphics of libvirt."""
    graphics = domain.devices.graphics
    kinds = [(f"domain/devices/graphics[{number}]/@type", each.type.value) for number, each in numbered(graphics)]
    yield from duplicates(kinds, "QEMU has one screen of type {}", "remove one")
    for number, each in numbered(graphics):
        place = f"domain/devices/graphics[{number}]"
        if each.type in (GraphicsType.RDP, GraphicsType.DESKTOP):
            yield Problem(f"{place}/@type", f"QEMU has no screens of type {str(each.type)!r}", "use 'vnc' or 'spice'")
        if each.type is GraphicsType.VNC:
            yield from _vnc(each, place)
        if each.type is GraphicsType.DBUS and each.p2p and each.address:
            yield Problem(f"{place}/@address", "peer to peer, there is no bus with an address", "remove p2p or address")
    spice = [each for each in graphics if each.type is GraphicsType.SPICE and each.gl and each.gl.enable]
    if spice and any(each.type is GraphicsType.EGL_HEADLESS for each in graphics):
        text = "SPICE with OpenGL and egl-headless both want the graphics card"
        yield Problem("domain/devices/graphics", text, "remove egl-headless, or <gl> of spice")


def _vnc(each: Graphics, place: str) -> Iterator[Problem]:
    if not each.autoport and each.port is not None and 0 <= each.port < _FIRST_PORT:
        yield Problem(f"{place}/@port", f"{each.port} is less than {_FIRST_PORT}, where VNC begins", "write port='-1'")
    if each.passwd and len(each.passwd) > _PASSWORD:
        text = f"VNC looks at {_PASSWORD} characters of a password, this has {len(each.passwd)}"
        yield Problem(f"{place}/@passwd", text, "shorten it")


_KNOWN = (
    VideoType.VGA,
    VideoType.CIRRUS,
    VideoType.VMVGA,
    VideoType.QXL,
    VideoType.VIRTIO,
    VideoType.BOCHS,
    VideoType.RAMFB,
    VideoType.NONE,
)
_SECOND = (VideoType.QXL, VideoType.VIRTIO)
_MIB = 1024


def cards(domain: Domain) -> Iterator[Problem]:
    """Source: qemuValidateDomainDeviceDefVideo of libvirt."""
    for number, video in numbered(domain.devices.videos):
        model, place = video.model, f"domain/devices/video[{number}]/model"
        if model is None:
            continue
        if model.type not in _KNOWN:
            yield Problem(f"{place}/@type", f"QEMU has no {model.type} card", "use 'virtio', 'vga' or 'qxl'")
        elif not model.primary and number > 1 and model.type not in _SECOND:
            yield Problem(f"{place}/@type", f"{model.type} can only be the first card", "use 'virtio' or 'qxl'")
        yield from _memory(model, place)
        yield from _acceleration(video, model, place)


def _memory(model: VideoModel, place: str) -> Iterator[Problem]:
    vgamem = model.vgamem if model.type is VideoType.QXL else None
    if vgamem is not None and (vgamem < _MIB or vgamem & (vgamem - 1)):
        yield Problem(f"{place}/@vgamem", f"{vgamem} KiB are no power of two from {_MIB} on", "16384 is usual")
    if model.type in (VideoType.VGA, VideoType.VMVGA, VideoType.BOCHS) and model.vram is not None and model.vram < _MIB:
        yield Problem(f"{place}/@vram", f"{model.vram} KiB are less than {_MIB}", "16384 is usual")


def _acceleration(video: Video, model: VideoModel, place: str) -> Iterator[Problem]:
    served = bool(video.driver and video.driver.name == "vhostuser")
    if served and model.type is not VideoType.VIRTIO:
        yield Problem(f"{place}/@type", "another process can serve virtio cards only", "use type='virtio'")
    told = model.acceleration
    if told and told.accel2d:
        yield Problem(f"{place}/acceleration/@accel2d", "QEMU cannot accelerate it", "remove it")
    if told and told.accel3d and model.type is not VideoType.VIRTIO:
        yield Problem(f"{place}/acceleration/@accel3d", "only virtio cards accelerate it", "use type='virtio'")


def sounds(domain: Domain) -> Iterator[Problem]:
    for number, each in numbered(domain.devices.sounds):
        if each.model is SoundModel.ICH7:
            place = f"domain/devices/sound[{number}]/@model"
            yield Problem(place, "QEMU has no ich7", "use 'ich6' or 'ich9'")


def password_ends(domain: Domain) -> Iterator[Problem]:
    """A password's end is a time of day in UTC."""
    for number, graphics in numbered(domain.devices.graphics):
        try:
            datetime.fromisoformat(graphics.passwd_valid_to or "2000-01-01T00:00:00")
        except ValueError:
            place = f"domain/devices/graphics[{number}]/@passwdValidTo"
            yield Problem(place, f"{graphics.passwd_valid_to!r} is no time", "write it YYYY-MM-DDTHH:MM:SS, in UTC")


def framebuffers(domain: Domain) -> Iterator[Problem]:
    """A frame buffer in the guest's memory is on no bus."""
    for number, video in numbered(domain.devices.videos):
        if video.model and video.model.type is VideoType.RAMFB and video.address is not None:
            yield Problem(f"domain/devices/video[{number}]/address", "a ramfb is on no bus", "remove <address>")


RULES = (screens, password_ends, cards, framebuffers, sounds)
