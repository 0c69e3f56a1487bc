"""A host's or a guest's CPU as it is compared: what is common to both kinds of documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vmherd.conf.domain.completion import complete_cpu
from vmherd.conf.domain.cpu import Cpu, CpuMatch, CpuMode, FeaturePolicy
from vmherd.util.xmlmodel import Element, children, leaf, parse_any


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A model with more or fewer features, in the document's order; a host has what it names."""

    model: str | None = None
    vendor: str | None = None
    features: Mapping[str, FeaturePolicy] = field(default_factory=dict)
    arch: str | None = None
    is_host: bool = False
    mode: CpuMode | None = None
    match: CpuMatch | None = None

    def named(self, *policies: FeaturePolicy) -> list[str]:
        """The features with one of these policies."""
        return [name for name, policy in self.features.items() if policy in policies]


class CpuDocument(Cpu, tag="cpu"):
    """A CPU out of its document: a host's says the architecture."""

    arch: str | None = leaf()


class _Holder(Element):
    cpus: list[CpuDocument] = children()


class _Several(_Holder, tag="cpuTest"):
    """CPUs one after another."""


class _Domain(_Holder, tag="domain"):
    """A guest's whole document."""


class _Capabilities(Element, tag="capabilities"):
    cpus: list[CpuDocument] = children(within="host")


_READABLE: list[type[CpuDocument | _Several | _Domain | _Capabilities]] = [
    CpuDocument,
    _Several,
    _Domain,
    _Capabilities,
]


def read(text: str) -> list[Definition]:
    """The CPUs of a ``<cpu>``, of a host's capabilities, of a domain, or of several in a ``<cpuTest>``.

    Raises DocumentError where it is none of these.
    """
    found = parse_any(_READABLE, text)
    return [of_document(each) for each in ([found] if isinstance(found, CpuDocument) else found.cpus)]


def of_document(cpu: CpuDocument) -> Definition:
    """A host's features have no policy: they are there."""
    if cpu.arch is None:
        return of_guest(cpu)
    features = dict.fromkeys((each.name for each in cpu.features), FeaturePolicy.REQUIRE)
    model = cpu.model.name if cpu.model else None
    return Definition(model=model, vendor=cpu.vendor, features=features, arch=cpu.arch, is_host=True)


def of_guest(cpu: Cpu) -> Definition:
    """The CPU of a domain document, as it is once completed."""
    cpu = cpu.copy()
    complete_cpu(cpu)
    return Definition(
        model=(cpu.model.name if cpu.model else None) or None,
        vendor=cpu.vendor,
        features={each.name: each.policy or FeaturePolicy.REQUIRE for each in cpu.features},
        mode=cpu.mode or CpuMode.CUSTOM,
        match=cpu.match,
    )
