"""What a PCI device can do."""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import HostPciAddress
from vmherd.conf.nodedev.common import IommuGroup, MdevTypes, Product, Vendor
from vmherd.util.xmlmodel import Element, Hex6, UInt, attr, child, children, leaf, text


class PhysicalFunction(Element, tag="capability", when={"type": "phys_function"}):
    """The device that this virtual function is of."""

    address: HostPciAddress = child()


class VirtualFunctions(Element, tag="capability", when={"type": "virt_functions"}):
    """The virtual functions it has now; ``max_count`` are possible."""

    max_count: UInt | None = attr("maxCount")
    addresses: list[HostPciAddress] = children()


class PciBridge(Element, tag="capability", when={"type": "pci-bridge"}):
    """It is a bridge to another bus."""


class CardbusBridge(Element, tag="capability", when={"type": "cardbus-bridge"}):
    """It is a bridge to a slot for cards."""


class Access(StrEnum):
    READ_ONLY = "readonly"
    READ_WRITE = "readwrite"


class VendorField(Element, tag="vendor_field"):
    index: str = attr()
    value: str = text()


class SystemField(Element, tag="system_field"):
    index: str = attr()
    value: str = text()


class VpdFields(Element, tag="fields"):
    """Of the vital product data: what the vendor wrote, or what the owner may write."""

    access: Access = attr()
    change_level: str | None = leaf("change_level")
    manufacture_id: str | None = leaf("manufacture_id")
    part_number: str | None = leaf("part_number")
    serial_number: str | None = leaf("serial_number")
    asset_tag: str | None = leaf("asset_tag")
    vendor_fields: list[VendorField] = children()
    system_fields: list[SystemField] = children()


class Vpd(Element, tag="capability", when={"type": "vpd"}):
    """Vital product data."""

    name: str | None = leaf()
    fields: list[VpdFields] = children()


class NumaNode(Element, tag="numa"):
    node: UInt = attr()


class Validity(StrEnum):
    """Whether a link could be so, or is."""

    CAPABLE = "cap"
    STATUS = "sta"


class ExpressLink(Element, tag="link"):
    """``speed`` in GT/s."""

    validity: Validity = attr()
    port: UInt | None = attr()
    speed: str | None = attr()
    width: UInt | None = attr()


class Express(Element, tag="pci-express"):
    links: list[ExpressLink] = children()


class Pci(Element, tag="capability", when={"type": "pci"}):
    """A PCI function; its address in decimal."""

    class_code: Hex6 | None = leaf("class")
    domain: UInt = leaf()
    bus: UInt = leaf()
    slot: UInt = leaf()
    function: UInt = leaf()
    product: Product | None = child()
    vendor: Vendor | None = child()
    capabilities: list[PhysicalFunction | VirtualFunctions | PciBridge | CardbusBridge | MdevTypes | Vpd] = children()
    iommu_group: IommuGroup | None = child()
    numa: NumaNode | None = child()
    express: Express | None = child()
