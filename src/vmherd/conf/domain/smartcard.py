"""<smartcard>: a smart card reader.

Source: https://libvirt.org/formatdomain.html#smartcard-devices
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.conf.domain.chardev import ChardevSource, ChardevType, Protocol
from vmherd.util.xmlmodel import attr, child, children, leaf


class SmartcardMode(StrEnum):
    HOST = "host"
    HOST_CERTIFICATES = "host-certificates"
    PASSTHROUGH = "passthrough"


class Smartcard(Device, tag="smartcard"):
    """``type`` and ``sources`` are for passthrough, ``certificates`` and ``database`` for host certificates."""

    mode: SmartcardMode = attr()
    type: ChardevType | None = attr()
    sources: list[ChardevSource] = children()
    protocol: Protocol | None = child()
    certificates: list[str] = leaf("certificate")
    database: str | None = leaf()
