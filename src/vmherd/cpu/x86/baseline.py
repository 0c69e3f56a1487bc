"""The best CPU that several hosts can give their guests.

Source: the rules of virCPUx86Baseline of libvirt.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from vmherd.conf.domain.cpu import Cpu, CpuFallback, CpuMatch, CpuMode, CpuModel
from vmherd.cpu.architecture import Offer
from vmherd.cpu.definition import Definition
from vmherd.cpu.x86.compare import features_of
from vmherd.cpu.x86.cpuid import CpuData
from vmherd.cpu.x86.decode import describe
from vmherd.cpu.x86.map import x86_map
from vmherd.cpu.x86.update import differences
from vmherd.errors import DocumentError


def baseline(cpus: Sequence[Definition], *, offer: Offer | None = None, migratable: bool = False) -> Cpu:
    """The features all ``cpus`` share, as a model; its vendor is told if all tell theirs."""
    shared = reduce(frozenset.intersection, [features_of(cpu) for cpu in cpus])
    vendor = _common_vendor(cpus)
    if not shared:
        raise DocumentError("these CPUs have nothing in common", place="cpu")
    names = {cpu.model for cpu in cpus if cpu.model}
    preferred = names.pop() if len(names) == 1 else None
    found = describe(CpuData(shared, vendor), offer=offer, preferred=preferred)
    features = differences(found)
    if migratable:
        features = [each for each in features if each.name not in x86_map().unmigratable]
    same = found.model.name == preferred
    return Cpu(
        mode=CpuMode.CUSTOM,
        match=CpuMatch.EXACT,
        model=CpuModel(name=found.model.name, fallback=CpuFallback.FORBID if same else CpuFallback.ALLOW),
        vendor=vendor if vendor and all(cpu.vendor for cpu in cpus) else None,
        features=features,
    )


def _common_vendor(cpus: Sequence[Definition]) -> str:
    """The one that all tell or their models imply, "" if none does; the first model implies none."""
    known = x86_map()
    vendor = known.vendor(cpus[0].vendor) if cpus[0].vendor else ""
    for cpu in cpus[1:]:
        implied = known.model(cpu.model).vendor if cpu.model else ""
        if cpu.vendor and implied and cpu.vendor != implied:
            raise DocumentError(f"model {cpu.model} is made by {implied}, not by {cpu.vendor}", place="cpu/vendor")
        told = known.vendor(cpu.vendor or implied) if cpu.vendor or implied else ""
        if vendor and told and vendor != told:
            raise DocumentError(f"the CPUs are made by {vendor} and by {told}", place="cpu/vendor")
        vendor = vendor or told
    return vendor
