"""<controller>: buses that disks, USB devices, PCI functions and serial ports attach to.

Source: https://libvirt.org/formatdomain.html#controllers
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.util.xmlmodel import Element, Hex, Size, Switch, UInt, attr, child, leaf


class ControllerType(StrEnum):
    IDE = "ide"
    FDC = "fdc"
    SCSI = "scsi"
    SATA = "sata"
    VIRTIO_SERIAL = "virtio-serial"
    CCID = "ccid"
    USB = "usb"
    PCI = "pci"
    XENBUS = "xenbus"
    ISA = "isa"


class PciModel(Element, tag="model"):
    """The device that implements a PCI controller, such as ``pcie-root-port``."""

    name: str = attr()


class ControllerTarget(Element, tag="target"):
    """What the guest can see of a PCI controller."""

    chassis_nr: UInt | None = attr("chassisNr")
    chassis: UInt | None = attr()
    port: Hex | None = attr()
    bus_nr: UInt | None = attr("busNr")
    index: UInt | None = attr()
    hotplug: Switch | None = attr()
    node: UInt | None = leaf()


class ControllerDriver(Element, tag="driver"):
    queues: UInt | None = attr()
    cmd_per_lun: UInt | None = attr()
    max_sectors: UInt | None = attr()
    ioeventfd: Switch | None = attr()
    iothread: UInt | None = attr()
    iommu: Switch | None = attr()
    ats: Switch | None = attr()
    packed: Switch | None = attr()
    page_per_vq: Switch | None = attr()


class Controller(Device, tag="controller"):
    """``model`` is one of the words of its type, such as ``virtio-scsi`` or ``pcie-root``."""

    type: ControllerType = attr()
    index: UInt | None = attr()
    model: str | None = attr()
    ports: UInt | None = attr()
    vectors: UInt | None = attr()
    max_grant_frames: UInt | None = attr("maxGrantFrames")
    max_event_channels: UInt | None = attr("maxEventChannels")
    pci_model: PciModel | None = child()
    target: ControllerTarget | None = child()
    driver: ControllerDriver | None = child()
    pcihole64: Size | None = leaf(last=True)
