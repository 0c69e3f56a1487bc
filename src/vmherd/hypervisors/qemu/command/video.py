"""Graphics cards.

Source: qemuBuildDeviceVideoCmd of libvirt; memory in the unit that each card wants
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import PciAddress
from vmherd.conf.domain.video import Video, VideoModel, VideoType
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, virtio, virtio_name
from vmherd.hypervisors.qemu.command.launch import Launch

_KIB = 1 << 10

#: The card that firmware shows itself on.
_PRIMARY = {
    VideoType.VGA: "VGA",
    VideoType.CIRRUS: "cirrus-vga",
    VideoType.VMVGA: "vmware-svga",
    VideoType.QXL: "qxl-vga",
    VideoType.VIRTIO: "virtio-vga",
    VideoType.BOCHS: "bochs-display",
    VideoType.RAMFB: "ramfb",
}


def arguments(domain: Domain, caps: Capabilities, launch: Launch) -> list[str]:
    """Every graphics card, after the helper that renders for it."""
    args: list[str] = []
    for video in domain.devices.videos:
        if video.model and video.model.type is not VideoType.NONE:
            args += _card(domain, caps, launch, video, video.model)
    return args


def has_helper(video: Video) -> bool:
    """Whether a process of its own renders for this card."""
    return bool(video.driver and video.driver.name == "vhostuser")


def _card(domain: Domain, caps: Capabilities, launch: Launch, video: Video, model: VideoModel) -> list[str]:
    driver = _driver(caps, video, model)
    end: Properties = {"driver": driver, "id": alias(video), **_memory(model), **_size(model), "blob": model.blob}
    if "vga" not in driver:  # libvirt forgets the options of virtio on the card that firmware uses
        end |= virtio(video.driver)
    args: list[str] = []
    if has_helper(video):
        line = f"chr-vu-{alias(video)}"
        args = ["-chardev", f"socket,id={line},fd={launch.opener.gpu(video)}"]
        end["chardev"] = line
    return args + device({**end, **bus(video, domain)})


def _driver(caps: Capabilities, video: Video, model: VideoModel) -> str:
    if has_helper(video):
        vga = model.primary and "vhost-user-vga" in caps
        return "vhost-user-vga" if vga else virtio_name("vhost-user-gpu", None, video)
    renders = bool(model.acceleration and model.acceleration.accel3d)
    is_vga = model.primary and "virtio-vga" in caps and isinstance(video.address, PciAddress)
    if model.type is VideoType.VIRTIO and not is_vga:
        gl = renders and "virtio-gpu-gl-pci" in caps
        return virtio_name("virtio-gpu-gl" if gl else "virtio-gpu", None, video)
    if model.type is VideoType.VIRTIO and renders and "virtio-vga-gl" in caps:
        return "virtio-vga-gl"
    if model.type is VideoType.QXL and not model.primary:
        return "qxl"
    if model.type in _PRIMARY:
        return _PRIMARY[model.type]
    raise Unsupported(
        f"QEMU has no graphics card of type {str(model.type)!r}",
        place="domain/devices/video/model/@type",
        hint="use 'vga', 'qxl' or 'virtio'",
    )


def _size(model: VideoModel) -> Properties:
    screen = model.resolution
    return {"xres": screen.x, "yres": screen.y} if screen else {}


def _memory(model: VideoModel) -> Properties:
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
            return {"vgamem_mb": model.vram // _KIB if model.vram else None}
        case VideoType.VIRTIO:
            return {"max_outputs": model.heads}
        case VideoType.BOCHS:
            return {"vgamem": (model.vram or 0) * _KIB}
    return {}
