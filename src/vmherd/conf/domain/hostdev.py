"""<hostdev>: devices of the host handed to the guest.

Source: https://libvirt.org/formatdomain.html#host-device-assignment
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device, HostPciAddress
from vmherd.conf.domain.disk import DiskSgio
from vmherd.conf.domain.net import IpAddress, PassthroughDriver, Route, Teaming
from vmherd.conf.domain.storage import Auth, Initiator, StartupPolicy, StorageHost
from vmherd.util.xmlmodel import (
    Element,
    Hex4,
    Switch,
    UInt,
    ULong,
    Uuid,
    YesNo,
    attr,
    child,
    children,
    flag,
    leaf,
    variant,
)


class HostdevMode(StrEnum):
    SUBSYSTEM = "subsystem"
    CAPABILITIES = "capabilities"  # containers: a device file or network card


class HostdevType(StrEnum):
    USB = "usb"
    PCI = "pci"
    SCSI = "scsi"
    SCSI_HOST = "scsi_host"
    MDEV = "mdev"
    STORAGE = "storage"
    MISC = "misc"
    NET = "net"


class UsbId(Element, tag="vendor"):
    id: Hex4 = attr()


class HostUsbAddress(Element, tag="address"):
    bus: UInt = attr()
    device: UInt = attr()
    port: str | None = attr()


class GuestReset(StrEnum):
    """When the guest may reset the physical device."""

    OFF = "off"
    UNINITIALIZED = "uninitialized"
    ON = "on"


class UsbSource(Element, tag="source", json={"kind": "usb"}):
    startup_policy: StartupPolicy | None = attr("startupPolicy")
    guest_reset: GuestReset | None = attr("guestReset")
    missing: YesNo | None = attr()
    vendor: UsbId | None = child()
    product: UsbId | None = child("product")
    address: HostUsbAddress | None = child()


class PciSource(Element, tag="source", json={"kind": "pci"}):
    write_filtering: YesNo | None = attr("writeFiltering")
    address: HostPciAddress = child()


class ScsiAdapter(Element, tag="adapter"):
    name: str = attr()


class HostScsiAddress(Element, tag="address"):
    bus: UInt = attr()
    target: UInt = attr()
    unit: ULong = attr()


class ScsiSource(Element, tag="source", json={"kind": "scsi"}):
    """A local device by adapter and address, or (``protocol`` iscsi) one on a server."""

    protocol: str | None = attr()
    name: str | None = attr()
    adapter: ScsiAdapter | None = child()
    address: HostScsiAddress | None = child()
    hosts: list[StorageHost] = children()
    auth: Auth | None = child()
    initiator: Initiator | None = child()


class ScsiHostSource(Element, tag="source", json={"kind": "scsi_host"}):
    """A vhost-scsi target, by its World Wide Port Name."""

    protocol: str = attr()
    wwpn: str = attr()


class MdevAddress(Element, tag="address"):
    uuid: Uuid = attr()


class MdevSource(Element, tag="source", json={"kind": "mdev"}):
    address: MdevAddress = child()


class StorageSource(Element, tag="source", json={"kind": "storage"}):
    block: str = leaf()


class MiscSource(Element, tag="source", json={"kind": "misc"}):
    char: str = leaf()


class NetSource(Element, tag="source", json={"kind": "net"}):
    interface: str = leaf()


class MdevModel(StrEnum):
    VFIO_PCI = "vfio-pci"
    VFIO_CCW = "vfio-ccw"
    VFIO_AP = "vfio-ap"
    VIRTIO = "virtio"
    VIRTIO_TRANSITIONAL = "virtio-transitional"
    VIRTIO_NON_TRANSITIONAL = "virtio-non-transitional"


class Hostdev(Device, tag="hostdev"):
    """``model`` is for mediated devices and vhost-scsi; ``ips`` and ``routes`` for network cards of containers."""

    mode: HostdevMode = attr(default=HostdevMode.SUBSYSTEM, always=True)
    type: HostdevType = attr()
    managed: YesNo | None = attr()
    sgio: DiskSgio | None = attr()
    rawio: YesNo | None = attr()
    model: MdevModel | None = attr()
    display: Switch | None = attr()
    ramfb: Switch | None = attr()
    driver: PassthroughDriver | None = child()
    source: (
        UsbSource | PciSource | ScsiSource | ScsiHostSource | MdevSource | StorageSource | MiscSource | NetSource | None
    ) = variant(
        "type",
        {
            HostdevType.USB: UsbSource,
            HostdevType.PCI: PciSource,
            HostdevType.SCSI: ScsiSource,
            HostdevType.SCSI_HOST: ScsiHostSource,
            HostdevType.MDEV: MdevSource,
            HostdevType.STORAGE: StorageSource,
            HostdevType.MISC: MiscSource,
            HostdevType.NET: NetSource,
        },
    )
    ips: list[IpAddress] = children()
    routes: list[Route] = children()
    teaming: Teaming | None = child()
    readonly: bool = flag()
    shareable: bool = flag()
