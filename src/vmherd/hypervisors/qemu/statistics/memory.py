"""Memory of a guest, from its balloon and from the host.

Source: query-balloon, and guest-stats of virtio-balloon, in QEMU's QMP reference; qemuDomainMemoryStatsInternal of
libvirt.
"""

from __future__ import annotations

from vmherd.driver.types import BalloonStats
from vmherd.hypervisors.qemu.exchange import Question
from vmherd.hypervisors.qemu.outline import Outline
from vmherd.hypervisors.qemu.statistics.guest import KIB, Guest, Params, Replies
from vmherd.state.domains import Entry
from vmherd.util.process import resident_size

#: A counter that the guest did not tell.
_UNTOLD = (-1, (1 << 64) - 1)

#: Our names of what the guest tells, by those of the device.
_TOLD = {
    "stat-swap-in": "swap_in",
    "stat-swap-out": "swap_out",
    "stat-major-faults": "major_faults",
    "stat-minor-faults": "minor_faults",
    "stat-free-memory": "unused",
    "stat-total-memory": "available",
    "stat-available-memory": "usable",
    "stat-disk-caches": "disk_caches",
    "stat-htlb-pgalloc": "hugetlb_allocations",
    "stat-htlb-pgfail": "hugetlb_failures",
}

#: Our names by those of the bulk statistics, in libvirt's order, and the unit.
_PARAMS = (
    ("swap_in", "swap_in", KIB),
    ("swap_out", "swap_out", KIB),
    ("major_fault", "major_faults", 1),
    ("minor_fault", "minor_faults", 1),
    ("unused", "unused", KIB),
    ("available", "available", KIB),
    ("usable", "usable", KIB),
    ("last-update", "last_update", 1),
    ("disk_caches", "disk_caches", KIB),
    ("hugetlb_pgalloc", "hugetlb_allocations", 1),
    ("hugetlb_pgfail", "hugetlb_failures", 1),
    ("rss", "resident", KIB),
)


def questions(outline: Outline) -> list[Question]:
    """Of a guest with a balloon: how large it is, and what the guest says."""
    if outline.balloon is None:
        return []
    path = f"/machine/peripheral/{outline.balloon}"
    return [("query-balloon", None), ("qom-get", {"path": path, "property": "guest-stats"})]


def stats(entry: Entry, outline: Outline, replies: Replies) -> BalloonStats:
    """What is known of a running guest's memory; without a balloon it has all that it can have."""
    size, report = replies or (None, None)
    current = size["actual"] if size else entry.info.memory if outline.balloon is not None else outline.memory
    told = {ours: report["stats"].get(theirs, -1) for theirs, ours in _TOLD.items()} if report else {}
    return BalloonStats(
        current=current,
        maximum=entry.info.max_memory,
        resident=resident_size(entry.live.pid) if entry.live else None,
        last_update=report["last-update"] if report else None,
        **{name: value for name, value in told.items() if value not in _UNTOLD},
    )


def group_questions(guest: Guest) -> list[Question]:
    return questions(guest.outline)


def params(guest: Guest, replies: Replies) -> Params:
    info = guest.entry.info
    found = stats(guest.entry, guest.outline, replies) if guest.live else None
    yield "balloon.current", (found.current if found else info.memory) // KIB
    yield "balloon.maximum", info.max_memory // KIB
    for name, ours, unit in _PARAMS if found else ():
        if (value := getattr(found, ours)) is not None:
            yield f"balloon.{name}", value // unit
