"""The document itself: the host, and a <guest> for each kind of guest it runs."""

from __future__ import annotations

from vmherd.conf.capabilities.cpu import HostCpu
from vmherd.conf.capabilities.topology import HostCache, HostTopology, MemoryBandwidth
from vmherd.util.xmlmodel import (
    Element,
    Switch,
    UInt,
    Uuid,
    YesNo,
    attr,
    child,
    children,
    flag,
    leaf,
    text,
)


class PowerManagement(Element, tag="power_management"):
    """How the host can sleep; empty when it cannot, absent when that is not known."""

    suspend_mem: bool = flag()
    suspend_disk: bool = flag()
    suspend_hybrid: bool = flag()


class HostIommu(Element, tag="iommu"):
    support: YesNo | None = attr()


class Migration(Element, tag="migration_features"):
    live: bool = flag()
    transports: list[str] = leaf("uri_transport", within="uri_transports")


class BaseLabel(Element, tag="baselabel"):
    """The label a guest of one type gets unless its document says otherwise."""

    type: str = attr()
    label: str = text()


class SecurityModel(Element, tag="secmodel"):
    model: str = leaf()
    doi: str = leaf()
    baselabels: list[BaseLabel] = children()


class Host(Element, tag="host"):
    uuid: Uuid | None = leaf()
    cpu: HostCpu = child()
    power_management: PowerManagement | None = child()
    iommu: HostIommu | None = child()
    migration: Migration | None = child()
    netprefix: str | None = leaf()  # that of interfaces the driver makes
    topology: HostTopology | None = child()
    cache: HostCache | None = child()
    memory_bandwidth: MemoryBandwidth | None = child()
    secmodels: list[SecurityModel] = children()


class Machine(Element, tag="machine"):
    """A machine type; ``canonical`` is the name it stands for, where it is an alias."""

    canonical: str | None = attr()
    max_cpus: UInt | None = attr("maxCpus")
    deprecated: YesNo | None = attr()
    name: str = text()


class GuestDomain(Element, tag="domain"):
    """A way to run guests: ``kvm``, ``qemu``, ...; the first listed is the best."""

    type: str = attr()
    emulator: str | None = leaf()  # where it is another than usual
    machines: list[Machine] = children()


class GuestArch(Element, tag="arch"):
    name: str = attr()
    wordsize: UInt = leaf()
    emulator: str | None = leaf()
    loader: str | None = leaf()
    machines: list[Machine] = children()
    domains: list[GuestDomain] = children()


class Toggle(Element):
    """Whether a guest has it unless told otherwise, and whether it can be told."""

    default: Switch = attr()
    toggle: YesNo = attr()


class GuestFeatures(Element, tag="features"):
    pae: bool = flag()
    nonpae: bool = flag()
    ia64_be: bool = flag()
    acpi: Toggle | None = child("acpi")
    apic: Toggle | None = child("apic")
    cpuselection: bool = flag()
    deviceboot: bool = flag()
    disksnapshot: Toggle | None = child("disksnapshot")
    hap: Toggle | None = child("hap")


class Guest(Element, tag="guest"):
    os_type: str = leaf()
    arch: GuestArch = child()
    features: GuestFeatures | None = child()


class HostCapabilities(Element, tag="capabilities"):
    host: Host = child()
    guests: list[Guest] = children()
