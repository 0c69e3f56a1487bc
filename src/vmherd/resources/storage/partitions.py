"""The partition table of a disk, as parted tells it.

Source: "parted -m" in parted(8); what it prints of free room lies within an extended partition too
"""

from __future__ import annotations

import re

import msgspec

from vmherd.errors import HostError, OperationFailed
from vmherd.util import command

_MIB = 1 << 20
_PACKAGE = "parted"
_LINE = re.compile(r"(\d+):(\d+)B:(\d+)B:\d+B:([^:;]*)")


class Extent(msgspec.Struct, frozen=True):
    """Bytes of a disk from ``start`` up to and including ``end``."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start + 1

    def holds(self, other: Extent) -> bool:
        return self.start <= other.start and other.end <= self.end


class Partition(msgspec.Struct, frozen=True):
    number: int
    extent: Extent


class Table(msgspec.Struct, frozen=True):
    """``label`` is parted's word: msdos, gpt, ...; "" where the disk has no table.  ``size`` is that of the disk."""

    label: str
    size: int
    partitions: list[Partition]
    free: list[Extent]

    @property
    def extended(self) -> Partition | None:
        """The partition that holds others."""
        inside = [*self.free, *(each.extent for each in self.partitions)]
        for each in self.partitions:
            if any(other != each.extent and each.extent.holds(other) for other in inside):
                return each
        return None

    def room(self, size: int, *, within: Partition | None) -> Extent:
        """Where a partition of ``size`` bytes fits best; raises OperationFailed where it does not.

        ``within`` is the extended partition to look in; without it, none is looked in.  Starts are whole MiB.
        """
        extended = self.extended
        for extent in sorted(self.free, key=lambda each: each.length):
            inside = extended is not None and extended.extent.holds(extent)
            start = -(-extent.start // _MIB) * _MIB
            if inside == (within is not None) and start + size - 1 <= extent.end:
                return Extent(start, start + size - 1)
        text = "no large enough free extent"
        raise OperationFailed(text, hint="the pool's document lists the free extents of its disk")


async def read(device: str) -> Table:
    """Raises HostError where the disk cannot be read."""
    try:
        text = await command.run(["parted", "-m", "-s", device, "unit", "B", "print", "free"], package=_PACKAGE)
    except HostError as problem:
        if "unrecognised disk label" in problem.message:
            return Table("", 0, [], [])
        raise
    lines = [line for line in text.splitlines() if line.endswith(";")]
    head = next((line.split(":") for line in lines if line.startswith("/")), None)
    if head is None:
        raise HostError(f"parted tells nothing of {device}: {text[:200]!r}")
    label = "" if head[-3] == "loop" else head[-3]  # parted's word for a file system without a table
    table = Table(label, int(head[-7].rstrip("B")), [], [])
    for number, start, end, kind in (match.groups() for line in lines if (match := _LINE.match(line))):
        extent = Extent(int(start), int(end))
        if kind == "free":
            table.free.append(extent)
        else:
            table.partitions.append(Partition(int(number), extent))
    return table


async def change(device: str, *words: str) -> None:
    """One command of parted, which asks nothing."""
    await command.run(["parted", "-s", "--", device, *words], package=_PACKAGE)
