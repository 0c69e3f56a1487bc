"""The devices that a guest's QEMU and its helpers may open: those that the guest uses, by the control group.

Source: qemuSetupDevicesCgroup of libvirt
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from vmherd.hypervisors.qemu.tuning import groups
from vmherd.hypervisors.qemu.uses import Use
from vmherd.util.cgroup import devices
from vmherd.util.cgroup.devices import Rule
from vmherd.util.cgroup.group import Group
from vmherd.util.files import write_atomically

log = logging.getLogger("vmherd.qemu")

_NOTE = "devices.json"
#: Pseudo terminals (Documentation/admin-guide/devices.txt of Linux), which QEMU makes itself.
_TERMINALS = Rule("c", 136)

#: The rules of each file that a device uses, by the device's alias.
_Note = dict[str, dict[str, list[Rule]]]


def start(group: Group | None, folder: Path, everybody: Iterable[str], uses: Sequence[Use]) -> None:
    """Let the group of a guest that is being started open ``everybody`` and what it uses, and nothing else."""
    if group is None or not group.has("devices"):
        return
    note: _Note = {"": {path: devices.rules_for(path) for path in everybody}}
    _add(note, uses)
    try:
        devices.allow_only(group, _rules(note))
    except OSError as problem:
        log.warning("the group %s may open every device: %s", group.name, problem)
        return
    _write(folder, note)


def give(folder: Path, uses: Iterable[Use]) -> None:
    """Let a guest that runs open what a device uses.  Raises OSError."""
    note = _read(folder)
    if note is not None:
        before = _rules(note)
        _add(note, uses)
        _change(folder, before, note)


def take_back(folder: Path, device: str, paths: Collection[str] | None = None) -> None:
    """Take back what a device used, or some of that; what others use stays.  Raises OSError."""
    note = _read(folder)
    if note is not None and device in note:
        before = _rules(note)
        note[device] = {path: rules for path, rules in note[device].items() if paths is not None and path not in paths}
        _change(folder, before, note)


def paths_of(folder: Path, device: str) -> frozenset[str]:
    """The files that a device may open."""
    return frozenset((_read(folder) or {}).get(device, ()))


def _change(folder: Path, before: Collection[Rule], note: _Note) -> None:
    group, after = groups.of(folder), _rules(note)
    if group and group.has("devices") and set(before) != set(after):
        devices.change(group, before, after)
    _write(folder, note)


def _add(note: _Note, uses: Iterable[Use]) -> None:
    for use in uses:
        if rules := devices.rules_for(use.path, writes=use.writes):
            note.setdefault(use.owner, {})[use.path] = rules


def _rules(note: _Note) -> list[Rule]:
    files = [rules for device in note.values() for rules in device.values()]
    return sorted({_TERMINALS, *(rule for rules in files for rule in rules)}, key=str)


def _read(folder: Path) -> _Note | None:
    with suppress(FileNotFoundError):
        return msgspec.json.decode((folder / _NOTE).read_bytes(), type=_Note)
    return None


def _write(folder: Path, note: _Note) -> None:
    write_atomically(folder / _NOTE, msgspec.json.encode(note))
