"""<redirdev>, <redirfilter> and <hub>: USB devices of a remote client, which of them may come in, and USB hubs.

Source: https://libvirt.org/formatdomain.html#redirected-devices
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.conf.domain.chardev import ChardevSource, ChardevType, Protocol
from vmherd.conf.domain.scalars import UpperHex2, UpperHex4, UsbVersion
from vmherd.util.xmlmodel import Element, YesNo, attr, child, children


class RedirBus(StrEnum):
    USB = "usb"


class Redirdev(Device, tag="redirdev"):
    bus: RedirBus = attr(default=RedirBus.USB, always=True)
    type: ChardevType = attr()
    sources: list[ChardevSource] = children()
    protocol: Protocol | None = child()


class RedirRule(Element, tag="usbdev"):
    """Allows or refuses devices; what is absent matches all."""

    device_class: UpperHex2 | None = attr("class")
    vendor: UpperHex4 | None = attr()
    product: UpperHex4 | None = attr()
    version: UsbVersion | None = attr()
    allow: YesNo = attr()


class Redirfilter(Element, tag="redirfilter"):
    rules: list[RedirRule] = children()


class HubType(StrEnum):
    USB = "usb"


class Hub(Device, tag="hub"):
    type: HubType = attr()
