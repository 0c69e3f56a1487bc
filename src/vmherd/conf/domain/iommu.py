"""<iommu>: the guest's IOMMU.

Source: https://libvirt.org/formatdomain.html#iommu-devices
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.util.xmlmodel import Element, Switch, UInt, attr, child


class IommuModel(StrEnum):
    INTEL = "intel"
    SMMUV3 = "smmuv3"
    VIRTIO = "virtio"


class IommuDriver(Element, tag="driver"):
    intremap: Switch | None = attr()
    caching_mode: Switch | None = attr()
    eim: Switch | None = attr()
    iotlb: Switch | None = attr()
    aw_bits: UInt | None = attr()


class Iommu(Device, tag="iommu"):
    model: IommuModel = attr()
    driver: IommuDriver | None = child()
