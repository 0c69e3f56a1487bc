"""A guest's CPU made explicit when it starts: what it takes from the host, and a model that the binary has.

Source: qemuProcessUpdateGuestCPU of libvirt.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain
from vmherd.conf.domain.cpu import Cpu, CpuCheck, CpuFallback, CpuFeature, CpuMatch, CpuMode, FeaturePolicy
from vmherd.conf.domain.domain import DomainType
from vmherd.cpu.architecture import Comparison, architecture, find
from vmherd.cpu.definition import Definition, of_guest
from vmherd.cpu.x86.map import x86_map
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.capabilities import Capabilities, CpuFacts
from vmherd.hypervisors.qemu.host.hostcpu import HostCpu, x86_host
from vmherd.hypervisors.qemu.machine import is_x86

#: Features of the host that QEMU has no property for.
_HOST_ONLY = frozenset({"cmt", "mbm_total", "mbm_local"})


def settle(domain: Domain, caps: Capabilities, physical: Definition | None = None) -> None:
    """Make ``domain``'s CPU one that QEMU can be told, in place; ``physical`` is what the host's processor is.

    Raises Unsupported where the host cannot give it.
    """
    cpu = domain.cpu
    if cpu is None or (cpu.mode is CpuMode.CUSTOM and cpu.model is None) or cpu.mode is None:
        return
    facts = caps.cpu(domain.type)
    if not is_x86(domain):
        _settle_other(domain, cpu, facts)
        return
    host = x86_host(facts, physical)
    if cpu.mode in (CpuMode.CUSTOM, CpuMode.HOST_MODEL):
        _settle_model(cpu, facts, host)
    cpu.features = [*_told(cpu.features, host)]


def _settle_model(cpu: Cpu, facts: CpuFacts, host: HostCpu | None) -> None:
    x86 = architecture("x86_64")
    name = cpu.model.name if cpu.model else ""
    if cpu.mode is CpuMode.CUSTOM and name not in x86_map().models and name in facts.models:
        return  # a model that only QEMU knows
    if host is None:
        _refuse_relative(cpu)
        return
    if cpu.check is CpuCheck.PARTIAL:
        _refuse_incompatible(cpu, host)
    x86.update(cpu, host.model)
    x86.translate(cpu, facts.models)
    assert cpu.model is not None  # custom by now
    cpu.model.fallback = CpuFallback.FORBID


def _refuse_incompatible(cpu: Cpu, host: HostCpu) -> None:
    x86, wanted = architecture("x86_64"), of_guest(cpu)
    if x86.compare(host.whole, wanted) is Comparison.INCOMPATIBLE:
        missing = ", ".join(x86.lacking(host.whole, wanted))
        text = f"the host cannot give the guest such a CPU{': it lacks ' if missing else ''}{missing}"
        raise Unsupported(text, place="domain/cpu", hint="use <cpu mode='host-model'/>, which takes what there is")


def _refuse_relative(cpu: Cpu) -> None:
    """Without knowing the host, only what does not depend on it can be told."""
    if cpu.mode is CpuMode.HOST_MODEL or cpu.match is CpuMatch.MINIMUM:
        text = "this QEMU does not tell which CPU its guests can have"
        raise Unsupported(text, place="domain/cpu", hint="name a <model>, or use <cpu mode='maximum'/>")


def _settle_other(domain: Domain, cpu: Cpu, facts: CpuFacts) -> None:
    """QEMU knows best which CPUs of other architectures it can give; what depends on the host needs KVM.

    Source: qemuBuildCpuModelArgStr of libvirt; compatibility modes of POWER are not made yet.
    """
    power = domain.os.type.arch in ("ppc64", "ppc64le")
    if cpu.mode is CpuMode.HOST_MODEL and (not power or domain.type is not DomainType.KVM or cpu.model):
        text = f"a {domain.os.type.arch} guest cannot have the host's model"
        raise Unsupported(text, place="domain/cpu/@mode", hint="use mode='host-passthrough', or name a <model>")
    if cpu.mode is CpuMode.CUSTOM:
        _refuse_relative(cpu)
        if arch := find(domain.os.type.arch or ""):
            arch.convert_legacy(cpu)
            if facts.models:
                arch.translate(cpu, facts.models)


def _told(features: list[CpuFeature], host: HostCpu | None) -> Iterator[CpuFeature]:
    """Without what QEMU would not understand: what it has no name for, it does not give anyway."""
    for feature in features:
        off = feature.policy is FeaturePolicy.DISABLE
        if feature.name in _HOST_ONLY or (off and host is not None and feature.name not in host.known):
            continue
        yield feature
