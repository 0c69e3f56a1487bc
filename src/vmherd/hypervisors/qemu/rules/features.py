"""Features that one board or architecture has, and those that rest on others."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.cpu import CpuMode
from vmherd.conf.domain.features import Hyperv, HypervMode
from vmherd.hypervisors.qemu import machine

_PSERIES = ("hpt", "htm", "nested_hv", "ccf_assist", "cfpc", "sbbc", "ibs")


def boards(domain: Domain) -> Iterator[Problem]:
    """Parts of a chipset that others do not have."""
    told = domain.features
    if told is None:
        return
    if told.gic and not (machine.is_virt(domain) and domain.os.type.arch in ("aarch64", "armv7l")):
        yield Problem("domain/features/gic", "only ARM's virt machine has it", "remove it")
    if told.smm and told.smm.state and not machine.is_q35(domain):
        yield Problem("domain/features/smm", "only q35 machines have it", "remove it, or use machine='q35'")
    if told.ioapic and not machine.is_x86(domain):
        yield Problem("domain/features/ioapic", "only x86 machines have it", "remove it")
    if told.ioapic and told.ioapic.driver not in ("kvm", "qemu"):
        text = f"nobody called {told.ioapic.driver!r} emulates it"
        yield Problem("domain/features/ioapic/@driver", text, "use 'kvm' or 'qemu'")
    if told.smm and told.smm.tseg is not None and not machine.is_q35(domain):
        yield Problem("domain/features/smm/tseg", "only q35 machines have it", "remove it, or use machine='q35'")
    for name in _PSERIES if not machine.is_pseries(domain) else ():
        if getattr(told, name):
            yield Problem(f"domain/features/{name.replace('_', '-')}", "only pseries machines have it", "remove it")


#: Enlightenments that rest on others.  Source: docs/system/i386/hyperv.rst of QEMU
_BASES = {"synic": "vpindex", "stimer": "synic", "tlbflush": "vpindex", "ipi": "vpindex", "evmcs": "vapic"}


def hyperv(domain: Domain) -> Iterator[Problem]:
    """Enlightenments need those they rest on."""
    told = domain.features.hyperv if domain.features else None
    if told is None or told.mode is HypervMode.PASSTHROUGH:
        return
    for name, base in _BASES.items():
        if _is_on(told, name) and not _is_on(told, base):
            place = f"domain/features/hyperv/{name}"
            yield Problem(place, f"it needs {base}", f"add <{base} state='on'/>")


def _is_on(told: Hyperv, name: str) -> bool:
    feature = getattr(told, name)
    return bool(feature and feature.state)


def hints(domain: Domain) -> Iterator[Problem]:
    """A guest that is told that its CPUs are its own has the host's."""
    kvm = domain.features.kvm if domain.features else None
    mode = domain.cpu.mode if domain.cpu else None
    if (
        kvm
        and kvm.hint_dedicated
        and kvm.hint_dedicated.state
        and mode not in (CpuMode.HOST_PASSTHROUGH, CpuMode.MAXIMUM)
    ):
        text = "CPUs of its own are promised to a guest that has the host's CPU"
        yield Problem("domain/features/kvm/hint-dedicated", text, "use <cpu mode='host-passthrough'/>")


RULES = (boards, hyperv, hints)
