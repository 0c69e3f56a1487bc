"""Which model a CPU is best described by, and which features it has besides.

Source: the rules of x86Decode of libvirt.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from vmherd.cpu.architecture import Offer
from vmherd.cpu.x86.cpuid import CpuData
from vmherd.cpu.x86.map import Map, Model, Signature, x86_map
from vmherd.errors import DocumentError

#: What it costs a model that the CPU has features less, and each of them, where one more costs 1.
_FIRST_LESS, _EACH_LESS = 5, 2


@dataclass(frozen=True)
class Description:
    """A model, and how the CPU differs from it, in the order of the map."""

    model: Model
    more: list[str]
    less: list[str]

    @property
    def cost(self) -> int:
        """How far the CPU is from the model: guests miss what a model lacks more than they mind what it has besides.

        So an older model with many features more beats a newer one with one less, but not one of another age.
        """
        return len(self.more) + (_FIRST_LESS + _EACH_LESS * len(self.less) if self.less else 0)


def describe(
    data: CpuData, *, for_host: bool = False, offer: Offer | None = None, preferred: str | None = None
) -> Description:
    """``data`` as a model with differences; a host's has no feature less than its model.

    ``offer`` limits the models to what a hypervisor has; ``preferred`` is taken whatever the differences.
    Raises DocumentError if no model fits.
    """
    known = x86_map()
    features = _without_broken_tsx(data)
    best: Description | None = None
    for model in reversed(known.models.values()):
        if not _may_describe(model, data.vendor, for_host=for_host) or (offer is not None and model.name not in offer):
            continue
        candidate = _differences(known, features, model, () if offer is None else offer[model.name], for_host)
        if for_host and candidate.less:
            continue
        if model.name == preferred:
            return candidate
        if best is None or _is_better(candidate, best, data.signature):
            best = candidate
    if best is None:
        raise DocumentError("no known CPU model describes this CPU", hint="'vmherd cpu models' lists those there are")
    return best


def _may_describe(model: Model, vendor: str, *, for_host: bool) -> bool:
    told = model.for_hosts if for_host else model.for_guests
    return told and (not vendor or not model.vendor or model.vendor == vendor)


def _differences(
    known: Map, features: frozenset[str], model: Model, blockers: Collection[str], for_host: bool
) -> Description:
    more = features - model.features
    blocked = {name for name in blockers if name in known and name not in more}
    less = known.sorted((model.features - features) | blocked)
    if not for_host:
        less += [name for name in model.gone if name not in more and name not in less]
    return Description(model, known.sorted(more), less)


def _is_better(candidate: Description, best: Description, signature: Signature | None) -> bool:
    """The same kind of CPU goes first, then the lower cost."""
    if signature is not None:
        matches, matched = candidate.model.is_made_as(signature), best.model.is_made_as(signature)
        if matches != matched:
            return matches
    return candidate.cost < best.cost


#: Intel switched TSX off in these by microcode: (model, first stepping where it works), of family 6.
_BROKEN_TSX = {60: 16, 63: 4, 69: 16, 70: 16}


def _without_broken_tsx(data: CpuData) -> frozenset[str]:
    """Source: Intel, Xeon E3-1200 v3 and E5 v3 Specification Updates, HSD136 and HSE44."""
    made = data.signature
    if data.vendor == "Intel" and made and made.family == 6 and made.stepping < _BROKEN_TSX.get(made.model, 0):
        return data.features - {"hle", "rtm"}
    return data.features
