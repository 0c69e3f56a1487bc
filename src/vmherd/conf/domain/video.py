"""<video>: graphics cards.

Source: https://libvirt.org/formatdomain.html#video-devices
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.util.xmlmodel import Element, Switch, UInt, YesNo, attr, child


class VideoType(StrEnum):
    DEFAULT = "default"
    VGA = "vga"
    CIRRUS = "cirrus"
    VMVGA = "vmvga"
    XEN = "xen"
    VBOX = "vbox"
    QXL = "qxl"
    PARALLELS = "parallels"
    VIRTIO = "virtio"
    GOP = "gop"
    NONE = "none"
    BOCHS = "bochs"
    RAMFB = "ramfb"


class VgaConf(StrEnum):
    """When bhyve shows the VGA registers to the guest."""

    IO = "io"
    ON = "on"
    OFF = "off"


class VideoDriver(Element, tag="driver"):
    name: str | None = attr()
    vgaconf: VgaConf | None = attr()
    iommu: Switch | None = attr()
    ats: Switch | None = attr()
    packed: Switch | None = attr()
    page_per_vq: Switch | None = attr()


class Acceleration(Element, tag="acceleration"):
    accel3d: YesNo | None = attr()
    accel2d: YesNo | None = attr()
    rendernode: str | None = attr()


class Resolution(Element, tag="resolution"):
    x: UInt = attr()
    y: UInt = attr()


class VideoModel(Element, tag="model"):
    """Memory sizes are in KiB, as in the document."""

    type: VideoType = attr()
    ram: UInt | None = attr()
    vram: UInt | None = attr()
    vram64: UInt | None = attr()
    vgamem: UInt | None = attr()
    heads: UInt | None = attr()
    primary: YesNo | None = attr()
    blob: Switch | None = attr()
    acceleration: Acceleration | None = child()
    resolution: Resolution | None = child()


class Video(Device, tag="video"):
    driver: VideoDriver | None = child()
    model: VideoModel | None = child()
