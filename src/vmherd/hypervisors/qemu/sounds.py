"""Where a guest's sound goes whose document does not say.

Source: qemuDomainDefAddDefaultAudioBackend of libvirt
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.audio import Audio, AudioType
from vmherd.conf.domain.graphics import GraphicsType
from vmherd.errors import HostError
from vmherd.hypervisors.qemu.config import Config

#: QEMU's own names, where they differ.
_NAMES = {"pa": AudioType.PULSEAUDIO, "wav": AudioType.FILE}


def add_backend(domain: Domain, config: Config) -> None:
    """A SPICE client plays the sound; of VNC, or without a screen, QEMU has to be told that nobody does.

    A window on the host, and others that the administrator lets, play by the backend of the daemon's environment.
    """
    devices = domain.devices
    if devices.audios:
        return
    chosen = None if devices.graphics else _without_display(config)
    for graphics in devices.graphics:
        match graphics.type:
            case GraphicsType.SPICE:
                chosen = Audio(id=1, type=AudioType.SPICE)
            case GraphicsType.VNC:
                chosen = _of_host(config) if config.vnc.host_audio else Audio(id=1, type=AudioType.NONE)
            case GraphicsType.SDL:
                chosen = _of_host(config)
    if chosen:
        devices.audios.append(chosen)


def _without_display(config: Config) -> Audio | None:
    return _of_host(config) if config.host_audio else Audio(id=1, type=AudioType.NONE)


def _of_host(config: Config) -> Audio | None:
    """What QEMU_AUDIO_DRV names; without it QEMU chooses."""
    name = config.audio_driver
    if not name:
        return None
    kind = _NAMES.get(name) or next((each for each in AudioType if each == name), None)
    if kind is None:
        raise HostError(f"QEMU_AUDIO_DRV={name} is no backend", hint=f"known: {', '.join(AudioType)}")
    driver = config.sdl_audio_driver or None if kind is AudioType.SDL else None
    return Audio(id=1, type=kind, driver=driver)
