"""<sound>: sound cards.

Source: https://libvirt.org/formatdomain.html#sound-devices
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.conf.domain.graphics import AudioRef
from vmherd.util.xmlmodel import Element, attr, child, children


class SoundModel(StrEnum):
    SB16 = "sb16"
    ES1370 = "es1370"
    PCSPK = "pcspk"
    AC97 = "ac97"
    ICH6 = "ich6"
    ICH9 = "ich9"
    USB = "usb"
    ICH7 = "ich7"


class CodecType(StrEnum):
    DUPLEX = "duplex"
    MICRO = "micro"
    OUTPUT = "output"


class SoundCodec(Element, tag="codec"):
    type: CodecType = attr()


class Sound(Device, tag="sound"):
    model: SoundModel = attr()
    codecs: list[SoundCodec] = children()
    audio: AudioRef | None = child()
