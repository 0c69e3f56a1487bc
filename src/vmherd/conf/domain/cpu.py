"""<cpu>: the processor the guest sees, its topology and NUMA nodes.

Source: https://libvirt.org/formatdomain.html#cpu-model-and-topology
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.memdev import MemoryAccess
from vmherd.conf.domain.scalars import SizeInB
from vmherd.util.xmlmodel import (
    CpuSet,
    Element,
    Size,
    Switch,
    UInt,
    ULong,
    YesNo,
    attr,
    child,
    children,
    leaf,
    text,
)


class CpuMode(StrEnum):
    CUSTOM = "custom"
    HOST_MODEL = "host-model"
    HOST_PASSTHROUGH = "host-passthrough"
    MAXIMUM = "maximum"


class CpuMatch(StrEnum):
    MINIMUM = "minimum"
    EXACT = "exact"
    STRICT = "strict"


class CpuCheck(StrEnum):
    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"


class CpuFallback(StrEnum):
    """Whether a nearby model may stand in for one the hypervisor lacks."""

    ALLOW = "allow"
    FORBID = "forbid"


class CpuModel(Element, tag="model"):
    fallback: CpuFallback | None = attr()
    vendor_id: str | None = attr()
    name: str = text(default="")


class CpuTopology(Element, tag="topology"):
    sockets: UInt = attr()
    dies: UInt = attr(default=1, always=True)
    cores: UInt = attr()
    threads: UInt = attr()


class CacheMode(StrEnum):
    EMULATE = "emulate"
    PASSTHROUGH = "passthrough"
    DISABLE = "disable"


class CpuCache(Element, tag="cache"):
    level: UInt | None = attr()
    mode: CacheMode = attr()


class AddressMode(StrEnum):
    EMULATE = "emulate"
    PASSTHROUGH = "passthrough"


class MaxPhysAddr(Element, tag="maxphysaddr"):
    """How many bits of physical address the guest has."""

    mode: AddressMode = attr()
    bits: UInt | None = attr()


class FeaturePolicy(StrEnum):
    FORCE = "force"
    REQUIRE = "require"
    OPTIONAL = "optional"
    DISABLE = "disable"
    FORBID = "forbid"


class CpuFeature(Element, tag="feature"):
    policy: FeaturePolicy | None = attr()
    name: str = attr()


class Sibling(Element, tag="sibling"):
    id: UInt = attr()
    value: UInt = attr()


class CacheAssociativity(StrEnum):
    NONE = "none"
    DIRECT = "direct"
    FULL = "full"


class CachePolicy(StrEnum):
    NONE = "none"
    WRITEBACK = "writeback"
    WRITETHROUGH = "writethrough"


class CacheBytes(Element, tag="size"):
    value: Size = attr()


class CacheLine(Element, tag="line"):
    value: SizeInB = attr()


class NumaCache(Element, tag="cache"):
    level: UInt = attr()
    associativity: CacheAssociativity = attr()
    policy: CachePolicy = attr()
    size: CacheBytes = child()
    line: CacheLine = child()


class NumaCell(Element, tag="cell"):
    id: UInt | None = attr()
    cpus: CpuSet | None = attr()
    memory: Size = attr()
    mem_access: MemoryAccess | None = attr("memAccess")
    discard: YesNo | None = attr()
    distances: list[Sibling] = children(within="distances")
    caches: list[NumaCache] = children()


class AccessType(StrEnum):
    ACCESS = "access"
    READ = "read"
    WRITE = "write"


class Latency(Element, tag="latency", json={"kind": "latency"}):
    """``value`` is in nanoseconds."""

    initiator: UInt = attr()
    target: UInt = attr()
    cache: UInt | None = attr()
    type: AccessType = attr()
    value: ULong = attr()


class MemoryRate(Element, tag="bandwidth", json={"kind": "bandwidth"}):
    """Bytes per second, written as KiB."""

    initiator: UInt = attr()
    target: UInt = attr()
    cache: UInt | None = attr()
    type: AccessType = attr()
    value: Size = attr()


class CpuNuma(Element, tag="numa"):
    cells: list[NumaCell] = children()
    interconnects: list[Latency | MemoryRate] = children(within="interconnects")


class Cpu(Element, tag="cpu"):
    mode: CpuMode | None = attr()
    match: CpuMatch | None = attr()
    check: CpuCheck | None = attr()
    migratable: Switch | None = attr()
    model: CpuModel | None = child()
    vendor: str | None = leaf()
    topology: CpuTopology | None = child()
    cache: CpuCache | None = child()
    maxphysaddr: MaxPhysAddr | None = child()
    features: list[CpuFeature] = children()
    numa: CpuNuma | None = child()
