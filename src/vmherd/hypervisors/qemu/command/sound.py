"""Sound cards; an HDA controller plays through codecs of its own."""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.sound import Sound, SoundModel
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command.audio import backend_of
from vmherd.hypervisors.qemu.command.device import alias, bus, device

_SOUND_CARDS = {
    SoundModel.ES1370: "ES1370",
    SoundModel.AC97: "AC97",
    SoundModel.ICH6: "intel-hda",
    SoundModel.ICH9: "ich9-intel-hda",
    SoundModel.USB: "usb-audio",
    SoundModel.SB16: "sb16",
}


def arguments(domain: Domain) -> list[str]:
    """Every sound card, with its codecs."""
    args: list[str] = []
    for sound in domain.devices.sounds:
        if sound.model is SoundModel.PCSPK:
            args += ["-soundhw", "pcspk"]
            continue
        driver = _SOUND_CARDS.get(sound.model)
        if driver is None:
            raise Unsupported(f"QEMU has no sound card {str(sound.model)!r}", place="domain/devices/sound/@model")
        is_hda = driver.endswith("intel-hda")
        backend = None if is_hda else backend_of(domain, sound.audio)
        args += device({"driver": driver, "id": alias(sound), "audiodev": backend, **bus(sound, domain)})
        args += _codecs(domain, sound) if is_hda else []
    return args


def _codecs(domain: Domain, sound: Sound) -> list[str]:
    kinds = [f"hda-{codec.type}" for codec in sound.codecs] or ["hda-duplex"]
    args: list[str] = []
    for number, kind in enumerate(kinds):
        place = {"id": f"{alias(sound)}-codec{number}", "bus": f"{alias(sound)}.0", "cad": number}
        args += device({"driver": kind, **place, "audiodev": backend_of(domain, sound.audio)})
    return args
