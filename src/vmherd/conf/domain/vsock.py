"""<vsock>: a socket between host and guest.

Source: https://libvirt.org/formatdomain.html#vsock
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device, VirtioDriver
from vmherd.util.xmlmodel import Element, UInt, YesNo, attr, child


class VsockModel(StrEnum):
    VIRTIO = "virtio"
    VIRTIO_TRANSITIONAL = "virtio-transitional"
    VIRTIO_NON_TRANSITIONAL = "virtio-non-transitional"


class ContextId(Element, tag="cid"):
    """The guest's address; ``auto`` lets the host choose one."""

    auto: YesNo | None = attr()
    address: UInt | None = attr()


class Vsock(Device, tag="vsock"):
    model: VsockModel | None = attr()
    cid: ContextId | None = child()
    driver: VirtioDriver | None = child(last=True)
