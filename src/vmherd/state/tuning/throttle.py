"""Limits of disks: checking them, and adding up what is said and what was.

Source: qemuDomainSetBlockIoTune of libvirt
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from vmherd.conf.domain import Domain
from vmherd.conf.domain.disk import Disk, IoTune
from vmherd.driver.params import BLOCK_IO_TUNE, Kind, Params, check
from vmherd.errors import ArgumentUnsupported, InvalidArgument, Unsupported

#: More than QEMU can count with.
_MOST = 10**15

_FAMILIES = ("bytes", "iops")
_KINDS = ("total", "read", "write")
#: Limits that may be exceeded for a while.
LASTING = tuple(f"{kind}_{family}_sec" for family in _FAMILIES for kind in _KINDS)

#: In libvirt's order: how long bursts may last comes last.
_TOLD = sorted(BLOCK_IO_TUNE, key=lambda name: name.endswith("_length"))


def params(limits: IoTune | None) -> Params:
    """All limits by libvirt's names, 0 for none."""
    limits = limits or IoTune()
    return {name: getattr(limits, name) or (0 if BLOCK_IO_TUNE[name] is Kind.ULLONG else "") for name in _TOLD}


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


def told(target: str, given: Params) -> dict[str, int | str]:
    """A change of limits as the event of it names them."""
    names: dict[str, int | str] = {"blkdeviotune.disk": target}
    return names | {f"blkdeviotune.{name}": value for name, value in given.items() if not isinstance(value, float)}


def disk_of(domain: Domain, key: str) -> Disk:
    """The disk with this target, or of this image if it has only one.  Raises InvalidArgument."""
    disks = domain.devices.disks
    found = [disk for disk in disks if disk.target.dev == key]
    if not found and key.startswith("/"):
        found = [disk for disk in disks if disk.source and key in (disk.source.file, disk.source.dev, disk.source.dir)]
    if len(found) != 1:
        hint = f"there are: {', '.join(disk.target.dev for disk in disks) or 'none'}"
        raise InvalidArgument(f"disk '{key}' was not found in the domain config", hint=hint)
    return found[0]


@dataclass(frozen=True)
class Limiting:
    """Sets limits of a disk, named by its target or its image, in a document."""

    key: str
    given: Params

    def __call__(self, domain: Domain) -> None:
        _apply(domain, disk_of(domain, self.key), self.given)


def _apply(domain: Domain, disk: Disk, given: Params) -> None:
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
    for name in LASTING:
        usual, burst = getattr(limits, name), getattr(limits, f"{name}_max")
        if burst and not usual:
            raise Unsupported(f"cannot set '{name}_max' if '{name}' is not set", hint=f"set {name}, too")
        if burst and burst < usual:
            raise Unsupported(f"value '{name}_max' cannot be smaller than '{name}'", hint="a burst is more than usual")
