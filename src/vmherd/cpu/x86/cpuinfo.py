"""The processor of a Linux host, as far as /proc/cpuinfo tells.

Linux names most features as we do; those it names otherwise, or in several parts, are in a table.
Source: arch/x86/include/asm/cpufeatures.h of Linux.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vmherd.cpu.x86.cpuid import CpuData
from vmherd.cpu.x86.map import Signature, x86_map

#: Linux's name: ours.
_NAMES = {
    "cqm": "cmt",
    "cqm_mbm_local": "mbm_local",
    "cqm_mbm_total": "mbm_total",
    "dts": "ds",
    "ibrs": "spec-ctrl",
    "nonstop_tsc": "invtsc",
    "pclmulqdq": "pclmuldq",
    "sse4_1": "sse4.1",
    "sse4_2": "sse4.2",
    "tsc_deadline_timer": "tsc-deadline",
}
#: What Linux says of AMD's CPUs has another bit behind it than the same word for Intel's.
_AMD_NAMES = {"ibrs": "ibrs", "stibp": "amd-stibp", "ssbd": "amd-ssbd", "virt_ssbd": "virt-ssbd"}


def read_cpuinfo(text: str | None = None) -> CpuData:
    """``text`` is what the file holds, None to read it; nothing is known where that cannot be."""
    if text is None:
        try:
            text = Path("/proc/cpuinfo").read_text()
        except OSError:
            text = ""
    told = dict(_lines(text))
    vendor = next((name for name, said in x86_map().vendors.items() if said == told.get("vendor_id")), "")
    features = frozenset(_features(told.get("flags", "").split(), vendor))
    try:
        signature = Signature(int(told["cpu family"]), int(told["model"]), int(told["stepping"]))
    except (KeyError, ValueError):
        return CpuData(features, vendor)
    return CpuData(features, vendor, signature)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """The first processor's; the others are of the same kind."""
    for line in text.partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()


def _features(flags: list[str], vendor: str) -> Iterator[str]:
    known = x86_map()
    names = _NAMES | (_AMD_NAMES if vendor != "Intel" else {})
    for flag in flags:
        spellings = [names[flag]] if flag in names else [flag, flag.replace("_", "-"), flag.replace("_", "")]
        yield from [name for name in spellings if name in known][:1]
