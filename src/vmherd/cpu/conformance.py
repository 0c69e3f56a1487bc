"""CPUs as conformance cases ask for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from vmherd.conf.capabilities import HostCpu, HostFeature
from vmherd.conf.capabilities import Signature as SignatureElement
from vmherd.conf.domain.completion import complete_cpu
from vmherd.conf.domain.cpu import Cpu, CpuFallback, CpuMatch, CpuMode, CpuModel
from vmherd.conformance import Case
from vmherd.cpu import architecture
from vmherd.cpu.architecture import Architecture, Comparison, Offer
from vmherd.cpu.definition import Definition, of_guest, read
from vmherd.cpu.x86.cpuid import CpuData, eax_of, from_document, from_properties
from vmherd.cpu.x86.decode import Description, describe
from vmherd.cpu.x86.update import differences
from vmherd.errors import DocumentError, InvalidArgument
from vmherd.util.xmlmodel import parse, render


def cpu(case: Case) -> object:
    """The answer to the question ``params.op``."""
    found = _OPERATIONS.get(case.params["op"])
    if found is None:
        raise InvalidArgument(f"there is no operation {case.params['op']!r}")
    return found(case, architecture.architecture(case.params["arch"]))


def _compare(case: Case, arch: Architecture) -> object:
    return {"result": arch.compare(_host(case), read(case.input)[0])}


def _update(case: Case, arch: Architecture) -> str:
    guest = _guest(case)
    arch.update(guest, arch.migratable(_host(case)))
    return render(guest)


def _guest_cpu(case: Case, arch: Architecture) -> str:
    guest, host = _guest(case), _host(case)
    arch.convert_legacy(guest)
    if arch.compare(host, of_guest(guest)) is Comparison.INCOMPATIBLE:
        raise DocumentError("the host's CPU lacks what the guest needs", place="cpu")
    arch.update(guest, host)
    if "models" in case.params:
        arch.translate(guest, dict.fromkeys(case.params["models"], ()))
    return render(guest)


def _baseline(case: Case, arch: Architecture) -> str:
    cpus = read(case.input) + (read(case.aux["cpu2"]) if "cpu2" in case.aux else [])
    expanded, migratable = "expand-features" in case.flags, "migratable" in case.flags
    return render(architecture.baseline(arch, cpus, migratable=migratable, expanded=expanded))


def _has_feature(case: Case, arch: Architecture) -> object:
    return {"result": arch.has_feature(read(case.input)[0], case.params["feature"])}


def _decode_cpuid(case: Case, _: Architecture) -> str:
    data = from_document(case.input)
    if case.params["type"] == "host":
        return render(_described_host(data, case.params["arch"]))
    replies = [*_documents(case.aux.get("qmp", ""))]
    offer = _offer(replies[1]) if len(replies) > 1 else None
    return render(_described_guest(data, describe(data, offer=offer)))


def _qmp_cpu(case: Case, _: Architecture) -> str:
    replies = [*_documents(case.input)]
    data = from_properties(replies[0]["return"]["model"]["props"])
    offer = _offer(replies[1]) if "models" in case.flags else None
    return render(_described_guest(data, describe(data, offer=offer)))


def _cpuid_signature(case: Case, _: Architecture) -> str:
    return _signature(from_document(case.input))


def _qmp_signature(case: Case, _: Architecture) -> str:
    return _signature(from_properties(next(_documents(case.input))["return"]["model"]["props"]))


_OPERATIONS: dict[str, Callable[[Case, Architecture], object]] = {
    "compare": _compare,
    "update": _update,
    "guest-cpu": _guest_cpu,
    "baseline": _baseline,
    "baseline-list": _baseline,
    "has-feature": _has_feature,
    "decode-cpuid": _decode_cpuid,
    "cpuid-signature": _cpuid_signature,
    "qmp-cpu": _qmp_cpu,
    "qmp-signature": _qmp_signature,
}


def _host(case: Case) -> Definition:
    return read(case.aux["host_cpu"])[0]


def _guest(case: Case) -> Cpu:
    guest = parse(Cpu, case.input)
    complete_cpu(guest)
    return guest


def _documents(text: str) -> Iterator[dict[str, Any]]:
    """The JSON documents that follow one another in ``text``."""
    decoder, text = json.JSONDecoder(), text.strip()
    while text:
        found, end = decoder.raw_decode(text)
        yield found
        text = text[end:].lstrip()


def _offer(reply: dict[str, Any]) -> Offer:
    """The models of query-cpu-definitions."""
    return {each["name"]: each.get("unavailable-features", ()) for each in reply["return"]}


def _described_host(data: CpuData, arch: str) -> HostCpu:
    found = describe(data, for_host=True)
    made = data.signature
    return HostCpu(
        arch=arch,
        model=found.model.name,
        vendor=data.vendor or None,
        signature=SignatureElement(family=made.family, model=made.model, stepping=made.stepping) if made else None,
        features=[HostFeature(name=name) for name in found.more],
    )


def _described_guest(data: CpuData, found: Description) -> Cpu:
    return Cpu(
        mode=CpuMode.CUSTOM,
        match=CpuMatch.EXACT,
        model=CpuModel(name=found.model.name, fallback=CpuFallback.FORBID),
        vendor=data.vendor or None,
        features=differences(found),
    )


def _signature(data: CpuData) -> str:
    """CPUID leaf 1's EAX, and the same taken apart, a line each."""
    made = data.signature
    if made is None:
        raise DocumentError("the CPU does not say what it is")
    parts = (("family:", made.family), ("model:", made.model), ("stepping:", made.stepping))
    return f"{eax_of(made):06x}\n" + "".join(f"{name:<9}{value:4} (0x{value:02x})\n" for name, value in parts)
