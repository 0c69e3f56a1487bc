"""The CPU of the host as guests of one binary and accelerator see it.

Source: virQEMUCapsInitHostCPUModel of libvirt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from vmherd.conf.domain.cpu import FeaturePolicy
from vmherd.cpu.definition import Definition
from vmherd.cpu.x86.cpuid import CpuData, feature_name, from_properties
from vmherd.cpu.x86.cpuinfo import read_cpuinfo
from vmherd.cpu.x86.decode import describe
from vmherd.hypervisors.qemu.capabilities import CpuFacts


@dataclass(frozen=True)
class HostCpu:
    """``model`` is what a guest can have and still migrate; ``whole`` what there is, with what only the host has.

    ``known`` are the features QEMU has a property for.
    """

    model: Definition
    whole: Definition
    known: frozenset[str]


def x86_host(facts: CpuFacts, physical: Definition | None) -> HostCpu | None:
    """None where the binary does not tell; ``physical`` is what the host's processor is, as far as known."""
    if not facts.properties:
        return None
    data = from_properties(facts.properties)
    migratable = {name: value for name, value in facts.properties.items() if name not in facts.unmigratable}
    return HostCpu(
        model=described(from_properties(migratable), facts),
        whole=_joined(physical, data) if physical else described(data, facts),
        known=frozenset(feature_name(name) for name in facts.properties),
    )


@cache
def processor() -> Definition | None:
    """What this machine's own processor is, looked at once; None where that is not x86, or nothing is known of it."""
    data = read_cpuinfo()
    if not data.features:
        return None
    found = describe(data, for_host=True)
    features = dict.fromkeys(found.more, FeaturePolicy.REQUIRE)
    return Definition(model=found.model.name, vendor=data.vendor or None, features=features, is_host=True)


def described(data: CpuData, facts: CpuFacts) -> Definition:
    """As a model the binary has."""
    found = describe(data, offer=facts.models)
    features = dict.fromkeys(found.more, FeaturePolicy.REQUIRE) | dict.fromkeys(found.less, FeaturePolicy.DISABLE)
    return Definition(model=found.model.name, vendor=data.vendor or None, features=features)


def _joined(physical: Definition, data: CpuData) -> Definition:
    """What the processor has, and what QEMU adds; a guest may be told to have both."""
    more = dict.fromkeys(data.features, FeaturePolicy.REQUIRE)
    return replace(physical, features={**physical.features, **more}, is_host=False)
