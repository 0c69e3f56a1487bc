"""Whether a host has what a guest, or another host's guests, need.

Source: the rules of x86Compute of libvirt.
"""

from __future__ import annotations

from vmherd.conf.domain.cpu import CpuMatch, FeaturePolicy
from vmherd.cpu.architecture import Comparison
from vmherd.cpu.definition import Definition
from vmherd.cpu.x86.map import x86_map


def features_of(cpu: Definition) -> frozenset[str]:
    """What a CPU has: its model's features, with the document's changes; optional ones do not count.

    Raises DocumentError for a model or feature that is not known.
    """
    known = x86_map()
    model = known.model(cpu.model).features if cpu.model else frozenset[str]()
    more = {known.feature(name) for name in cpu.named(FeaturePolicy.FORCE, FeaturePolicy.REQUIRE)}
    less = {known.feature(name) for name in cpu.named(FeaturePolicy.DISABLE, FeaturePolicy.FORBID)}
    return (model | more) - less


def lacking(host: Definition, cpu: Definition) -> list[str]:
    """The features that ``cpu`` needs and ``host`` has not, in the order of the map; forced ones may be missing."""
    return x86_map().sorted(_needed(cpu) - features_of(host))


def _needed(cpu: Definition) -> frozenset[str]:
    known = x86_map()
    model = known.model(cpu.model).features if cpu.model else frozenset[str]()
    required = {known.feature(name) for name in cpu.named(FeaturePolicy.REQUIRE)}
    return (model | required) - _left_open(cpu)


def _left_open(cpu: Definition) -> set[str]:
    """What the host may have or not."""
    return {x86_map().feature(name) for name in cpu.named(FeaturePolicy.OPTIONAL, FeaturePolicy.DISABLE)}


def compare(host: Definition, cpu: Definition) -> Comparison:
    """How ``host`` relates to ``cpu``; forced features may be missing, optional ones do not matter."""
    if cpu.arch not in (None, "x86_64", "i686") or not host.model:
        return Comparison.INCOMPATIBLE
    if cpu.vendor and cpu.vendor != host.vendor:
        return Comparison.INCOMPATIBLE
    known = x86_map()
    has, needed = features_of(host), _needed(cpu)
    forbidden = {known.feature(name) for name in cpu.named(FeaturePolicy.FORBID)}
    forced = {known.feature(name) for name in cpu.named(FeaturePolicy.FORCE)}
    if forbidden & has or not needed <= has:
        return Comparison.INCOMPATIBLE
    if not has - needed - _left_open(cpu) - forced:
        return Comparison.IDENTICAL
    strict = not cpu.is_host and cpu.match is CpuMatch.STRICT
    return Comparison.INCOMPATIBLE if strict else Comparison.SUPERSET
