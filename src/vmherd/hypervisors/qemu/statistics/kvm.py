"""What KVM counts of a guest and of each vCPU: exits, interrupts, flushes, ...; which there are depends on the kernel.

Source: query-stats and query-stats-schemas in QEMU's qapi/stats.json; qemuDomainAddStatsFromHashTable of libvirt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vmherd.hypervisors.qemu.exchange import Question
from vmherd.hypervisors.qemu.statistics.guest import Guest, Params, Replies

_PROVIDERS = [{"provider": "kvm"}]
_SCHEMAS: Question = ("query-stats-schemas", {"provider": "kvm"})

#: The end of a counter's name by its type; distributions have none.
_ENDS = {"cumulative": "sum", "instant": "cur", "peak": "max"}


def questions(guest: Guest, target: str) -> list[Question]:
    """What the counters of the machine ("vm") or of each CPU ("vcpu") are, and how they stand."""
    if not guest.outline.accelerated:
        return []
    return [_SCHEMAS, ("query-stats", {"target": target, "providers": _PROVIDERS})]


def machine_questions(guest: Guest) -> list[Question]:
    return questions(guest, "vm")


def machine(_: Guest, replies: Replies) -> Params:
    for each in counted(replies, "vm"):
        yield from ((f"vm.{name}", value) for name, value in each[1])


def counted(replies: Replies, target: str) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """Name and value of each counter, by the QOM path of what it counts."""
    schemas, found = replies or (None, None)
    ends = _ends(schemas or [], target)
    for each in found or []:
        numbers = [(stat["name"], stat["value"]) for stat in each["stats"] if stat["name"] in ends]
        yield each.get("qom-path", ""), [(f"{name}.{ends[name]}", value) for name, value in numbers]


def _ends(schemas: Sequence[Mapping[str, Any]], target: str) -> dict[str, str]:
    return {
        stat["name"]: _ENDS[stat["type"]]
        for schema in schemas
        if schema["target"] == target
        for stat in schema["stats"]
        if stat["type"] in _ENDS
    }
