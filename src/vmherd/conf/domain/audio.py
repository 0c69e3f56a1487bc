"""<audio>: where the host plays and records the guest's sound.

Source: https://libvirt.org/formatdomain.html#audio-backends
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.util.xmlmodel import Element, UInt, YesNo, attr, child


class AudioType(StrEnum):
    NONE = "none"
    ALSA = "alsa"
    COREAUDIO = "coreaudio"
    JACK = "jack"
    OSS = "oss"
    PULSEAUDIO = "pulseaudio"
    SDL = "sdl"
    SPICE = "spice"
    FILE = "file"
    DBUS = "dbus"


class AudioFormat(StrEnum):
    S8 = "s8"
    U8 = "u8"
    S16 = "s16"
    U16 = "u16"
    S32 = "s32"
    U32 = "u32"
    F32 = "f32"


class AudioSettings(Element, tag="settings"):
    frequency: UInt | None = attr()
    channels: UInt | None = attr()
    format: AudioFormat | None = attr()


class AudioStream(Element, tag="input"):
    """One direction.  Times are in microseconds; which attributes count depends on the backend."""

    mixing_engine: YesNo | None = attr("mixingEngine")
    fixed_settings: YesNo | None = attr("fixedSettings")
    voices: UInt | None = attr()
    buffer_length: UInt | None = attr("bufferLength")
    dev: str | None = attr()
    buffer_count: UInt | None = attr("bufferCount")
    try_poll: YesNo | None = attr("tryPoll")
    server_name: str | None = attr("serverName")
    client_name: str | None = attr("clientName")
    connect_ports: str | None = attr("connectPorts")
    exact_name: YesNo | None = attr("exactName")
    name: str | None = attr()
    stream_name: str | None = attr("streamName")
    latency: UInt | None = attr()
    settings: AudioSettings | None = child()


class Audio(Element, tag="audio"):
    """A backend; graphics and sound cards refer to its ``id``."""

    id: UInt = attr()
    type: AudioType = attr()
    timer_period: UInt | None = attr("timerPeriod")
    server_name: str | None = attr("serverName")
    driver: str | None = attr()
    path: str | None = attr()
    try_mmap: YesNo | None = attr("tryMMap")
    exclusive: YesNo | None = attr()
    dsp_policy: UInt | None = attr("dspPolicy")
    input: AudioStream | None = child()
    output: AudioStream | None = child("output")
