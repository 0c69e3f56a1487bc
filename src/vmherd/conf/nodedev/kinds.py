"""What devices can do that are not on PCI."""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.interface import Link
from vmherd.conf.nodedev.common import IommuGroup, MdevTypes, Product, Vendor
from vmherd.util.xmlmodel import Element, Hex, Hex2, Hex4, UInt, ULong, Uuid, attr, child, children, leaf


class Hardware(Element, tag="hardware"):
    vendor: str | None = leaf()
    version: str | None = leaf()
    serial: str | None = leaf()
    uuid: Uuid | None = leaf()


class FirmwareOfHost(Element, tag="firmware"):
    vendor: str | None = leaf()
    version: str | None = leaf()
    release_date: str | None = leaf("release_date")


class System(Element, tag="capability", when={"type": "system"}):
    """The host itself."""

    product: str | None = leaf()
    hardware: Hardware | None = child()
    firmware: FirmwareOfHost | None = child()


class UsbDevice(Element, tag="capability", when={"type": "usb_device"}):
    bus: UInt = leaf()
    device: UInt = leaf()
    product: Product | None = child()
    vendor: Vendor | None = child()


class UsbInterface(Element, tag="capability", when={"type": "usb"}):
    """One function of a USB device, by the numbers of the USB specification."""

    number: UInt = leaf()
    class_code: UInt = leaf("class")
    subclass: UInt = leaf()
    protocol: UInt = leaf()
    description: str | None = leaf()


class Feature(Element, tag="feature"):
    """What a card does by itself."""

    name: str = attr()


class Ethernet(Element, tag="capability", when={"type": "80203"}):
    """By cable."""


class Wireless(Element, tag="capability", when={"type": "80211"}):
    """By radio."""


class Net(Element, tag="capability", when={"type": "net"}):
    interface: str = leaf()
    address: str | None = leaf()
    link: Link | None = child()
    features: list[Feature] = children()
    medium: Ethernet | Wireless | None = child()


class FibreChannel(Element, tag="capability", when={"type": "fc_host"}):
    wwnn: str | None = leaf()
    wwpn: str | None = leaf()
    fabric_wwn: str | None = leaf("fabric_wwn")


class VirtualPorts(Element, tag="capability", when={"type": "vport_ops"}):
    """Virtual ports can be made: ``most`` of them."""

    most: UInt = leaf("max_vports", default=0, always=True)
    present: UInt = leaf("vports", default=0, always=True)


class ScsiHost(Element, tag="capability", when={"type": "scsi_host"}):
    """``host`` is its number; one that is to be made has none."""

    host: UInt | None = leaf()
    unique_id: UInt | None = leaf("unique_id")
    capabilities: list[FibreChannel | VirtualPorts] = children()


class RemotePort(Element, tag="capability", when={"type": "fc_remote_port"}):
    rport: str | None = leaf()
    wwpn: str | None = leaf()


class ScsiTarget(Element, tag="capability", when={"type": "scsi_target"}):
    target: str = leaf()
    remote_port: RemotePort | None = child()


class Scsi(Element, tag="capability", when={"type": "scsi"}):
    host: UInt = leaf()
    bus: UInt = leaf()
    target: UInt = leaf()
    lun: UInt = leaf()
    kind: str | None = leaf("type")


class Removable(Element, tag="capability", when={"type": "removable"}):
    """A drive whose media can be changed; sizes in bytes."""

    media_available: UInt = leaf("media_available")
    media_size: ULong = leaf("media_size")
    media_label: str | None = leaf("media_label")
    logical_block_size: ULong | None = leaf("logical_block_size")
    num_blocks: ULong | None = leaf("num_blocks")


class Hotpluggable(Element, tag="capability", when={"type": "hotpluggable"}):
    """It can be taken out while the host runs."""


class Storage(Element, tag="capability", when={"type": "storage"}):
    """A disk or a drive; sizes in bytes."""

    block: str = leaf()
    bus: str | None = leaf()
    drive_type: str | None = leaf("drive_type")
    model: str | None = leaf()
    vendor: str | None = leaf()
    serial: str | None = leaf()
    size: ULong | None = leaf()
    logical_block_size: ULong | None = leaf("logical_block_size")
    num_blocks: ULong | None = leaf("num_blocks")
    capabilities: list[Removable | Hotpluggable] = children()


class ScsiGeneric(Element, tag="capability", when={"type": "scsi_generic"}):
    char: str = leaf()


class DrmType(StrEnum):
    PRIMARY = "primary"
    CONTROL = "control"
    RENDER = "render"


class Drm(Element, tag="capability", when={"type": "drm"}):
    kind: DrmType = leaf("type")


class MdevKind(Element, tag="type"):
    id: str = attr()


class MdevAttribute(Element, tag="attr"):
    name: str = attr()
    value: str = attr()


class Mdev(Element, tag="capability", when={"type": "mdev"}):
    """A mediated device."""

    kind: MdevKind = child()
    uuid: Uuid | None = leaf()
    parent_address: str | None = leaf("parent_addr")
    iommu_group: IommuGroup | None = child()
    attributes: list[MdevAttribute] = children()


class ChannelAddress(Element, tag="channel_dev_addr"):
    cssid: Hex = leaf()
    ssid: Hex = leaf()
    devno: Hex4 = leaf()


class Ccw(Element, tag="capability", when={"type": "ccw"}):
    """A channel device of IBM Z."""

    cssid: Hex = leaf()
    ssid: Hex = leaf()
    devno: Hex4 = leaf()


class Css(Element, tag="capability", when={"type": "css"}):
    """A subchannel of IBM Z."""

    cssid: Hex = leaf()
    ssid: Hex = leaf()
    devno: Hex4 = leaf()
    channel: ChannelAddress | None = child()
    mdev_types: MdevTypes | None = child()


class Vdpa(Element, tag="capability", when={"type": "vdpa"}):
    chardev: str | None = leaf()


class ApCard(Element, tag="capability", when={"type": "ap_card"}):
    """A cryptographic adapter of IBM Z."""

    adapter: Hex2 = leaf("ap-adapter")


class ApQueue(Element, tag="capability", when={"type": "ap_queue"}):
    adapter: Hex2 = leaf("ap-adapter")
    domain: Hex4 = leaf("ap-domain")


class ApMatrix(Element, tag="capability", when={"type": "ap_matrix"}):
    mdev_types: MdevTypes | None = child()
