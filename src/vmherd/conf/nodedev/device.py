"""<device>: one device of the host, by what it can do.

Source: https://libvirt.org/formatnode.html and src/conf/node_device_conf.c
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.nodedev.common import IommuGroup
from vmherd.conf.nodedev.kinds import (
    ApCard,
    ApMatrix,
    ApQueue,
    Ccw,
    Css,
    Drm,
    Mdev,
    Net,
    Removable,
    Scsi,
    ScsiGeneric,
    ScsiHost,
    ScsiTarget,
    Storage,
    System,
    UsbDevice,
    UsbInterface,
    Vdpa,
    VirtualPorts,
)
from vmherd.conf.nodedev.pci import Pci
from vmherd.conformance import Case
from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import Element, attr, child, children, leaf, parse, render, text

_BLOCK, _MEDIA_BLOCK = 512, 2048


class NodeKind(StrEnum):
    """The device's own file, or another name of it."""

    DEV = "dev"
    LINK = "link"


class Devnode(Element, tag="devnode"):
    type: NodeKind = attr()
    path: str = text()


class DriverOfHost(Element, tag="driver"):
    """The kernel's driver that has the device."""

    name: str = leaf()


class Device(Element, tag="device"):
    """A device; ``path`` is that in sysfs, ``parent`` the name of the device it is on."""

    name: str | None = leaf()
    path: str | None = leaf()
    devnodes: list[Devnode] = children()
    parent: str | None = leaf()
    driver: DriverOfHost | None = child()
    capability: (
        System
        | Pci
        | UsbDevice
        | UsbInterface
        | Net
        | ScsiHost
        | ScsiTarget
        | Scsi
        | Storage
        | ScsiGeneric
        | Drm
        | Mdev
        | Ccw
        | Css
        | Vdpa
        | ApCard
        | ApQueue
        | ApMatrix
        | None
    ) = child()


def parse_device(text_: str | bytes, *, new: bool = False) -> Device:
    """A device, with ``new`` one that is to be made.  Raises DocumentError, also for one that can do nothing.

    Source: virNodeDeviceDefParseXML
    """
    device = parse(Device, text_)
    match device.capability:
        case None:
            hint = "add a <capability> of a known type"
            raise DocumentError("no device capabilities", place="device/capability", hint=hint)
        case Mdev() as mdev if mdev.iommu_group is None:
            mdev.iommu_group = IommuGroup(number=0)
        case ScsiHost(host=None) if not new:
            raise DocumentError("no SCSI host ID supplied", place="device/capability/host", hint="add <host>")
        case ScsiHost() as host:
            for ports in host.capabilities:
                if isinstance(ports, VirtualPorts):
                    # libvirt reads the second number into the place of the first.
                    ports.most, ports.present = ports.present, 0
        case Storage() as storage:
            _complete_geometry(storage)
    return device


def _complete_geometry(storage: Storage) -> None:
    """Blocks where only bytes are told."""
    media = next((each for each in storage.capabilities if isinstance(each, Removable)), None)
    if media is None and storage.size is not None and storage.num_blocks is None:
        storage.logical_block_size, storage.num_blocks = _BLOCK, storage.size // _BLOCK
    elif media and media.media_available and media.num_blocks is None:
        media.logical_block_size, media.num_blocks = _MEDIA_BLOCK, media.media_size // _MEDIA_BLOCK


def conformance(case: Case) -> str:
    """A device read and written."""
    return render(parse_device(case.input))
