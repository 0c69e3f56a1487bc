"""Where a host's memory, processors and caches are, and how caches and bandwidth can be shared out.

Source: virCapabilitiesHostNUMAFormat, virCapabilitiesFormatCaches and ...FormatMemoryBandwidth,
src/conf/capabilities.c of libvirt
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.cpu import Latency, MemoryRate, NumaCache, Sibling
from vmherd.util.xmlmodel import CpuSet, Element, Size, UInt, ULong, attr, child, children, leaf, scale, text

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def pretty(size: int) -> tuple[int, str]:
    """``size`` bytes in the largest unit that leaves no rest.  Source: virFormatIntPretty"""
    power = 0
    while size and size % 1024 == 0 and power < len(_UNITS) - 1:
        size, power = size // 1024, power + 1
    return size, _UNITS[power]


class Pages(Element, tag="pages"):
    """How many pages of one size a node has."""

    size: Size = attr()
    count: ULong = text()


class HostThread(Element, tag="cpu"):
    """One logical processor; ``siblings`` are those of the same core."""

    id: UInt = attr()
    socket_id: UInt | None = attr()
    die_id: UInt | None = attr()
    core_id: UInt | None = attr()
    siblings: CpuSet | None = attr()


class CellCpus(Element, tag="cpus"):
    num: UInt = attr()
    cpus: list[HostThread] = children()


class HostCell(Element, tag="cell"):
    """One NUMA node."""

    id: UInt = attr()
    memory: Size | None = leaf()
    pages: list[Pages] = children()
    distances: list[Sibling] = children(within="distances")
    caches: list[NumaCache] = children()
    cpus: CellCpus | None = child()


class Cells(Element, tag="cells"):
    num: UInt = attr()
    cells: list[HostCell] = children()


class HostTopology(Element, tag="topology"):
    cells: Cells = child()
    interconnects: list[Latency | MemoryRate] = children(within="interconnects")


class CacheKind(StrEnum):
    BOTH = "both"
    CODE = "code"
    DATA = "data"


class CacheControl(Element, tag="control"):
    """The cache can be given out in steps of ``granularity``, to so many groups at once."""

    granularity: ULong = attr()
    min: ULong | None = attr()
    unit: str = attr()
    type: CacheKind = attr()
    max_allocs: UInt = attr("maxAllocs")


class CacheBank(Element, tag="bank"):
    id: UInt = attr()
    level: UInt = attr()
    type: CacheKind = attr()
    size: ULong = attr()
    unit: str = attr()
    cpus: CpuSet = attr()
    controls: list[CacheControl] = children()

    @property
    def bytes(self) -> int:
        return self.size * scale(self.unit)


class MonitorFeature(Element, tag="feature"):
    name: str = attr()


class ResourceMonitor(Element, tag="monitor"):
    """What can be watched, by how many groups at once."""

    level: UInt | None = attr()
    reuse_threshold: UInt | None = attr("reuseThreshold")
    max_monitors: UInt = attr("maxMonitors")
    features: list[MonitorFeature] = children()


class HostCache(Element, tag="cache"):
    banks: list[CacheBank] = children()
    monitor: ResourceMonitor | None = child()


class BandwidthControl(Element, tag="control"):
    """In percent."""

    granularity: UInt = attr()
    min: UInt | None = attr()
    max_allocs: UInt = attr("maxAllocs")


class BandwidthNode(Element, tag="node"):
    id: UInt = attr()
    cpus: CpuSet = attr()
    controls: list[BandwidthControl] = children()


class MemoryBandwidth(Element, tag="memory_bandwidth"):
    nodes: list[BandwidthNode] = children()
    monitor: ResourceMonitor | None = child()
