"""How much memory the guest has, what backs it and what limits it.

Source: https://libvirt.org/formatdomain.html#memory-allocation and the two chapters after it
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.memdev import MemoryAccess
from vmherd.util.xmlmodel import CpuSet, Element, Size, Switch, UInt, ULong, attr, child, children, flag, leaf, text


class MaxMemory(Element, tag="maxMemory"):
    """Up to where memory devices may grow the guest, and how many of them fit."""

    slots: UInt = attr()
    size: Size = text()


class Memory(Element, tag="memory"):
    """The memory the guest boots with."""

    dump_core: Switch | None = attr("dumpCore")
    size: Size = text(default=0, always=True)  # 0: the sum of the NUMA nodes


class HugePage(Element, tag="page"):
    """The page size for some guest nodes, or for all."""

    size: Size = attr()
    nodeset: CpuSet | None = attr()


class HugePages(Element, tag="hugepages"):
    """Without pages: the host's default size."""

    pages: list[HugePage] = children()


class BackingSourceType(StrEnum):
    FILE = "file"
    ANONYMOUS = "anonymous"
    MEMFD = "memfd"


class BackingSource(Element, tag="source"):
    type: BackingSourceType = attr()


class BackingAccess(Element, tag="access"):
    mode: MemoryAccess = attr()


class AllocationMode(StrEnum):
    IMMEDIATE = "immediate"
    ONDEMAND = "ondemand"


class Allocation(Element, tag="allocation"):
    mode: AllocationMode | None = attr()
    threads: UInt | None = attr()


class MemoryBacking(Element, tag="memoryBacking"):
    hugepages: HugePages | None = child()
    nosharepages: bool = flag()
    locked: bool = flag()
    source: BackingSource | None = child()
    access: BackingAccess | None = child()
    allocation: Allocation | None = child()
    discard: bool = flag()


class MemTune(Element, tag="memtune"):
    """Limits of the guest's cgroup."""

    hard_limit: Size | None = leaf()
    soft_limit: Size | None = leaf()
    min_guarantee: Size | None = leaf()
    swap_hard_limit: Size | None = leaf()


class BlkioDevice(Element, tag="device"):
    """Limits for one block device of the host."""

    path: str = leaf()
    weight: UInt | None = leaf()
    read_iops_sec: UInt | None = leaf()
    write_iops_sec: UInt | None = leaf()
    read_bytes_sec: ULong | None = leaf()
    write_bytes_sec: ULong | None = leaf()


class BlkioTune(Element, tag="blkiotune"):
    weight: UInt | None = leaf()
    devices: list[BlkioDevice] = children()
