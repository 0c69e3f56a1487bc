"""<memballoon>: the device that takes memory back from the guest.

Source: https://libvirt.org/formatdomain.html#memory-balloon-device
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device, VirtioDriver
from vmherd.util.xmlmodel import Element, Switch, UInt, attr, child


class MemballoonModel(StrEnum):
    VIRTIO = "virtio"
    XEN = "xen"
    NONE = "none"
    VIRTIO_TRANSITIONAL = "virtio-transitional"
    VIRTIO_NON_TRANSITIONAL = "virtio-non-transitional"


class BalloonStats(Element, tag="stats"):
    """How often the guest reports its memory use, in seconds."""

    period: UInt = attr()


class Memballoon(Device, tag="memballoon"):
    model: MemballoonModel = attr()
    autodeflate: Switch | None = attr()
    free_page_reporting: Switch | None = attr("freePageReporting")
    stats: BalloonStats | None = child()
    driver: VirtioDriver | None = child(last=True)
