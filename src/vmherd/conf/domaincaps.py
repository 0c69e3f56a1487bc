"""<domainCapabilities>: what one emulator offers guests of one machine type.

    parse(DomainCapabilities, text), render(DomainCapabilities(...))      with vmherd.util.xmlmodel

An absent element means that nothing is known of it.
Source: https://libvirt.org/formatdomaincaps.html and schemas/domaincaps.rng
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.cpu import CpuFeature, CpuModel, MaxPhysAddr
from vmherd.util.xmlmodel import Element, Size, UInt, YesNo, attr, child, children, leaf, text


class Choices(Element, tag="enum"):
    """The values that an attribute of the domain document may have here."""

    name: str = attr()
    values: list[str] = leaf("value")


class Support(Element):
    """Whether there is something at all, and in which forms."""

    supported: YesNo = attr()
    choices: list[Choices] = children()

    def of(self, name: str) -> list[str]:
        """The values listed for ``name``."""
        return next((each.values for each in self.choices if each.name == name), [])


class VcpuLimit(Element, tag="vcpu"):
    max: UInt = attr()


class LoaderSupport(Element, tag="loader"):
    supported: YesNo = attr()
    paths: list[str] = leaf("value")  # firmware on this host
    choices: list[Choices] = children()


class OsSupport(Support, tag="os"):
    loader: LoaderSupport | None = child()


class HostPassthrough(Support, tag="mode", when={"name": "host-passthrough"}):
    pass


class Maximum(Support, tag="mode", when={"name": "maximum"}):
    pass


class HostModel(Element, tag="mode", when={"name": "host-model"}):
    """The CPU that a guest gets who wants the host's."""

    supported: YesNo = attr()
    model: CpuModel | None = child()
    vendor: str | None = leaf()
    maxphysaddr: MaxPhysAddr | None = child()
    features: list[CpuFeature] = children()


class Usable(StrEnum):
    """Whether this host can run a guest with that CPU, as it is."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class NamedModel(Element, tag="model"):
    usable: Usable | None = attr()
    deprecated: YesNo | None = attr()
    vendor: str | None = attr()
    name: str = text()


class Custom(Element, tag="mode", when={"name": "custom"}):
    supported: YesNo = attr()
    models: list[NamedModel] = children()


class CpuSupport(Element, tag="cpu"):
    modes: list[HostPassthrough | Maximum | HostModel | Custom] = children()


class DeviceSupport(Element, tag="devices"):
    disk: Support | None = child("disk")
    graphics: Support | None = child("graphics")
    video: Support | None = child("video")
    hostdev: Support | None = child("hostdev")
    rng: Support | None = child("rng")
    filesystem: Support | None = child("filesystem")
    tpm: Support | None = child("tpm")
    redirdev: Support | None = child("redirdev")
    channel: Support | None = child("channel")
    crypto: Support | None = child("crypto")


class SevSupport(Element, tag="sev"):
    """AMD's memory encryption."""

    supported: YesNo = attr()
    cbitpos: UInt | None = leaf()
    reduced_phys_bits: UInt | None = leaf("reducedPhysBits")
    max_guests: UInt | None = leaf("maxGuests")
    max_es_guests: UInt | None = leaf("maxESGuests")
    cpu0_id: str | None = leaf("cpu0Id")


class SgxSection(Element, tag="section"):
    node: UInt = attr()
    size: Size = attr()


class SgxSupport(Element, tag="sgx"):
    """Intel's enclaves."""

    supported: YesNo = attr()
    flc: YesNo | None = leaf()
    sgx1: YesNo | None = leaf()
    sgx2: YesNo | None = leaf()
    section_size: Size | None = leaf()
    sections: list[SgxSection] = children(within="sections")


class FeatureSupport(Element, tag="features"):
    gic: Support | None = child("gic")
    vmcoreinfo: Support | None = child("vmcoreinfo")
    genid: Support | None = child("genid")
    backing_store_input: Support | None = child("backingStoreInput")
    backup: Support | None = child("backup")
    s390_pv: Support | None = child("s390-pv")
    sev: SevSupport | None = child()
    sgx: SgxSupport | None = child()
    hyperv: Support | None = child("hyperv")


class DomainCapabilities(Element, tag="domainCapabilities"):
    path: str | None = leaf()
    domain: str = leaf()
    machine: str | None = leaf()
    arch: str = leaf()
    vcpu: VcpuLimit | None = child()
    iothreads: Support | None = child("iothreads")
    os: OsSupport | None = child()
    cpu: CpuSupport | None = child()
    memory_backing: Support | None = child("memoryBacking")
    devices: DeviceSupport | None = child()
    features: FeatureSupport | None = child()
