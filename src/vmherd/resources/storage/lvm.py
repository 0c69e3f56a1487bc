"""What LVM tells of a volume group, and the commands that change it.

Sources: lvmreport(7), lvcreate(8), lvmthin(7)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from vmherd.errors import HostError
from vmherd.util import command

_KIB = 1024
_PACKAGE = "lvm2"


class LogicalVolume(msgspec.Struct, frozen=True, kw_only=True):
    """``attributes`` are the letters of lvs(8): the first is the kind of volume, the fifth its state."""

    name: str = msgspec.field(name="lv_name")
    uuid: str = msgspec.field(name="lv_uuid")
    size: str = msgspec.field(name="lv_size")
    attributes: str = msgspec.field(name="lv_attr")
    origin: str = ""
    pool: str = msgspec.field(name="pool_lv", default="")
    filled: str = msgspec.field(name="data_percent", default="")

    @property
    def is_active(self) -> bool:
        return self.attributes[4:5] == "a"

    @property
    def is_thin_pool(self) -> bool:
        return self.attributes[:1] == "t"

    @property
    def is_thin(self) -> bool:
        return self.attributes[:1] == "V"

    @property
    def allocation(self) -> int:
        """Bytes that it takes of its group, or of its thin pool."""
        size = int(self.size)
        return int(size * float(self.filled) / 100) if self.is_thin and self.filled else size


async def run(*argv: str, patience: float = 120.0) -> str:
    """A command of LVM; its last words where it fails."""
    return await command.run(argv, patience=patience, package=_PACKAGE)


class Group(msgspec.Struct, frozen=True):
    """Bytes that a volume group has, those that are free, and its volumes by name."""

    size: int
    free: int
    volumes: dict[str, LogicalVolume]


async def look(group: str) -> Group | None:
    """All of a group at once, since each command of LVM takes its time; None where there is no such group."""
    columns = "vg_size,vg_free,lv_name,lv_uuid,lv_size,lv_attr,origin,pool_lv,data_percent"
    try:
        rows = await _report("vgs", "vg", columns, group)
        if not rows:  # it has no volumes
            rows = [row | {"lv_name": ""} for row in await _report("vgs", "vg", "vg_size,vg_free", group)]
    except HostError as problem:
        if "Cannot process volume group" in problem.message:  # its first line says "not found"
            return None
        raise
    found = [msgspec.convert(row, LogicalVolume) for row in rows if row["lv_name"]]
    sizes = int(rows[0]["vg_size"]), int(rows[0]["vg_free"])
    return Group(*sizes, {each.name: each for each in sorted(found, key=lambda each: each.name)})


async def groups() -> dict[str, list[str]]:
    """The devices of every group."""
    found: dict[str, list[str]] = {}
    for row in await _report("pvs", "pv", "pv_name,vg_name"):
        if row["vg_name"]:
            found.setdefault(row["vg_name"], []).append(row["pv_name"])
    return found


async def _report(program: str, what: str, columns: str, *group: str) -> list[dict[str, Any]]:
    words = ["--reportformat", "json", "--units", "b", "--nosuffix", "--options", columns]
    text = await run(program, *words, *group)
    try:
        rows: list[dict[str, Any]] = msgspec.json.decode(text)["report"][0][what]
    except (msgspec.DecodeError, KeyError, IndexError):
        raise HostError(f"{program} answered what is no report: {text[:200]!r}") from None
    return rows


def creation(
    name: str, group: str, capacity: int, allocation: int, *, backing: str = "", thin_pool: str = ""
) -> list[str]:
    """What makes a volume: plain, thin where it is sparse and its group has a thin pool, or a snapshot of another."""
    argv = ["lvcreate", "--yes", "--name", name]
    if backing and thin_pool:
        return [*argv, "--setactivationskip", "n", "--snapshot", f"{group}/{backing}"]
    if thin_pool:
        return [*argv, "--virtualsize", _kib(capacity), "--thinpool", thin_pool, group]
    if backing:
        return [*argv, "-L", _kib(capacity), "--snapshot", f"{group}/{backing}"]
    if allocation < capacity:
        return [*argv, "-L", _kib(allocation or 1), "--type", "snapshot", "--virtualsize", _kib(capacity), group]
    return [*argv, "--wipesignatures", "y", "-L", _kib(capacity), group]


def _kib(size: int) -> str:
    return f"{-(-size // _KIB)}K"


async def remove_labels(devices: Sequence[str]) -> None:
    """Make devices of no group plain ones again."""
    for device in devices:
        await run("pvremove", "--yes", "-ff", device)
