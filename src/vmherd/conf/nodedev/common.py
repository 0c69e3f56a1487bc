"""What several kinds of devices have."""

from __future__ import annotations

from vmherd.conf.domain.address import HostPciAddress
from vmherd.util.xmlmodel import Element, Hex4, UInt, attr, children, leaf, text


class Product(Element, tag="product"):
    """The number of a model, and its name where somebody knows it."""

    id: Hex4 | None = attr()
    name: str | None = text()


class Vendor(Element, tag="vendor"):
    id: Hex4 | None = attr()
    name: str | None = text()


class MdevType(Element, tag="type"):
    """A kind of mediated device that can be made here, and how many more of them."""

    id: str = attr()
    name: str | None = leaf()
    device_api: str = leaf("deviceAPI")
    available_instances: UInt = leaf("availableInstances")


class MdevTypes(Element, tag="capability", when={"type": "mdev_types"}):
    types: list[MdevType] = children()


class IommuGroup(Element, tag="iommuGroup"):
    """Devices that only one guest can have, together."""

    number: UInt = attr()
    addresses: list[HostPciAddress] = children()
