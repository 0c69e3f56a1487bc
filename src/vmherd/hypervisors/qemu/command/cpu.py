"""The CPU: its model and features, and what a hypervisor tells its guests through it.

The order is libvirt's (qemuBuildCpuCommandLine); the names are QEMU's.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain
from vmherd.conf.domain.cpu import AddressMode, CacheMode, Cpu, CpuMode, FeaturePolicy
from vmherd.conf.domain.features import Features, Hyperv, HypervMode, Kvm, State
from vmherd.conf.domain.panic import PanicModel
from vmherd.cpu.x86.cpuid import qemu_name
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import clock


def cpu(domain: Domain, caps: Capabilities) -> list[str]:
    """The option ``-cpu``, where there is anything to say."""
    words = [*_model(domain.cpu)] if domain.cpu else []
    extra = [*_enlightenments(domain)]
    if domain.cpu:
        extra += [*_cache(domain.cpu), *_address_bits(domain.cpu)]
    if extra and not words:
        found = caps.machine(domain.os.type.machine)
        words = [found.default_cpu.rsplit("-", 2)[0] if found else "qemu64"]
    return ["-cpu", ",".join([*words, *extra])] if words else []


def _model(cpu: Cpu) -> Iterator[str]:
    """Source: qemuBuildCpuModelArgStr of libvirt."""
    match cpu.mode:
        case CpuMode.HOST_PASSTHROUGH | CpuMode.HOST_MODEL:  # x86 takes the host's model before
            yield "host"
        case CpuMode.MAXIMUM:
            yield "max"
        case _ if cpu.model:
            yield cpu.model.name
        case _:
            return
    if cpu.mode is not CpuMode.CUSTOM and cpu.migratable is not None:
        yield f"migratable={switch(cpu.migratable)}"
    if cpu.model and cpu.model.vendor_id:
        yield f"vendor={cpu.model.vendor_id}"
    for feature in cpu.features:
        if feature.policy is not FeaturePolicy.OPTIONAL:
            off = feature.policy in (FeaturePolicy.DISABLE, FeaturePolicy.FORBID)
            yield f"{qemu_name(feature.name)}={switch(not off)}"


def _enlightenments(domain: Domain) -> Iterator[str]:
    """What tells the guest's kernel that, and how, it is virtualized."""
    yield from _timers(domain)
    features = domain.features or Features()
    if features.apic and features.apic.eoi is not None:
        yield f"kvm-pv-eoi={switch(features.apic.eoi)}"
    if features.pvspinlock and features.pvspinlock.state is not None:
        yield f"kvm-pv-unhalt={switch(features.pvspinlock.state)}"
    if features.hyperv:
        yield from _hyperv(features.hyperv)
    if any(panic.model is PanicModel.HYPERV for panic in domain.devices.panics):
        yield "hv-crash"
    if features.kvm:
        yield from _kvm(features.kvm)
    if features.pmu and features.pmu.state is not None:
        yield f"pmu={switch(features.pmu.state)}"


def _timers(domain: Domain) -> Iterator[str]:
    for timer in domain.clock.timers:
        if word := clock.processor_word(timer):
            yield word


_HYPERV = (
    "relaxed",
    "vapic",
    "spinlocks",
    "vpindex",
    "runtime",
    "synic",
    "stimer",
    "reset",
    "vendor_id",
    "frequencies",
    "reenlightenment",
    "tlbflush",
    "ipi",
    "evmcs",
    "avic",
)


def _hyperv(hyperv: Hyperv) -> Iterator[str]:
    if hyperv.mode is HypervMode.PASSTHROUGH:
        yield "hv-passthrough=on"
    for name in _HYPERV:
        if not _is_on(getattr(hyperv, name)):
            continue
        match name:
            case "spinlocks" if hyperv.spinlocks:
                yield f"hv-spinlocks={hyperv.spinlocks.retries or 0:#x}"
            case "vendor_id" if hyperv.vendor_id:
                yield f"hv-vendor-id={hyperv.vendor_id.value}"
            case "stimer" if hyperv.stimer and hyperv.stimer.direct and hyperv.stimer.direct.state:
                yield "hv-stimer=on"
                yield "hv-stimer-direct=on"
            case _:
                yield f"hv-{name}=on"


def _kvm(kvm: Kvm) -> Iterator[str]:
    if _is_on(kvm.hidden):
        yield "kvm=off"
    if _is_on(kvm.hint_dedicated):
        yield "kvm-hint-dedicated=on"
    if _is_on(kvm.poll_control):
        yield "kvm-poll-control=on"
    if kvm.pv_ipi and kvm.pv_ipi.state is False:  # guests have it unless told otherwise
        yield "kvm-pv-ipi=off"


def _is_on(told: State | object) -> bool:
    return bool(getattr(told, "state", False))


def _cache(cpu: Cpu) -> Iterator[str]:
    """QEMU's own models never show the host's caches; only the host's CPU has to be told not to."""
    if cpu.cache is None:
        return
    hidden = cpu.mode in (CpuMode.HOST_PASSTHROUGH, CpuMode.MAXIMUM)
    match cpu.cache.mode:
        case CacheMode.EMULATE:
            yield "l3-cache=on"
        case CacheMode.PASSTHROUGH:
            yield "host-cache-info=on"
            hidden = False
    if hidden:
        yield "host-cache-info=off"
    if cpu.cache.mode is not CacheMode.EMULATE:
        yield "l3-cache=off"


def _address_bits(cpu: Cpu) -> Iterator[str]:
    if cpu.maxphysaddr is None:
        return
    if cpu.maxphysaddr.mode is AddressMode.PASSTHROUGH:
        yield "host-phys-bits=on"
    else:
        yield f"phys-bits={cpu.maxphysaddr.bits}"


def switch(value: bool) -> str:
    """QEMU's words for yes and no."""
    return "on" if value else "off"
