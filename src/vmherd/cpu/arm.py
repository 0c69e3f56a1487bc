"""ARM CPUs: hosts are not told apart; a guest's model is QEMU's to know.

Source: the rules of cpu_arm of libvirt.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.conf.domain.cpu import Cpu, CpuFallback, CpuFeature, CpuMatch, CpuMode, CpuModel, FeaturePolicy
from vmherd.cpu.architecture import Architecture, Comparison, Offer
from vmherd.cpu.definition import Definition
from vmherd.errors import DocumentError


class Arm(Architecture):
    names = ("aarch64", "armv7l", "armv7b", "armv6l")

    def compare(self, host: Definition, cpu: Definition) -> Comparison:
        """Whatever runs is left to the hypervisor, but for a model that the host is known not to be."""
        del host, cpu
        return Comparison.IDENTICAL

    def baseline(self, cpus: Sequence[Definition], *, offer: Offer | None = None, migratable: bool = False) -> Cpu:
        """Only hosts of the same model have one: the features that all have."""
        del offer, migratable
        first = cpus[0]
        for cpu in cpus[1:]:
            if cpu.vendor != first.vendor:
                raise DocumentError("the CPUs are made by different vendors", place="cpu/vendor")
            if cpu.model != first.model:
                raise DocumentError("the CPUs are of different models", place="cpu/model")
        shared = [name for name in first.features if all(name in cpu.features for cpu in cpus)]
        return Cpu(
            mode=CpuMode.CUSTOM,
            match=CpuMatch.EXACT,
            model=CpuModel(name=first.model or "", fallback=CpuFallback.ALLOW),
            vendor=first.vendor,
            features=[CpuFeature(name=name, policy=FeaturePolicy.REQUIRE) for name in shared],
        )

    def update(self, guest: Cpu, host: Definition) -> None:
        if guest.mode is CpuMode.HOST_MODEL:
            guest.mode, guest.match = CpuMode.CUSTOM, CpuMatch.EXACT
            guest.model = CpuModel(name=host.model or "", fallback=CpuFallback.ALLOW)

    def translate(self, guest: Cpu, offer: Offer) -> None:
        """QEMU refuses what it does not have."""
