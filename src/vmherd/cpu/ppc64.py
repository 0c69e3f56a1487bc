"""POWER CPUs: models without features, and compatibility modes, in which a CPU acts as an older one.

Source: the rules of cpu_ppc64 of libvirt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from vmherd.conf.domain.cpu import Cpu, CpuFallback, CpuMatch, CpuMode, CpuModel
from vmherd.cpu.architecture import Architecture, Comparison, Offer
from vmherd.cpu.data import ppc64
from vmherd.cpu.definition import Definition
from vmherd.errors import DocumentError, Unsupported

_MODELS = [model for models in ppc64.MODELS.values() for model in models]

#: The oldest CPU a newer one can act as, or that can act as an older one.
_OLDEST = 6


class Ppc64(Architecture):
    names = ("ppc64", "ppc64le")

    def models(self) -> list[str]:
        return list(_MODELS)

    def features(self, model: str) -> list[str]:
        _known(model)
        return []

    def compare(self, host: Definition, cpu: Definition) -> Comparison:
        if cpu.arch is not None and cpu.arch not in self.names:
            return Comparison.INCOMPATIBLE
        if cpu.vendor and cpu.vendor != host.vendor:
            return Comparison.INCOMPATIBLE
        model = _known(host.model)
        if cpu.mode is CpuMode.HOST_MODEL and cpu.model and _mode(cpu.model) > _generation(model):
            return Comparison.INCOMPATIBLE
        follows_host = cpu.mode in (CpuMode.HOST_MODEL, CpuMode.HOST_PASSTHROUGH, CpuMode.MAXIMUM)
        other = model if follows_host else _known(_current(cpu.model))
        return Comparison.IDENTICAL if model == other else Comparison.INCOMPATIBLE

    def baseline(self, cpus: Sequence[Definition], *, offer: Offer | None = None, migratable: bool = False) -> Cpu:
        del migratable  # there are no features to leave out
        model = _known(cpus[0].model)
        maker = next(maker for maker, models in ppc64.MODELS.items() if model in models)
        for cpu in cpus:
            if cpu.model != model:
                raise DocumentError(f"{model} and {cpu.model} have no common model", place="cpu/model")
            if cpu.vendor and cpu.vendor not in ppc64.MODELS:
                raise DocumentError(f"there is no CPU vendor {cpu.vendor!r}", place="cpu/vendor")
            if cpu.vendor and cpu.vendor != maker:
                raise DocumentError(f"model {model} is made by {maker}, not by {cpu.vendor}", place="cpu/vendor")
        found = CpuModel(name=model, fallback=CpuFallback.FORBID)
        result = Cpu(mode=CpuMode.CUSTOM, match=CpuMatch.EXACT, model=found)
        if offer is not None:
            self.translate(result, offer)
        return result

    def update(self, guest: Cpu, host: Definition) -> None:
        """host-model stays: its model is a compatibility mode, and the rest is the host's."""
        if guest.mode is CpuMode.CUSTOM and guest.match is CpuMatch.MINIMUM:
            guest.match = CpuMatch.EXACT
            guest.model = CpuModel(name=host.model or "", fallback=CpuFallback.ALLOW)

    def translate(self, guest: Cpu, offer: Offer) -> None:
        if guest.mode is CpuMode.CUSTOM and guest.model and guest.model.name not in offer:
            text = f"the hypervisor has no CPU model {guest.model.name!r}"
            raise Unsupported(text, place="domain/cpu/model", hint=f"it has: {', '.join(offer)}")

    def convert_legacy(self, guest: Cpu) -> None:
        if guest.model:
            guest.model.name = _current(guest.model.name) or ""

    def migratable(self, host: Definition) -> Definition:
        return replace(host, features={})


def _current(model: str | None) -> str | None:
    return ppc64.LEGACY.get(model, model) if model else model


def _known(model: str | None) -> str:
    if model not in _MODELS:
        raise DocumentError(f"there is no CPU model {model!r}", place="cpu/model", hint=f"known: {', '.join(_MODELS)}")
    return model


def _generation(model: str) -> int:
    """The number in a model's name."""
    found = re.fullmatch(r"POWER(\d+)", model)
    if not found or int(found[1]) < _OLDEST:
        raise DocumentError(f"a CPU {model} cannot act as another one", place="cpu/model")
    return int(found[1])


def _mode(name: str) -> int:
    """The number in a compatibility mode's name."""
    found = re.fullmatch(r"power(\d+)", name)
    if not found or int(found[1]) < _OLDEST:
        hint = "known: power6, power7, power8, power9, power10"
        raise DocumentError(f"there is no compatibility mode {name!r}", place="cpu/model", hint=hint)
    return int(found[1])
