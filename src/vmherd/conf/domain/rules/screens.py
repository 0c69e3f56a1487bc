"""Screens, graphics cards and sound: what belongs together is there once."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.graphics import GraphicsType
from vmherd.conf.domain.problem import Problem, duplicates, numbered
from vmherd.conf.domain.video import VideoModel, VideoType


def backends(domain: Domain) -> Iterator[Problem]:
    """Sound goes to a backend that is there."""
    devices = domain.devices
    ids = [(f"domain/devices/audio[{number}]/@id", each.id) for number, each in numbered(devices.audios)]
    yield from duplicates(ids, "audio backend {} is described twice")
    there = {each.id for each in devices.audios}
    users = [(f"sound[{number}]", each.audio) for number, each in numbered(devices.sounds)]
    users += [(f"graphics[{number}]", each.audio) for number, each in numbered(devices.graphics)]
    for name, wanted in users:
        if wanted and wanted.id not in there:
            place = f"domain/devices/{name}/audio/@id"
            yield Problem(place, f"there is no audio backend {wanted.id}", f"add <audio id='{wanted.id}' type=.../>")


def cards(domain: Domain) -> Iterator[Problem]:
    """Memory of a kind that only one card has, and pictures in the guest's memory, which only one can show."""
    for number, video in numbered(domain.devices.videos):
        if video.model:
            yield from _card(video.model, f"domain/devices/video[{number}]/model")


def _card(model: VideoModel, place: str) -> Iterator[Problem]:
    if model.type is not VideoType.QXL:
        for name in ("ram", "vram64", "vgamem"):
            if getattr(model, name) is not None:
                yield Problem(f"{place}/@{name}", "only qxl cards have it", "remove it")
    if model.blob is not None and model.type is not VideoType.VIRTIO:
        yield Problem(f"{place}/@blob", "only virtio cards have it", "remove it")


_LISTENING = (GraphicsType.VNC, GraphicsType.SPICE)
_LARGEST_PORT = 0xFFFF


def ports(domain: Domain) -> Iterator[Problem]:
    """A port is a number of 16 bits; -1 asks for one."""
    for number, graphics in numbered(domain.devices.graphics):
        if graphics.type not in _LISTENING:
            continue
        for name in ("port", "tls_port", "websocket"):
            port = getattr(graphics, name)
            if port is not None and not -1 <= port <= _LARGEST_PORT:
                place = f"domain/devices/graphics[{number}]/@{name.replace('tls_port', 'tlsPort')}"
                yield Problem(place, f"{port} is no port", "write -1 to have one chosen")


RULES = (backends, cards, ports)
