"""CPUs of IBM Z: QEMU itself compares and combines them (query-cpu-model-comparison and -baseline).

Source: the rules of cpu_s390 of libvirt.
"""

from __future__ import annotations

from vmherd.conf.domain.cpu import Cpu, CpuFallback, CpuFeature, CpuMatch, CpuMode, CpuModel, FeaturePolicy
from vmherd.cpu.architecture import Architecture, Offer
from vmherd.cpu.definition import Definition
from vmherd.errors import Unsupported


class S390(Architecture):
    names = ("s390x", "s390")

    def update(self, guest: Cpu, host: Definition) -> None:
        """host-model becomes the host's model; a guest's own policies can only be 'require' or 'disable'."""
        if guest.mode is CpuMode.CUSTOM:
            if guest.match is CpuMatch.MINIMUM:
                raise Unsupported("match='minimum' is not known on IBM Z", place="domain/cpu/@match")
            return
        if guest.mode is not CpuMode.HOST_MODEL:
            return
        if any(each.policy not in (FeaturePolicy.REQUIRE, FeaturePolicy.DISABLE) for each in guest.features):
            text = "IBM Z knows only the policies 'require' and 'disable'"
            raise Unsupported(text, place="domain/cpu/feature/@policy")
        own = {each.name: each.policy for each in guest.features}
        guest.features = [CpuFeature(name=name, policy=policy) for name, policy in {**host.features, **own}.items()]
        guest.model = CpuModel(name=host.model or "", fallback=CpuFallback.ALLOW)
        guest.mode, guest.match = CpuMode.CUSTOM, CpuMatch.EXACT

    def translate(self, guest: Cpu, offer: Offer) -> None:
        """QEMU refuses what it does not have."""
