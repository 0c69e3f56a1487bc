"""<input>: keyboards, mice and tablets.

Source: https://libvirt.org/formatdomain.html#input-devices
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device, VirtioDriver
from vmherd.util.xmlmodel import Element, Switch, attr, child


class InputType(StrEnum):
    MOUSE = "mouse"
    TABLET = "tablet"
    KEYBOARD = "keyboard"
    PASSTHROUGH = "passthrough"
    EVDEV = "evdev"


class InputBus(StrEnum):
    PS2 = "ps2"
    USB = "usb"
    XEN = "xen"
    PARALLELS = "parallels"
    VIRTIO = "virtio"
    NONE = "none"


class InputModel(StrEnum):
    VIRTIO = "virtio"
    VIRTIO_TRANSITIONAL = "virtio-transitional"
    VIRTIO_NON_TRANSITIONAL = "virtio-non-transitional"


class GrabToggle(StrEnum):
    """The keys that move an evdev device between host and guest."""

    CTRL_CTRL = "ctrl-ctrl"
    ALT_ALT = "alt-alt"
    SHIFT_SHIFT = "shift-shift"
    META_META = "meta-meta"
    SCROLLLOCK = "scrolllock"
    CTRL_SCROLLLOCK = "ctrl-scrolllock"


class InputSource(Element, tag="source"):
    """The host device: ``evdev`` for passthrough, ``dev`` for evdev."""

    evdev: str | None = attr()
    dev: str | None = attr()
    grab: str | None = attr()
    grab_toggle: GrabToggle | None = attr("grabToggle")
    repeat: Switch | None = attr()


class Input(Device, tag="input"):
    type: InputType = attr()
    bus: InputBus | None = attr()
    model: InputModel | None = attr()
    driver: VirtioDriver | None = child()
    source: InputSource | None = child()
