"""What x86 CPUs can be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vmherd.conf.domain.cpu import Cpu
from vmherd.cpu.architecture import Architecture, Comparison, Offer
from vmherd.cpu.definition import Definition
from vmherd.cpu.x86 import baseline, compare, update
from vmherd.cpu.x86.map import x86_map


class X86(Architecture):
    names = ("x86_64", "i686")

    def models(self) -> list[str]:
        return list(x86_map().models)

    def features(self, model: str) -> list[str]:
        known = x86_map()
        return known.sorted(known.model(model).features)

    def has_feature(self, cpu: Definition, feature: str) -> bool:
        return x86_map().feature(feature) in compare.features_of(cpu)

    def compare(self, host: Definition, cpu: Definition) -> Comparison:
        return compare.compare(host, cpu)

    def lacking(self, host: Definition, cpu: Definition) -> list[str]:
        return compare.lacking(host, cpu)

    def baseline(self, cpus: Sequence[Definition], *, offer: Offer | None = None, migratable: bool = False) -> Cpu:
        return baseline.baseline(cpus, offer=offer, migratable=migratable)

    def update(self, guest: Cpu, host: Definition) -> None:
        update.update(guest, host)

    def translate(self, guest: Cpu, offer: Offer) -> None:
        update.translate(guest, offer)

    def expand(self, guest: Cpu) -> None:
        update.expand(guest)

    def migratable(self, host: Definition) -> Definition:
        blockers = x86_map().unmigratable
        features = {name: policy for name, policy in host.features.items() if name not in blockers}
        return replace(host, features=features)
