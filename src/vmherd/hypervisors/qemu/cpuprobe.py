"""Asks a QEMU which CPUs it has, and what the best one it can give guests here is like.

Source: query-cpu-definitions and query-cpu-model-expansion of the QMP reference; virQEMUCapsProbeQMPHostCPU of libvirt.
"""

from __future__ import annotations

from typing import Any

from vmherd.errors import HypervisorError
from vmherd.hypervisors.qemu.capabilities import CpuFacts
from vmherd.hypervisors.qemu.monitor import Monitor, Refused


async def ask(monitor: Monitor, accelerator: str) -> CpuFacts:
    """A binary that cannot expand models tells their names only; some architectures cannot even do that."""
    try:
        told = await monitor.execute("query-cpu-definitions")
    except Refused:
        return CpuFacts()
    models = {each["name"]: each.get("unavailable-features", []) for each in told}
    best = "host" if accelerator == "kvm" else "max"
    try:
        everything = await _expanded(monitor, {"name": best, "props": {"migratable": False}})
        migratable = await _expanded(monitor, {"name": best})
    except HypervisorError:
        return CpuFacts(models=models)
    kept = frozenset(name for name, value in everything.items() if value is True and migratable.get(name) is not True)
    return CpuFacts(models=models, properties=everything, unmigratable=kept)


async def _expanded(monitor: Monitor, model: dict[str, Any]) -> dict[str, bool | int | str]:
    """QEMU's own names only: a full expansion has aliases, too."""
    told = await monitor.execute("query-cpu-model-expansion", {"type": "static", "model": model})
    properties: dict[str, bool | int | str] = told["model"].get("props", {})
    return properties
