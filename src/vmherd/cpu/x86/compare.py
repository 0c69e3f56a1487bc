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


def compare(host: Definition, cpu: Definition) -> Comparison:
    """How ``host`` relates to ``cpu``; forced features may be missing, optional ones do not matter."""
    if cpu.arch not in (None, "x86_64", "i686") or not host.model:
        return Comparison.INCOMPATIBLE
    if cpu.vendor and cpu.vendor != host.vendor:
        return Comparison.INCOMPATIBLE
    known = x86_map()
    has = features_of(host)
    wanted = {policy: {known.feature(name) for name in cpu.named(policy)} for policy in FeaturePolicy}
    if wanted[FeaturePolicy.FORBID] & has:
        return Comparison.INCOMPATIBLE
    open_to = wanted[FeaturePolicy.OPTIONAL] | wanted[FeaturePolicy.DISABLE]
    model = known.model(cpu.model).features if cpu.model else frozenset[str]()
    needed = (model | wanted[FeaturePolicy.REQUIRE]) - open_to
    if not needed <= has:
        return Comparison.INCOMPATIBLE
    extra = has - needed - open_to - wanted[FeaturePolicy.FORCE]
    if not extra:
        return Comparison.IDENTICAL
    strict = not cpu.is_host and cpu.match is CpuMatch.STRICT
    return Comparison.INCOMPATIBLE if strict else Comparison.SUPERSET
