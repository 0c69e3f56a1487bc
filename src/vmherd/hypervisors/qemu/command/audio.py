"""Audio backends: where QEMU plays and records the guest's sound.

Source: qapi/audio.json of QEMU; times are in microseconds there as in the document.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.audio import Audio, AudioStream, AudioType
from vmherd.conf.domain.graphics import AudioRef
from vmherd.hypervisors.qemu.command.device import Properties, option

_DRIVERS = {AudioType.PULSEAUDIO: "pa", AudioType.FILE: "wav"}


def arguments(domain: Domain) -> list[str]:
    """Every backend, in document order."""
    args: list[str] = []
    for audio in domain.devices.audios:
        args += option("-audiodev", _backend(audio))
    return args


def _backend(audio: Audio) -> Properties:
    return {
        "id": f"audio{audio.id}",
        "driver": _DRIVERS.get(audio.type, str(audio.type)),
        "timer-period": audio.timer_period,
        "server": audio.server_name,
        "path": audio.path,
        "try-mmap": audio.try_mmap,
        "exclusive": audio.exclusive,
        "dsp-policy": audio.dsp_policy,
        "in": _stream(audio.input),
        "out": _stream(audio.output),
    }


def _stream(stream: AudioStream | None) -> Properties | None:
    if stream is None:
        return None
    settings = stream.settings
    found: Properties = {
        "mixing-engine": stream.mixing_engine,
        "fixed-settings": stream.fixed_settings,
        "voices": stream.voices,
        "buffer-length": stream.buffer_length,
        "frequency": settings.frequency if settings else None,
        "channels": settings.channels if settings else None,
        "format": str(settings.format) if settings and settings.format else None,
        "dev": stream.dev,
        "buffer-count": stream.buffer_count,
        "try-poll": stream.try_poll,
        "server-name": stream.server_name,
        "client-name": stream.client_name,
        "connect-ports": stream.connect_ports,
        "exact-name": stream.exact_name,
        "name": stream.name,
        "stream-name": stream.stream_name,
        "latency": stream.latency,
    }
    return {name: value for name, value in found.items() if value is not None} or None


def backend_of(domain: Domain, chosen: AudioRef | None) -> str | None:
    """The backend that a device names, or else the first; None where there is none."""
    audios = domain.devices.audios
    number = chosen.id if chosen else audios[0].id if audios else None
    return None if number is None else f"audio{number}"


def audiodev(domain: Domain, chosen: AudioRef | None) -> str:
    """The same as a word at the end of a display's option."""
    found = backend_of(domain, chosen)
    return f",audiodev={found}" if found else ""
