"""What the driver says of CPUs: models, the host's own, comparisons and baselines."""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.conf.domain.cpu import CpuFallback
from vmherd.cpu import architecture
from vmherd.cpu.architecture import Architecture, Comparison
from vmherd.cpu.definition import Definition, read
from vmherd.driver.types import CpuComparison, CpuInfo, CpuModelInfo, HostCpuInfo
from vmherd.errors import DocumentError, InvalidArgument, NotSupported
from vmherd.hypervisors.qemu.capabilities import Capabilities, CpuFacts, host_arch
from vmherd.hypervisors.qemu.host import accel, hostcpu
from vmherd.util.xmlmodel import render


class Cpus:
    """Those of one binary, for guests of a type, by default with the best accelerator that works here.

    Raises InvalidArgument for a type that cannot run here.
    """

    def __init__(self, caps: Capabilities, domain_type: str = "") -> None:
        self._arch_name = caps.arch
        kvm = accel.kvm_usable().usable
        if domain_type not in ("", "qemu", *(["kvm"] if kvm else [])):
            raise InvalidArgument(f"QEMU cannot run guests of type {domain_type!r} here", hint="use qemu")
        self._has_kvm = kvm and domain_type != "qemu"
        self._facts: CpuFacts = caps.cpu("kvm" if self._has_kvm else "qemu")

    def models(self) -> list[CpuModelInfo]:
        """Those of the binary, by name; of some architectures it does not tell what is missing."""
        judged = self._is_x86 or any(self._facts.models.values())
        return [
            CpuModelInfo(name=name, usable=not lacks if judged else None, lacks=list(dict.fromkeys(lacks)))
            for name, lacks in sorted(self._facts.models.items(), key=lambda each: each[0].lower())
        ]

    def host(self) -> HostCpuInfo:
        """Of architectures other than x86 nothing is known but the name."""
        if not self._is_x86:
            return HostCpuInfo(arch=self._arch_name)
        processor = hostcpu.processor()
        found = hostcpu.x86_host(self._facts, processor)
        return HostCpuInfo(
            arch=self._arch_name,
            processor=_info(processor) if processor else None,
            guest=_info(found.model) if found else None,
        )

    def compare(self, xml: str) -> CpuComparison:
        """The host is what guests can have of it, and with KVM what only the processor has."""
        processor = hostcpu.processor() if self._has_kvm else None
        found = hostcpu.x86_host(self._facts, processor) if self._is_x86 else None
        if found is None:
            raise NotSupported(f"comparing CPUs with a {self._arch_name} host", "the QEMU")
        cpu = _first(xml)
        return CpuComparison(result=self._arch.compare(found.whole, cpu), lacks=self._arch.lacking(found.whole, cpu))

    def baseline(self, documents: Sequence[str], *, expand: bool, migratable: bool) -> str:
        """Written with models that the binary has."""
        cpus = [cpu for text in documents for cpu in read(text)]
        offer = self._facts.models or None
        found = architecture.baseline(self._arch, cpus, offer=offer, expanded=expand, migratable=migratable)
        if found.model:
            found.model.fallback = CpuFallback.FORBID  # it is one that this binary has
        return render(found)

    @property
    def _is_x86(self) -> bool:
        return self._arch_name in ("x86_64", "i686")

    @property
    def _arch(self) -> Architecture:
        return architecture.architecture(self._arch_name)


def features(model: str) -> list[str]:
    """The features of a model of this host's architecture."""
    return architecture.architecture(host_arch()).features(model)


def compare_with_processor(xml: str) -> CpuComparison:
    """The processor against the CPU in a document; one of which nothing is known is compatible with none."""
    processor, cpu = hostcpu.processor(), _first(xml)
    if processor is None or cpu.arch not in (None, *_alike()):
        return CpuComparison(result=Comparison.INCOMPATIBLE)
    arch = architecture.architecture(host_arch())
    return CpuComparison(result=arch.compare(processor, cpu), lacks=arch.lacking(processor, cpu))


def _first(xml: str) -> Definition:
    found = read(xml)
    if not found:
        raise DocumentError("there is no <cpu> in it", hint="a guest without one has the hypervisor's default")
    return found[0]


def _alike() -> tuple[str, ...]:
    """The architectures whose guests this host's processor runs."""
    return architecture.architecture(host_arch()).names


def _info(cpu: Definition) -> CpuInfo:
    told = {name: str(policy) for name, policy in cpu.features.items()}
    return CpuInfo(model=cpu.model or "", vendor=cpu.vendor or "", features=told)
