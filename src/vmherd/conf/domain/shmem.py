"""<shmem>: memory shared between guests.

Source: https://libvirt.org/formatdomain.html#shared-memory-device
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.conf.domain.scalars import SizeInM
from vmherd.util.xmlmodel import Element, Switch, UInt, attr, child, leaf


class ShmemModel(StrEnum):
    IVSHMEM = "ivshmem"
    IVSHMEM_PLAIN = "ivshmem-plain"
    IVSHMEM_DOORBELL = "ivshmem-doorbell"


class ShmemModelRef(Element, tag="model"):
    type: ShmemModel = attr()


class ShmemRole(StrEnum):
    MASTER = "master"
    PEER = "peer"


class ShmemServer(Element, tag="server"):
    """The ivshmem server's socket."""

    path: str | None = attr()


class ShmemMsi(Element, tag="msi"):
    vectors: UInt | None = attr()
    ioeventfd: Switch | None = attr()


class Shmem(Device, tag="shmem"):
    """Known to all that share it by its name; the size, in bytes, is a power of two."""

    name: str = attr()
    role: ShmemRole | None = attr()
    model: ShmemModelRef | None = child()
    size: SizeInM | None = leaf()
    server: ShmemServer | None = child()
    msi: ShmemMsi | None = child()
