"""Making a guest's CPU explicit: what it takes from the host, what it leaves open, and models a binary lacks.

Source: the rules of virCPUx86Update and virCPUx86Translate of libvirt.
"""

from __future__ import annotations

from collections.abc import Iterable

from vmherd.conf.domain.cpu import Cpu, CpuFallback, CpuFeature, CpuMatch, CpuMode, CpuModel, FeaturePolicy
from vmherd.cpu.architecture import Offer
from vmherd.cpu.definition import Definition, of_guest
from vmherd.cpu.x86.compare import features_of
from vmherd.cpu.x86.cpuid import CpuData
from vmherd.cpu.x86.decode import Description, describe
from vmherd.cpu.x86.map import x86_map
from vmherd.errors import Unsupported


def update(guest: Cpu, host: Definition) -> None:
    """Optional features become what the host has; host-model and match='minimum' become the host's model."""
    if guest.mode in (CpuMode.HOST_PASSTHROUGH, CpuMode.MAXIMUM):
        return
    _settle_optional(guest, host)
    if guest.mode is CpuMode.HOST_MODEL or guest.match is CpuMatch.MINIMUM:
        _take_host_model(guest, host)
    known = x86_map()
    name = guest.model.name if guest.model else ""
    if name:
        for feature in known.model(name).gone:
            if not any(each.name == feature for each in guest.features):
                guest.features.append(CpuFeature(name=feature, policy=FeaturePolicy.DISABLE))


def _settle_optional(guest: Cpu, host: Definition) -> None:
    known = x86_map()
    for feature in guest.features:
        if feature.policy is FeaturePolicy.OPTIONAL:
            has = known.feature(feature.name) in features_of(host)
            feature.policy = FeaturePolicy.REQUIRE if has else FeaturePolicy.DISABLE


def _take_host_model(guest: Cpu, host: Definition) -> None:
    """The guest's own wishes come after the host's features, its vendor_id and vendor stay."""
    asked = guest.features
    guest.features = [CpuFeature(name=name, policy=policy) for name, policy in host.features.items()]
    override(guest.features, asked)
    guest.vendor = guest.vendor if guest.mode is CpuMode.CUSTOM else host.vendor
    told = guest.model or CpuModel()
    guest.model = CpuModel(name=host.model or "", fallback=told.fallback or CpuFallback.ALLOW, vendor_id=told.vendor_id)
    guest.mode, guest.match = CpuMode.CUSTOM, CpuMatch.EXACT


def override(features: list[CpuFeature], by: Iterable[CpuFeature]) -> None:
    """Give ``features`` the policies of ``by``; what is not among them yet follows at the end."""
    listed = {each.name: each for each in features}
    for each in by:
        if each.name in listed:
            listed[each.name].policy = each.policy
        else:
            features.append(CpuFeature(name=each.name, policy=each.policy))


def translate(guest: Cpu, offer: Offer) -> None:
    """Another model for one that is not on offer, where the guest allows a fallback; the features stay the same."""
    if guest.mode in (CpuMode.HOST_MODEL, CpuMode.HOST_PASSTHROUGH, CpuMode.MAXIMUM):
        return
    told = guest.model
    if told is None or told.name in offer:
        return
    if told.fallback is CpuFallback.FORBID:
        text = f"the hypervisor has no CPU model {told.name!r}, and no other may stand in for it"
        raise Unsupported(text, place="domain/cpu/model", hint="allow one: <model fallback='allow'>")
    known = x86_map()
    model = known.model(told.name)
    data = CpuData(features_of(of_guest(guest)), model.vendor, model.signature)
    found = describe(data, offer=offer)
    features = differences(found)
    override(features, guest.features)
    guest.features = features
    guest.model = CpuModel(name=found.model.name, fallback=told.fallback, vendor_id=told.vendor_id)


def differences(found: Description) -> list[CpuFeature]:
    """As a guest's document lists them."""
    more = [CpuFeature(name=name, policy=FeaturePolicy.REQUIRE) for name in found.more]
    return more + [CpuFeature(name=name, policy=FeaturePolicy.DISABLE) for name in found.less]


def expand(guest: Cpu) -> None:
    """List the features of the model, too, in alphabetical order."""
    known = x86_map()
    model = known.model(guest.model.name) if guest.model else None
    features = [CpuFeature(name=name, policy=FeaturePolicy.REQUIRE) for name in (model.features if model else ())]
    told = (FeaturePolicy.REQUIRE, FeaturePolicy.DISABLE)
    override(features, [each for each in guest.features if each.policy in told])
    guest.features = sorted(features, key=lambda each: each.name)
