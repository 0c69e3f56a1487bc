"""The CPU that a guest sees, and which of its CPUs are there at boot."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain.cpu import Cpu, CpuMode
from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.problem import Problem, duplicates, numbered

_NAMED = "name the model: <model>...</model>"
#: Characters of a vendor in CPUID leaf 0.
_VENDOR = 12


def model(domain: Domain) -> Iterator[Problem]:
    """What goes beyond a model needs one; what is the host's own needs the host's CPU."""
    cpu = domain.cpu
    if cpu is None:
        return
    if cpu.model is None and cpu.mode in (None, CpuMode.CUSTOM):
        yield from _without_model(cpu)
    if cpu.migratable is not None and cpu.mode not in (CpuMode.HOST_PASSTHROUGH, CpuMode.MAXIMUM):
        text = "only the host's own CPU, or the best there is, may have what cannot migrate"
        yield Problem("domain/cpu/@migratable", text, "remove it, or use mode='host-passthrough'")
    vendor = cpu.model.vendor_id if cpu.model else None
    if vendor is not None and (len(vendor) != _VENDOR or "," in vendor):
        text = f"{vendor!r} is no vendor: that is {_VENDOR} characters without commas"
        yield Problem("domain/cpu/model/@vendor_id", text, "write it like 'GenuineIntel'")
    features = [(f"domain/cpu/feature[{number}]/@name", each.name) for number, each in numbered(cpu.features)]
    yield from duplicates(features, "{} is named twice", "keep one of the two policies")


def _without_model(cpu: Cpu) -> Iterator[Problem]:
    if cpu.mode is CpuMode.CUSTOM:
        yield Problem("domain/cpu", "a custom CPU needs a model", _NAMED)
        return
    if cpu.features:
        yield Problem("domain/cpu/feature[1]", "features are added to a model, and there is none", _NAMED)
    if cpu.vendor:
        yield Problem("domain/cpu/vendor", "the vendor is that of a model, and there is none", _NAMED)


def states(domain: Domain) -> Iterator[Problem]:
    """The CPUs of <vcpus> are among those of <vcpu>; their order counts those that are on.

    Source: virDomainVcpuParse and virDomainDefVcpuOrderValidate of libvirt
    """
    count = domain.vcpu.count
    for number, each in numbered(domain.vcpus):
        place = f"domain/vcpus/vcpu[{number}]"
        if each.id >= count:
            text = f"there is no CPU {each.id}: the guest has {count}, counted from 0"
            yield Problem(f"{place}/@id", text, "raise <vcpu>")
        if each.order is not None and not 1 <= each.order <= count:
            yield Problem(f"{place}/@order", f"{each.order} is not among 1 to {count}")
    orders = [(f"domain/vcpus/vcpu[{number}]/@order", each.order) for number, each in numbered(domain.vcpus)]
    yield from duplicates([each for each in orders if each[1] is not None], "{} is the order of another CPU")
    ids = [(f"domain/vcpus/vcpu[{number}]/@id", each.id) for number, each in numbered(domain.vcpus)]
    yield from duplicates(ids, "CPU {} is described twice")


RULES = (model, states)
