"""Snapshots of a guest.

snapshot = parse_snapshot(text)             a user's request; or origin=REDEFINED, FILE: one made before
complete(snapshot, now=int(time()))         what libvirt fills in; ``now`` for a new one
check(snapshot)                             one DocumentError with everything that is wrong
align(snapshot, domain, Location.INTERNAL)  an entry for each disk of the guest
render(snapshot)                            text again, without passwords unless secure=True
"""

from vmherd.conf.moments import Origin
from vmherd.conf.snapshot.alignment import align
from vmherd.conf.snapshot.defaults import complete
from vmherd.conf.snapshot.document import (
    Location,
    Snapshot,
    SnapshotDisk,
    SnapshotMemory,
    SnapshotState,
    parse_snapshot,
    render,
)
from vmherd.conf.snapshot.rules import check, problems

__all__ = [
    "Location",
    "Origin",
    "Snapshot",
    "SnapshotDisk",
    "SnapshotMemory",
    "SnapshotState",
    "align",
    "check",
    "complete",
    "parse_snapshot",
    "problems",
    "render",
]
