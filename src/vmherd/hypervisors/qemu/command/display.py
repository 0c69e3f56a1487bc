"""What a person sees and hears: audio backends, VNC, graphics cards, sound cards."""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.graphics import Graphics, GraphicsType, ListenType, SharePolicy
from vmherd.conf.domain.sound import Sound, SoundModel
from vmherd.conf.domain.video import Video, VideoModel, VideoType
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, virtio

_FIRST_PORT = 5900
_KIB = 1 << 10


def arguments(domain: Domain) -> list[str]:
    """The displays."""
    args: list[str] = []
    for graphics in domain.devices.graphics:
        args += _graphics(domain, graphics)
    return args


def _graphics(domain: Domain, graphics: Graphics) -> list[str]:
    match graphics.type:
        case GraphicsType.VNC:
            return ["-vnc", _vnc(domain, graphics)]
        case GraphicsType.EGL_HEADLESS:
            node = graphics.gl.rendernode if graphics.gl else None
            return ["-display", f"egl-headless,rendernode={node}" if node else "egl-headless"]
        case GraphicsType.SDL:
            return ["-display", "sdl"]
        case GraphicsType.DBUS if graphics.p2p:
            return ["-display", "dbus,p2p=on"]
    raise Unsupported(
        f"displays of type {str(graphics.type)!r} are not supported yet",
        place="domain/devices/graphics/@type",
        hint="use <graphics type='vnc'/>",
    )


def _vnc(domain: Domain, graphics: Graphics) -> str:
    listen = graphics.listens[0] if graphics.listens else None
    socket = graphics.socket or (listen.socket if listen and listen.type is ListenType.SOCKET else None)
    if listen and listen.type is ListenType.NONE:
        words = "none"
    elif socket:
        words = f"vnc=unix:{socket}"
    else:
        host = graphics.listen or "127.0.0.1"
        host = f"[{host}]" if ":" in host else host
        words = f"{host}:{(graphics.port or _FIRST_PORT) - _FIRST_PORT}"
        words += f",websocket={graphics.websocket}" if graphics.websocket else ""
    words += f",share={graphics.share_policy}" if isinstance(graphics.share_policy, SharePolicy) else ""
    words += ",password=on" if graphics.passwd is not None else ""
    words += ",power-control=on" if graphics.power_control else ""
    return words + _audio_of(domain, graphics)


def _audio_of(domain: Domain, graphics: Graphics) -> str:
    audios = domain.devices.audios
    chosen = graphics.audio.id if graphics.audio else audios[0].id if audios else None
    return f",audiodev=audio{chosen}" if chosen is not None else ""


#: (device as the primary card, device as a further one); None: there is no such.
_CARDS = {
    VideoType.VGA: ("VGA", "secondary-vga"),
    VideoType.CIRRUS: ("cirrus-vga", None),
    VideoType.VMVGA: ("vmware-svga", None),
    VideoType.QXL: ("qxl-vga", "qxl"),
    VideoType.VIRTIO: ("virtio-vga", "virtio-gpu-pci"),
    VideoType.BOCHS: ("bochs-display", "bochs-display"),
    VideoType.RAMFB: ("ramfb", None),
}


def videos(domain: Domain) -> list[str]:
    """Every graphics card."""
    args: list[str] = []
    for video in domain.devices.videos:
        if video.model and video.model.type is not VideoType.NONE:
            args += _video(domain, video, video.model)
    return args


def _video(domain: Domain, video: Video, model: VideoModel) -> list[str]:
    primary, further = _CARDS.get(model.type, (None, None))
    name = primary if model.primary else further
    if name is None:
        raise Unsupported(
            f"QEMU has no {'primary' if model.primary else 'further'} graphics card of type {str(model.type)!r}",
            place="domain/devices/video/model/@type",
            hint="use 'vga', 'qxl' or 'virtio'",
        )
    memory = _video_memory(model)
    screen = model.resolution
    size = {"xres": screen.x, "yres": screen.y} if screen else {}
    end: Properties = {"driver": name, **virtio(video.driver), "id": alias(video), **memory, **size}
    return device({**end, **bus(video, domain)})


def _video_memory(model: VideoModel) -> dict[str, object]:
    """Memory and screens, each in the unit that card wants."""
    mib = model.vram // _KIB if model.vram else None
    match model.type:
        case VideoType.QXL:
            return {
                "max_outputs": model.heads,
                "ram_size": (model.ram or 0) * _KIB,
                "vram_size": (model.vram or 0) * _KIB,
                "vram64_size_mb": (model.vram64 or 0) // _KIB,
                "vgamem_mb": (model.vgamem or 0) // _KIB,
            }
        case VideoType.VGA | VideoType.VMVGA:
            return {"vgamem_mb": mib}
        case VideoType.VIRTIO:
            return {"max_outputs": model.heads}
        case VideoType.BOCHS:
            return {"vgamem": (model.vram or 0) * _KIB}
    return {}


_SOUND_CARDS = {
    SoundModel.ES1370: "ES1370",
    SoundModel.AC97: "AC97",
    SoundModel.ICH6: "intel-hda",
    SoundModel.ICH9: "ich9-intel-hda",
    SoundModel.USB: "usb-audio",
    SoundModel.SB16: "sb16",
}


def sounds(domain: Domain) -> list[str]:
    """Every sound card; an HDA controller plays through a codec of its own."""
    args: list[str] = []
    for sound in domain.devices.sounds:
        driver = _SOUND_CARDS.get(sound.model)
        if driver is None:
            raise Unsupported(f"QEMU has no sound card {str(sound.model)!r}", place="domain/devices/sound/@model")
        is_hda = driver.endswith("intel-hda")
        backend = None if is_hda else _backend_of(domain, sound)
        args += device({"driver": driver, "id": alias(sound), "audiodev": backend, **bus(sound, domain)})
        args += _codecs(domain, sound) if is_hda else []
    return args


def _codecs(domain: Domain, sound: Sound) -> list[str]:
    kinds = [f"hda-{codec.type}" for codec in sound.codecs] or ["hda-duplex"]
    args: list[str] = []
    for number, kind in enumerate(kinds):
        place = {"id": f"{alias(sound)}-codec{number}", "bus": f"{alias(sound)}.0", "cad": number}
        args += device({"driver": kind, **place, "audiodev": _backend_of(domain, sound)})
    return args


def _backend_of(domain: Domain, sound: Sound) -> str | None:
    audios = domain.devices.audios
    chosen = sound.audio.id if sound.audio else audios[0].id if audios else None
    return None if chosen is None else f"audio{chosen}"
