"""<rng>: a source of randomness for the guest.

Source: https://libvirt.org/formatdomain.html#random-number-generator-device
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device, VirtioDriver
from vmherd.conf.domain.chardev import ChardevSource, ChardevType, Protocol
from vmherd.util.xmlmodel import Element, UInt, attr, child, children, text


class RngModel(StrEnum):
    VIRTIO = "virtio"
    VIRTIO_TRANSITIONAL = "virtio-transitional"
    VIRTIO_NON_TRANSITIONAL = "virtio-non-transitional"


class RngRate(Element, tag="rate"):
    """At most ``bytes`` in ``period`` milliseconds."""

    bytes: UInt = attr()
    period: UInt | None = attr()


class RandomBackend(Element, tag="backend", when={"model": "random"}):
    """A device file of the host; /dev/random when it is not named."""

    path: str = text(default="")


class EgdBackend(Element, tag="backend", when={"model": "egd"}):
    """An entropy gathering daemon at the other end of a character device."""

    type: ChardevType = attr()
    sources: list[ChardevSource] = children()
    protocol: Protocol | None = child()


class BuiltinBackend(Element, tag="backend", when={"model": "builtin"}):
    """The hypervisor's own generator."""


class Rng(Device, tag="rng"):
    model: RngModel = attr()
    rate: RngRate | None = child()
    backend: RandomBackend | EgdBackend | BuiltinBackend = child()
    driver: VirtioDriver | None = child()
