"""Limits of disks: checking them, adding up what is said and what was, telling QEMU.

Source: qemuDomainSetBlockIoTune of libvirt; block_set_io_throttle in QEMU's qapi/block-core.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from vmherd.conf.domain import Domain
from vmherd.conf.domain.disk import Disk, IoTune
from vmherd.driver.params import BLOCK_IO_TUNE, Kind, Params, check
from vmherd.errors import ArgumentUnsupported, InvalidArgument, Unsupported
from vmherd.hypervisors.qemu.monitor import Monitor
from vmherd.hypervisors.qemu.outline import made_of

#: More than QEMU can count with.
_MOST = 10**15

_FAMILIES = ("bytes", "iops")
_KINDS = ("total", "read", "write")

#: QEMU's names of the limits, each by libvirt's.
_LIMITS = {
    f"{kind}_{unit}_sec": f"{short}{suffix}"
    for unit, short in (("bytes", "bps"), ("iops", "iops"))
    for kind, suffix in (("total", ""), ("read", "_rd"), ("write", "_wr"))
}


def arguments(limits: IoTune) -> dict[str, object]:
    """As QEMU wants them; bursts, their lengths in seconds and the group are left out where not told."""
    found: dict[str, object] = {}
    for ours, theirs in _LIMITS.items():
        found[theirs] = getattr(limits, ours) or 0
        found[f"{theirs}_max"] = getattr(limits, f"{ours}_max")
        found[f"{theirs}_max_length"] = getattr(limits, f"{ours}_max_length") or None
    found["iops_size"] = limits.size_iops_sec
    found["group"] = limits.group_name
    return {name: value for name, value in found.items() if value is not None}


def params(limits: IoTune | None) -> Params:
    """All limits by libvirt's names, 0 for none."""
    limits = limits or IoTune()
    return {name: getattr(limits, name) or (0 if BLOCK_IO_TUNE[name] is Kind.ULLONG else "") for name in _TOLD}


def observed(blocks: Sequence[Mapping[str, Any]], alias: str) -> Params:
    """All limits of a disk as QEMU has them (BlockDeviceInfo); none for an empty drive."""
    inserted = next((each.get("inserted") for each in blocks if alias in each.get("qdev", "").split("/")), None) or {}
    found = params(None)
    for ours, theirs in _LIMITS.items():
        for end in ("", "_max", "_max_length"):
            found[f"{ours}{end}"] = int(inserted.get(f"{theirs}{end}", 0))
    found["size_iops_sec"] = int(inserted.get("iops_size", 0))
    return found | {"group_name": str(inserted.get("group", ""))}


def wanted(given: Params) -> Params:
    """What was asked for, checked by itself.  Raises InvalidArgument, ArgumentUnsupported."""
    check(given, BLOCK_IO_TUNE)
    for name, value in given.items():
        if isinstance(value, int) and value > _MOST:
            raise ArgumentUnsupported(f"block I/O throttle limit value must be no more than {_MOST}: {name} is not")
    for family in _FAMILIES:
        for end in ("sec", "sec_max"):
            if given.get(f"total_{family}_{end}") and (
                given.get(f"read_{family}_{end}") or given.get(f"write_{family}_{end}")
            ):
                text = f"total and read/write of {family}_{end} cannot be set at the same time"
                raise InvalidArgument(text, hint="limit both together, or each by itself")
    return given


#: In libvirt's order: how long bursts may last comes last.
_TOLD = sorted(BLOCK_IO_TUNE, key=lambda name: name.endswith("_length"))


async def limit(monitor: Monitor, disk: Disk) -> None:
    """Tell QEMU the limits of a disk.  Raises Refused with QEMU's reason."""
    alias = disk.alias.name if disk.alias else ""
    paths = [str(each.get("qdev", "")) for each in await monitor.execute("query-block")]
    # The path of a virtio disk ends in an inner device.
    path = next((path for path in paths if alias in path.split("/")), alias)
    await monitor.execute("block_set_io_throttle", {"id": path, **arguments(disk.iotune or IoTune())})


def told(target: str, given: Params) -> dict[str, int | str]:
    """A change of limits as the event of it names them."""
    names: dict[str, int | str] = {"blkdeviotune.disk": target}
    return names | {f"blkdeviotune.{name}": value for name, value in given.items() if not isinstance(value, float)}


def disk_of(domain: Domain, target: str) -> Disk:
    """The disk with this target, which there is."""
    return next(disk for disk in domain.devices.disks if disk.target.dev == target)


@dataclass(frozen=True)
class Edit:
    """Sets limits of a disk, named by its target or its image, in a document."""

    key: str
    given: Params

    def __call__(self, domain: Domain) -> None:
        apply(domain, disk_of(domain, made_of(domain).disk(self.key).target), self.given)


def apply(domain: Domain, disk: Disk, given: Params) -> None:
    """Set the limits of a disk, and of those in its group; those that were not told stay.

    Total, read and write of one kind are told together: what is left out of them then is no limit.  A disk that
    joins a group takes its limits.  Raises Unsupported for limits that contradict each other.
    """
    if str(disk.type) == "vhostuser":
        raise Unsupported("a disk that another process plays has no limits here", hint="limit that process")
    group = given.get("group_name") or (disk.iotune.group_name if disk.iotune else None)
    old = next(_group(domain, group), disk.iotune) or IoTune()
    new = params(None)
    new.update(given)
    told = set(given)
    for family in _FAMILIES:
        for end in ("sec", "sec_max"):
            names = [f"{kind}_{family}_{end}" for kind in _KINDS]
            if not told.intersection(names):
                new.update({name: getattr(old, name) or 0 for name in names})
        _lengths(family, new, old, told)
    if "size_iops_sec" not in told:
        new["size_iops_sec"] = old.size_iops_sec or 0
    new["group_name"] = group or ""
    limits = msgspec.convert({name: value for name, value in new.items() if value}, IoTune)
    _check_bursts(limits)
    for each in domain.devices.disks:
        if each is disk or (group and each.iotune and each.iotune.group_name == group):
            each.iotune = limits if any(new.values()) else None


def _group(domain: Domain, group: object) -> Iterator[IoTune]:
    """The limits of the disks in a group."""
    for each in domain.devices.disks:
        if group and each.iotune and each.iotune.group_name == group:
            yield each.iotune


def _lengths(family: str, new: Params, old: IoTune, told: set[str]) -> None:
    """How long bursts may last; QEMU takes no 0 where there is a limit, so that clearing one means a second."""
    names = [f"{kind}_{family}_sec_max_length" for kind in _KINDS]
    if not told.intersection(names):
        new.update({name: getattr(old, name) or 0 for name in names})
        return
    for name in names:
        limit = name.removesuffix("_max_length")
        if getattr(old, name) and not new[name]:
            new[name] = int(bool(new[limit] or new[f"{limit}_max"]))


def _check_bursts(limits: IoTune) -> None:
    """A burst is no less than what is always allowed."""
    for name in _LIMITS:
        usual, burst = getattr(limits, name), getattr(limits, f"{name}_max")
        if burst and not usual:
            raise Unsupported(f"cannot set '{name}_max' if '{name}' is not set", hint=f"set {name}, too")
        if burst and burst < usual:
            raise Unsupported(f"value '{name}_max' cannot be smaller than '{name}'", hint="a burst is more than usual")
