"""Virtual CPUs and I/O threads: how many, on which host CPUs, with what share of time and cache.

Source: https://libvirt.org/formatdomain.html#cpu-allocation and #cpu-tuning
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.scalars import CpuCount
from vmherd.util.xmlmodel import (
    CpuSet,
    Element,
    Int,
    Long,
    NaturalSize,
    UInt,
    ULong,
    YesNo,
    attr,
    child,
    children,
    leaf,
    text,
)


class Placement(StrEnum):
    STATIC = "static"
    AUTO = "auto"  # numad chooses


class Vcpu(Element, tag="vcpu"):
    """``count`` is the most the guest can have, ``current`` how many are online at boot (all when None)."""

    placement: Placement = attr(default=Placement.STATIC, always=True)
    cpuset: CpuSet | None = attr()
    current: UInt | None = attr()
    count: CpuCount = text(default=1, always=True)


class VcpuState(Element, tag="vcpu"):
    """One virtual CPU of <vcpus>."""

    id: UInt = attr()
    enabled: YesNo = attr()
    hotpluggable: YesNo | None = attr()
    order: UInt | None = attr()


class IoThread(Element, tag="iothread"):
    id: UInt = attr()
    thread_pool_min: Int | None = attr()
    thread_pool_max: Int | None = attr()


class DefaultIoThread(Element, tag="defaultiothread"):
    """The size of the main loop's thread pool."""

    thread_pool_min: Int | None = attr()
    thread_pool_max: Int | None = attr()


class VcpuPin(Element, tag="vcpupin"):
    vcpu: UInt = attr()
    cpuset: CpuSet = attr()


class EmulatorPin(Element, tag="emulatorpin"):
    cpuset: CpuSet = attr()


class IoThreadPin(Element, tag="iothreadpin"):
    iothread: UInt = attr()
    cpuset: CpuSet = attr()


class Scheduler(StrEnum):
    BATCH = "batch"
    IDLE = "idle"
    FIFO = "fifo"
    RR = "rr"


class VcpuSched(Element, tag="vcpusched"):
    vcpus: CpuSet = attr()
    scheduler: Scheduler = attr()
    priority: Int | None = attr()


class IoThreadSched(Element, tag="iothreadsched"):
    iothreads: CpuSet = attr()
    scheduler: Scheduler = attr()
    priority: Int | None = attr()


class EmulatorSched(Element, tag="emulatorsched"):
    scheduler: Scheduler = attr()
    priority: Int | None = attr()


class CacheType(StrEnum):
    BOTH = "both"
    CODE = "code"
    DATA = "data"


class CacheShare(Element, tag="cache"):
    id: UInt = attr()
    level: UInt = attr()
    type: CacheType = attr()
    size: NaturalSize = attr()


class CacheMonitor(Element, tag="monitor"):
    level: UInt = attr()
    vcpus: CpuSet = attr()


class CacheTune(Element, tag="cachetune"):
    """Parts of the host's cache reserved for some virtual CPUs."""

    vcpus: CpuSet = attr()
    id: str | None = attr()
    caches: list[CacheShare] = children()
    monitors: list[CacheMonitor] = children()


class MemoryBandwidth(Element, tag="node"):
    """Percent of a host node's memory bandwidth."""

    id: UInt = attr()
    bandwidth: UInt = attr()


class MemoryMonitor(Element, tag="monitor"):
    level: UInt = attr()
    vcpus: CpuSet = attr()


class MemoryTune(Element, tag="memorytune"):
    vcpus: CpuSet = attr()
    id: str | None = attr()
    nodes: list[MemoryBandwidth] = children()
    monitors: list[MemoryMonitor] = children()


class CpuTune(Element, tag="cputune"):
    """Shares are relative; periods and quotas are in microseconds, a quota of -1 is no limit."""

    shares: ULong | None = leaf()
    period: ULong | None = leaf()
    quota: Long | None = leaf()
    global_period: ULong | None = leaf()
    global_quota: Long | None = leaf()
    emulator_period: ULong | None = leaf()
    emulator_quota: Long | None = leaf()
    iothread_period: ULong | None = leaf()
    iothread_quota: Long | None = leaf()
    vcpupins: list[VcpuPin] = children()
    emulatorpin: EmulatorPin | None = child(alone=True)
    iothreadpins: list[IoThreadPin] = children()
    emulatorsched: EmulatorSched | None = child(alone=True)
    vcpuscheds: list[VcpuSched] = children()
    iothreadscheds: list[IoThreadSched] = children()
    cachetunes: list[CacheTune] = children()
    memorytunes: list[MemoryTune] = children()


class NumaMode(StrEnum):
    STRICT = "strict"
    PREFERRED = "preferred"
    INTERLEAVE = "interleave"
    RESTRICTIVE = "restrictive"


class NumaMemory(Element, tag="memory"):
    """The host nodes the guest's memory comes from."""

    mode: NumaMode | None = attr()
    nodeset: CpuSet | None = attr()
    placement: Placement | None = attr()


class NumaMemoryNode(Element, tag="memnode"):
    """The same for one node of the guest."""

    cellid: UInt = attr()
    mode: NumaMode | None = attr()
    nodeset: CpuSet = attr()


class NumaTune(Element, tag="numatune"):
    memory: NumaMemory | None = child()
    memnodes: list[NumaMemoryNode] = children()
