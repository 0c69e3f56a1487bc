"""PCI devices.  Source: udevProcessPCI of libvirt; PCI Express Base Specification, 7.5.3; pci_regs.h of Linux."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from vmherd.conf.domain.address import HostPciAddress
from vmherd.conf.nodedev.common import IommuGroup, MdevType, MdevTypes, Product, Vendor
from vmherd.conf.nodedev.pci import (
    CardbusBridge,
    Express,
    ExpressLink,
    NumaNode,
    Pci,
    PciBridge,
    PhysicalFunction,
    Validity,
    VirtualFunctions,
)
from vmherd.resources.nodedev import ids, vpd
from vmherd.resources.nodedev.sysfs import Node, names

_NAME = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])")
_STATUS, _HEADER_TYPE, _CAPABILITIES = 0x06, 0x0E, 0x34
_HAS_CAPABILITIES, _EXPRESS = 0x10, 0x10
#: Offsets in the Express capability, and the types of device that have no link: they are part of the root complex.
_LINK_CAPABLE, _LINK_STATUS, _NO_LINK = 0x0C, 0x12, (0x9, 0xA)
_SPEEDS = {1: "2.5", 2: "5", 3: "8", 4: "16", 5: "32", 6: "64"}
#: Vital product data are at most what 15 bits of address reach.
_VPD_MOST = 32768


def describe(node: Node) -> Pci | None:
    """None for what is no PCI device."""
    address = address_of(node.name)
    vendor, product = node.number("vendor", 16), node.number("device", 16)
    if address is None or vendor is None or product is None:
        return None
    told = ids.names("pci.ids", vendor, product)
    pci = Pci(
        class_code=node.number("class", 16),
        domain=address.domain,
        bus=address.bus,
        slot=address.slot,
        function=address.function,
        product=Product(id=product, name=told.product),
        vendor=Vendor(id=vendor, name=told.vendor),
        iommu_group=iommu_group(node),
    )
    node_number = node.number("numa_node")
    pci.numa = NumaNode(node=node_number) if node_number is not None and node_number >= 0 else None
    config = _config(node)
    pci.capabilities += _functions(node)
    pci.capabilities += _bridge(config)
    if types := mdev_types(node):
        pci.capabilities.append(types)
    if data := vpd.read(_vital(node)):
        pci.capabilities.append(data)
    pci.express = _express(config)
    return pci


@lru_cache(maxsize=8192)
def address_of(name: str) -> HostPciAddress | None:
    """The address in a name of sysfs such as 0000:00:1f.2; nobody changes it."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    domain, bus, slot, function = (int(part, 16) for part in match.groups())
    return HostPciAddress(domain=domain, bus=bus, slot=slot, function=function)


def iommu_group(node: Node) -> IommuGroup | None:
    """The group, with its PCI devices."""
    number = node.target("iommu_group")
    if not number.isdigit():
        return None
    found = (address_of(name) for name in names(node.path / "iommu_group/devices"))
    return IommuGroup(number=int(number), addresses=[each for each in found if each])


def mdev_types(node: Node) -> MdevTypes | None:
    """The kinds of mediated devices that can be made of a device."""
    types = []
    for name in names(node.path / "mdev_supported_types"):
        each = node.sysfs.node(node.path / "mdev_supported_types" / name)
        api, available = each.text("device_api"), each.number("available_instances")
        if api is not None and available is not None:
            types.append(MdevType(id=name, name=each.text("name"), device_api=api, available_instances=available))
    return MdevTypes(types=types) if types else None


def _functions(node: Node) -> Iterator[PhysicalFunction | VirtualFunctions]:
    """Of a card with virtual functions, and of such a function."""
    if owner := address_of(node.target("physfn")):
        yield PhysicalFunction(address=owner)
    most = node.number("sriov_totalvfs")
    virtual = sorted(
        (name for name in names(node.path) if re.fullmatch(r"virtfn\d+", name)), key=lambda name: int(name[6:])
    )
    if most or virtual:
        found = (address_of(node.target(name)) for name in virtual)
        yield VirtualFunctions(max_count=most, addresses=[each for each in found if each])


def _config(node: Node) -> bytes:
    """The configuration space; without rights only its first 64 bytes."""
    try:
        return (node.path / "config").read_bytes()
    except OSError:
        return b""


def _bridge(config: bytes) -> Iterator[PciBridge | CardbusBridge]:
    kind = config[_HEADER_TYPE] & 0x7F if len(config) > _HEADER_TYPE else 0
    if kind == 1:
        yield PciBridge()
    elif kind == 2:
        yield CardbusBridge()


def _express(config: bytes) -> Express | None:
    at = _capability(config, _EXPRESS)
    if at is None or len(config) < at + _LINK_STATUS + 2:
        return None
    if config[at + 2] >> 4 in _NO_LINK:
        return Express()
    capable = int.from_bytes(config[at + _LINK_CAPABLE : at + _LINK_CAPABLE + 4], "little")
    status = int.from_bytes(config[at + _LINK_STATUS : at + _LINK_STATUS + 2], "little")
    return Express(
        links=[
            ExpressLink(
                validity=Validity.CAPABLE,
                port=capable >> 24,
                speed=_SPEEDS.get(capable & 0xF),
                width=capable >> 4 & 0x3F,
            ),
            ExpressLink(validity=Validity.STATUS, speed=_SPEEDS.get(status & 0xF), width=status >> 4 & 0x3F),
        ]
    )


def _capability(config: bytes, wanted: int) -> int | None:
    """Where a capability begins: they are a list, each with its number and the place of the next."""
    if len(config) < 256 or not config[_STATUS] & _HAS_CAPABILITIES:
        return None
    at = config[_CAPABILITIES] & 0xFC
    for _ in range(48):  # as many as there is room for: a broken device may have a circle
        if at < 0x40:
            return None
        if config[at] == wanted:
            return at
        at = config[at + 1] & 0xFC
    return None


def _vital(node: Node) -> bytes:
    try:
        with open(node.path / "vpd", "rb") as file:
            return file.read(_VPD_MOST)
    except OSError:  # not there, or the device does not answer
        return b""
