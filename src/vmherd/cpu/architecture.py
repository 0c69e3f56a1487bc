"""What can be done with the CPUs of an architecture, and finding the one for a name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import ClassVar

from vmherd.conf.domain.cpu import Cpu
from vmherd.cpu.definition import Definition
from vmherd.errors import DocumentError, InvalidArgument, NotSupported

#: What a hypervisor offers: its models, each with the features that it cannot give on this host.
Offer = Mapping[str, Collection[str]]


class Comparison(StrEnum):
    """How a host's CPU relates to another one: what it lacks, nothing, or it has more."""

    INCOMPATIBLE = "incompatible"
    IDENTICAL = "identical"
    SUPERSET = "superset"


class Architecture:
    """What the CPUs of one architecture can be asked; what is not overridden is not supported."""

    #: Names of the architecture, by libvirt.
    names: ClassVar[tuple[str, ...]] = ()

    def models(self) -> list[str]:
        """The models there are, older ones first."""
        raise self._unsupported("CPU models")

    def features(self, model: str) -> list[str]:
        """The features a model has.  Raises DocumentError if there is no such model."""
        raise self._unsupported("CPU features")

    def has_feature(self, cpu: Definition, feature: str) -> bool:
        """Whether a CPU has a feature.  Raises DocumentError if there is no such feature."""
        raise self._unsupported("CPU features")

    def compare(self, host: Definition, cpu: Definition) -> Comparison:
        """Whether ``host`` can run guests with ``cpu``.  Raises DocumentError if that cannot be told."""
        raise self._unsupported("comparing CPUs")

    def lacking(self, host: Definition, cpu: Definition) -> list[str]:
        """The features that ``cpu`` needs and ``host`` has not."""
        return []

    def baseline(self, cpus: Sequence[Definition], *, offer: Offer | None = None, migratable: bool = False) -> Cpu:
        """The best CPU that all hosts of ``cpus`` can give their guests.

        Raises DocumentError if there is none.
        """
        raise self._unsupported("CPU baselines")

    def update(self, guest: Cpu, host: Definition) -> None:
        """Make in ``guest`` what it leaves to the host explicit, in place."""
        raise self._unsupported("CPUs that depend on the host")

    def translate(self, guest: Cpu, offer: Offer) -> None:
        """Write ``guest`` as a model on ``offer``, in place.

        Raises DocumentError if it forbids that, or no model fits.
        """
        raise self._unsupported("CPU models of another hypervisor")

    def convert_legacy(self, guest: Cpu) -> None:
        """Replace a model's former name, in place."""

    def expand(self, guest: Cpu) -> None:
        """List the features of the model, too, in place and in alphabetical order."""

    def migratable(self, host: Definition) -> Definition:
        """``host`` without what keeps a guest from moving."""
        return host

    def _unsupported(self, what: str) -> NotSupported:
        return NotSupported(f"{what} for {self.names[0]}", "the CPU")


def baseline(
    arch: Architecture,
    cpus: Sequence[Definition],
    *,
    offer: Offer | None = None,
    migratable: bool = False,
    expanded: bool = False,
) -> Cpu:
    """`Architecture.baseline`, after checking what every architecture needs."""
    if not cpus:
        raise DocumentError("there is no CPU to find a baseline of", place="cpu", hint="give at least one")
    for number, cpu in enumerate(cpus, 1):
        if not cpu.model:
            raise DocumentError(
                f"CPU {number} names no model", place="cpu/model", hint="'vmherd cpu models' lists them"
            )
    found = arch.baseline(cpus, offer=offer, migratable=migratable)
    if expanded:
        arch.expand(found)
    return found


def find(name: str) -> Architecture | None:
    """The architecture of this name; None if nothing is known of its CPUs."""
    from vmherd.cpu.arm import Arm
    from vmherd.cpu.ppc64 import Ppc64
    from vmherd.cpu.s390 import S390
    from vmherd.cpu.x86.architecture import X86

    kinds: tuple[type[Architecture], ...] = (X86, Ppc64, Arm, S390)
    return next((kind() for kind in kinds if name in kind.names), None)


def architecture(name: str) -> Architecture:
    """As `find`, but raises NotSupported."""
    found = find(name)
    if found is None:
        raise NotSupported(f"CPUs of architecture {name!r}", "the CPU")
    return found


#: Architectures of libvirt (virArch) of whose CPUs nothing is known.
_OTHERS = (
    "alpha", "armv6l", "armv7b", "cris", "itanium", "lm32", "loongarch64", "m68k", "microblaze", "microblazeel",
    "mips", "mipsel", "mips64", "mips64el", "or32", "parisc", "parisc64", "ppc", "ppcle", "ppcemb", "riscv32",
    "riscv64", "s390", "sh4", "sh4eb", "sparc", "sparc64", "unicore32", "xtensa", "xtensaeb",
)  # fmt: skip


def model_names(name: str) -> list[str]:
    """The models known of an architecture; none where guests may name any.

    Raises InvalidArgument for an architecture that nobody knows, NotSupported for one that has no CPU models here.
    """
    if find(name) is None and name not in _OTHERS:
        raise InvalidArgument(f"cannot find architecture {name}", hint="such as x86_64, aarch64 or ppc64")
    known = architecture(name)
    try:
        return known.models()
    except NotSupported:
        return []
