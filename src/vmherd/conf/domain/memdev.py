"""<memory> among the devices: memory modules that can be added and removed.

Source: https://libvirt.org/formatdomain.html#memory-devices
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.util.xmlmodel import CpuSet, Element, Hex, Size, UInt, Uuid, YesNo, attr, child, flag, leaf


class MemoryModel(StrEnum):
    DIMM = "dimm"
    NVDIMM = "nvdimm"
    VIRTIO_PMEM = "virtio-pmem"
    VIRTIO_MEM = "virtio-mem"
    SGX_EPC = "sgx-epc"


class MemoryAccess(StrEnum):
    SHARED = "shared"
    PRIVATE = "private"


class MemorySource(Element, tag="source"):
    """What backs the module: a file, or pages of some host nodes."""

    path: str | None = leaf()
    alignsize: Size | None = leaf()
    pmem: bool = flag()
    nodemask: CpuSet | None = leaf()
    pagesize: Size | None = leaf()


class NvdimmLabel(Element, tag="label"):
    """The label area of an NVDIMM."""

    size: Size = leaf()


class MemoryPlace(Element, tag="address"):
    base: Hex = attr()


class MemoryTarget(Element, tag="target"):
    size: Size = leaf()
    node: UInt | None = leaf()
    label: NvdimmLabel | None = child()
    readonly: bool = flag()
    block: Size | None = leaf()
    requested: Size | None = leaf()
    current: Size | None = leaf()
    address: MemoryPlace | None = child()


class MemoryDevice(Device, tag="memory"):
    model: MemoryModel = attr()
    access: MemoryAccess | None = attr()
    discard: YesNo | None = attr()
    uuid: Uuid | None = leaf()
    source: MemorySource | None = child()
    target: MemoryTarget = child()
