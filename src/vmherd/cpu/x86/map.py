"""The map of x86 models and features, made from the facts in ``cpu.data`` when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from vmherd.errors import DocumentError

if TYPE_CHECKING:
    from vmherd.cpu.data.x86_models import Entry

#: A register of a CPUID leaf, (leaf, subleaf, register); of a model-specific one, (index,).
Register = tuple[int, int, str] | tuple[int]


@dataclass(frozen=True, order=True)
class Signature:
    """What a maker calls a kind of CPU; what guests and models ask for."""

    family: int
    model: int
    stepping: int


@dataclass(frozen=True, kw_only=True)
class Model:
    """``vendor`` is "" where any will do; ``signatures`` are (family, model) with a range of steppings."""

    name: str
    vendor: str
    features: frozenset[str]
    gone: tuple[str, ...]
    signatures: tuple[tuple[int, int, int, int], ...]
    for_hosts: bool
    for_guests: bool

    def is_made_as(self, signature: Signature) -> bool:
        return any(
            (family, model) == (signature.family, signature.model) and first <= signature.stepping <= last
            for family, model, first, last in self.signatures
        )

    @property
    def signature(self) -> Signature | None:
        """The first of them, where it has any."""
        return Signature(*self.signatures[0][:3]) if self.signatures else None


class Map:
    """Features in the order in which they are listed, and models, older ones first."""

    def __init__(self) -> None:
        # Not at the top: most runs of the program never look at a CPU.
        from vmherd.cpu.data import x86_features, x86_models

        self.bits: dict[Register, dict[int, str]] = {}
        for leaf, subleaf, register, names in x86_features.CPUID:
            self.bits[leaf, subleaf, register] = _numbered(names)
        for index, names in x86_features.MSR:
            self.bits[(index,)] = _numbered(names)
        names_in_order = [name for bits in self.bits.values() for name in bits.values()]
        self._place = {name: place for place, name in enumerate(names_in_order)}
        self.unmigratable = x86_features.UNMIGRATABLE
        self.vendors: dict[str, str] = x86_features.VENDORS
        self.models: dict[str, Model] = {}
        for entry in x86_models.MODELS:
            self.models[entry.name] = self._model(entry)

    def _model(self, entry: Entry) -> Model:
        inherited = self.models[entry.base].features if entry.base else frozenset[str]()
        return Model(
            name=entry.name,
            vendor=entry.vendor,
            features=(inherited | set(entry.more.split())) - set(entry.less.split()),
            gone=tuple(entry.gone.split()),
            signatures=entry.signatures,
            for_hosts="host" in entry.told,
            for_guests="guest" in entry.told,
        )

    def __contains__(self, feature: str) -> bool:
        return feature in self._place

    def sorted(self, features: Iterable[str]) -> list[str]:
        """``features`` in the order of the map."""
        return sorted(features, key=self._place.__getitem__)

    def feature(self, name: str) -> str:
        """``name``, if it is a feature.  Raises DocumentError if it is none."""
        if name not in self._place:
            raise DocumentError(f"there is no CPU feature {name!r}", hint="'vmherd cpu features MODEL' lists some")
        return name

    def model(self, name: str) -> Model:
        """The model of this name.  Raises DocumentError if there is none."""
        found = self.models.get(name)
        if found is None:
            raise DocumentError(f"there is no CPU model {name!r}", hint="'vmherd cpu models' lists them")
        return found

    def vendor(self, name: str) -> str:
        """``name``, if it is a vendor.  Raises DocumentError if it is none."""
        if name not in self.vendors:
            raise DocumentError(f"there is no CPU vendor {name!r}", hint=f"known: {', '.join(self.vendors)}")
        return name


def _numbered(names: str) -> dict[int, str]:
    return {bit: name for bit, name in enumerate(names.split()) if name != "-"}


@cache
def x86_map() -> Map:
    """The one map there is."""
    return Map()
