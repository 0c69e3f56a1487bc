"""<cpu> of a host: what its processors are, in the words of CPU models.

Source: virCPUDefFormatBuf, src/conf/cpu_conf.c, and cputypes.rng of libvirt
"""

from __future__ import annotations

from vmherd.conf.domain.cpu import CpuTopology, MaxPhysAddr
from vmherd.util.xmlmodel import Element, Size, UInt, ULong, YesNo, attr, child, children, flag, leaf


class LegacyFeatures(Element, tag="features"):
    """The few a host told before there were CPU models; Xen still does."""

    pae: bool = flag()
    nonpae: bool = flag()
    vmx: bool = flag()
    svm: bool = flag()


class Microcode(Element, tag="microcode"):
    version: UInt = attr()


class Signature(Element, tag="signature"):
    """What CPUID leaf 1 says of an x86 CPU."""

    family: UInt = attr()
    model: UInt = attr()
    stepping: UInt = attr()


class Counter(Element, tag="counter"):
    """The time stamp counter; ``scaling`` is whether a guest can have another frequency."""

    name: str = attr()
    frequency: ULong = attr()  # Hz
    scaling: YesNo | None = attr()


class HostFeature(Element, tag="feature"):
    name: str = attr()


class PageSize(Element, tag="pages"):
    size: Size = attr()


class HostCpu(Element, tag="cpu"):
    """The host has the features of the model and those listed."""

    arch: str = leaf()
    legacy_features: LegacyFeatures | None = child()
    model: str | None = leaf()
    vendor: str | None = leaf()
    microcode: Microcode | None = child()
    signature: Signature | None = child()
    counter: Counter | None = child()
    topology: CpuTopology | None = child()
    maxphysaddr: MaxPhysAddr | None = child()
    features: list[HostFeature] = children()
    page_sizes: list[PageSize] = children()
