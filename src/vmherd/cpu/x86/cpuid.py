"""What a CPU says of itself: from CPUID leaves and registers, or from the properties QEMU reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vmherd.cpu.x86.map import Register, Signature, x86_map
from vmherd.util.xmlmodel import Element, Hex8, attr, children, parse


class Leaf(Element, tag="cpuid"):
    """The answer to one CPUID question; a missing register is 0."""

    eax_in: Hex8 = attr()
    ecx_in: Hex8 = attr(default=0)
    eax: Hex8 = attr(default=0)
    ebx: Hex8 = attr(default=0)
    ecx: Hex8 = attr(default=0)
    edx: Hex8 = attr(default=0)


class Msr(Element, tag="msr"):
    index: Hex8 = attr()
    eax: Hex8 = attr(default=0)
    edx: Hex8 = attr(default=0)


class CpuidDocument(Element, tag="cpudata"):
    """Raw data of an x86 CPU, as libvirt writes it (virCPUDataFormat)."""

    arch: str | None = attr()
    leaves: list[Leaf] = children()
    msrs: list[Msr] = children()


@dataclass(frozen=True)
class CpuData:
    """What is known of a CPU; ``vendor`` is "" and ``signature`` None where they are not."""

    features: frozenset[str]
    vendor: str = ""
    signature: Signature | None = None


def from_document(text: str) -> CpuData:
    """Reads a ``<cpudata>`` document.  Raises DocumentError where it is none."""
    document = parse(CpuidDocument, text)
    registers: dict[Register, int] = {(msr.index,): msr.eax for msr in document.msrs}
    for leaf in document.leaves:
        for name in ("eax", "ebx", "ecx", "edx"):
            registers[leaf.eax_in, leaf.ecx_in, name] = getattr(leaf, name)
    return from_registers(registers)


def from_registers(registers: Mapping[Register, int]) -> CpuData:
    features = frozenset(
        name
        for register, bits in x86_map().bits.items()
        if (value := registers.get(register, 0))
        for bit, name in bits.items()
        if value >> bit & 1
    )
    leaf1 = registers.get((1, 0, "eax"), 0)
    return CpuData(features, _vendor(registers), signature_of(leaf1) if leaf1 else None)


def _vendor(registers: Mapping[Register, int]) -> str:
    words = [registers.get((0, 0, name), 0) for name in ("ebx", "edx", "ecx")]
    text = b"".join(word.to_bytes(4, "little") for word in words).decode("latin-1")
    return next((name for name, said in x86_map().vendors.items() if said == text), "")


def signature_of(eax: int) -> Signature:
    """Takes CPUID leaf 1's EAX apart: the extended family counts on from the family, the model's are its high bits."""
    family = (eax >> 20 & 0xFF) + (eax >> 8 & 0xF)
    model = (eax >> 12 & 0xF0) + (eax >> 4 & 0xF)
    return Signature(family, model, eax & 0xF)


def eax_of(signature: Signature) -> int:
    """The reverse of `signature_of`: a family beyond 15 needs the extended one."""
    base = min(signature.family, 0xF)
    extended = (signature.family - base) << 20 | (signature.model & 0xF0) << 12
    return extended | base << 8 | (signature.model & 0xF) << 4 | signature.stepping & 0xF


#: QEMU's names of features where libvirt has others; dashes for underscores go without saying.
_QEMU_NAMES = {"pclmuldq": "pclmulqdq", "tsc_adjust": "tsc-adjust"}
_UNDERSCORED = (
    "cmp_legacy", "ds_cpl", "fxsr_opt", "kvm_pv_eoi", "kvm_pv_unhalt", "lahf_lm", "nodeid_msr", "perfctr_core",
    "perfctr_nb",
)  # fmt: skip
_TO_QEMU = _QEMU_NAMES | {name: name.replace("_", "-") for name in _UNDERSCORED}
_FROM_QEMU = {theirs: ours for ours, theirs in _TO_QEMU.items()}


def qemu_name(feature: str) -> str:
    """QEMU's name of a feature.  Source: virQEMUCapsCPUFeaturesX86 of libvirt."""
    return _TO_QEMU.get(feature, feature)


def feature_name(qemu: str) -> str:
    """The name in documents of what QEMU calls ``qemu``."""
    return _FROM_QEMU.get(qemu, qemu)


def from_properties(properties: Mapping[str, object]) -> CpuData:
    """Reads the properties of a model that QEMU expanded (query-cpu-model-expansion)."""
    known = x86_map()
    names = {feature_name(name) for name, value in properties.items() if value is True}
    said = properties.get("vendor")
    vendor = next((name for name, text in known.vendors.items() if text == said), "")
    parts = [properties.get(name) for name in ("family", "model", "stepping")]
    family, model, stepping = (part if isinstance(part, int) else 0 for part in parts)
    signature = Signature(family, model, stepping) if family else None
    return CpuData(frozenset(name for name in names if name in known), vendor, signature)
