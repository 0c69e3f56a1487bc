"""Memory and time of the made-up host of conformance cases, as their facts tell."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from vmherd.conf.domain import Domain
from vmherd.hypervisors.qemu.host.hostmemory import HostMemory
from vmherd.util.xmlmodel import parse_cpus

_TIMEZONE = re.compile(r"[A-Z]+(?P<sign>[+-]?)(?P<hours>\d+):(?P<minutes>\d+)")


def memory(host: dict[str, Any], config: dict[str, Any], domain: Domain) -> HostMemory:
    """The folders for ``domain``, and the host's nodes and pages."""
    numa = host["numa"]
    mounts = {each["size_kib"] << 10: each for each in config["hugetlbfs"]}
    cpus = {cell["id"]: frozenset(cell["cpus"]) for cell in numa["cells"]}
    name = f"{domain.id}-{domain.name[:20]}"
    return HostMemory(
        files=Path(config["memoryBackingDir"]) / name,
        page=host["page_size"],
        hugepages={size: Path(each["mount"]) / "libvirt" / "qemu" / name for size, each in mounts.items()},
        default=next((size for size, each in mounts.items() if each["default"]), None),
        nodes={node: cpus.get(node, frozenset()) for node in range(numa["max_node"] + 1)},
        auto_nodes=parse_cpus(numa["auto_nodeset"]),
    )


def now(host: dict[str, Any]) -> datetime:
    """The host's time in its zone, which POSIX tells as what to add for UTC."""
    told = _TIMEZONE.fullmatch(host["timezone"])
    assert told is not None
    behind = timedelta(hours=int(told["hours"]), minutes=int(told["minutes"])) * (-1 if told["sign"] == "-" else 1)
    return datetime.fromtimestamp(host["time_utc"], timezone(-behind))


def incoming(params: dict[str, Any]) -> str:
    """Where the guest's state comes from: a URI, or a descriptor where it says "stdio"."""
    source = params.get("migrate_from") or ""
    return f"fd:{params['migrate_fd']}" if source == "stdio" else source
