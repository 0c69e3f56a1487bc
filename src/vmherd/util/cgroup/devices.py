"""Which device files the processes of a group may open: a list in v1, a small program of the kernel in v2.

Source: Documentation/admin-guide/cgroup-v1/devices.rst and cgroup-v2.rst ("Device controller") of Linux; bpf(2)
"""

from __future__ import annotations

import ctypes
import os
import platform
import stat
import struct
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

import msgspec

from vmherd.util.cgroup.group import Group

_READ, _WRITE = 2, 4
_KINDS = {"b": 1, "c": 2}
#: The numbers of bpf(2) in the kernel's tables of system calls.
_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361, "i686": 357, "armv7l": 386}
_LOAD, _ATTACH = 5, 8
_CGROUP_DEVICE_PROGRAM, _CGROUP_DEVICE = 15, 6
_LICENSE = b"GPL\0"


class Rule(msgspec.Struct, frozen=True, order=True):
    """``kind`` is "b" or "c"; ``minor`` None stands for all devices of that major number."""

    kind: str
    major: int
    minor: int | None = None
    writes: bool = True

    def __str__(self) -> str:
        minor = "*" if self.minor is None else self.minor
        return f"{self.kind} {self.major}:{minor} {'rw' if self.writes else 'r'}"


def rule_for(path: str | Path, *, writes: bool = True) -> Rule | None:
    """What lets a device be opened; None where the file is none, or not there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISCHR(status.st_mode) and not stat.S_ISBLK(status.st_mode):
        return None
    kind = "b" if stat.S_ISBLK(status.st_mode) else "c"
    return Rule(kind, os.major(status.st_rdev), os.minor(status.st_rdev), writes)


def rules_for(path: str | Path, *, writes: bool = True) -> list[Rule]:
    """What lets a device be opened with those below it (/dev/mapper), or all devices in a folder."""
    if os.path.isdir(path):
        inside = [os.path.join(top, name) for top, _, names in os.walk(path) for name in names]
        return [rule for each in inside if (rule := rule_for(each, writes=writes))]
    rule = rule_for(path, writes=writes)
    return [rule, *_below(rule)] if rule else []


def _below(rule: Rule) -> list[Rule]:
    """The block devices that a mapped one is made of."""
    if rule.kind != "b":
        return []
    found = []
    for link in Path(f"/sys/dev/block/{rule.major}:{rule.minor}/slaves").glob("*"):
        major, minor = (link / "dev").read_text().split(":")
        lower = Rule("b", int(major), int(minor), rule.writes)
        found += [lower, *_below(lower)]
    return found


def allow_only(group: Group, rules: Collection[Rule]) -> None:
    """Let the group open these devices and no others.  Raises OSError where the kernel does not let us say so."""
    if group.is_unified("devices"):
        _attach(group.folder("devices"), program(rules))
        return
    group.write("devices", "devices.deny", "a")
    for rule in rules:
        group.write("devices", "devices.allow", str(rule))


def change(group: Group, before: Collection[Rule], after: Collection[Rule]) -> None:
    """Let the group open the devices of ``after`` in place of those of ``before``, none of both ever missing."""
    if group.is_unified("devices"):
        _attach(group.folder("devices"), program(after))
        return
    for rule in set(after) - set(before):
        group.write("devices", "devices.allow", str(rule))
    for rule in set(before) - set(after):
        group.write("devices", "devices.deny", str(rule))
    for rule in after:  # one that was taken away may have covered a part of another
        group.write("devices", "devices.allow", str(rule))


# The program gets struct bpf_cgroup_dev_ctx in register 1: what is wanted in the upper half of the first word and the
# kind of device in its lower half, then the major and the minor number.  It answers 1 for yes.

_LOAD_WORD, _MOVE, _AND, _SHIFT, _UNEQUAL, _SET, _EXIT = 0x61, 0xBF, 0x57, 0x77, 0x55, 0xB7, 0x95
_ANSWER, _CONTEXT, _KIND, _ACCESS, _MAJOR, _MINOR, _REST = 0, 1, 2, 3, 4, 5, 6


def program(rules: Iterable[Rule]) -> bytes:
    """The instructions that allow what some rule does."""
    code = [
        _instruction(_LOAD_WORD, _ACCESS, _CONTEXT, 0),
        _instruction(_MOVE, _KIND, _ACCESS),
        _instruction(_AND, _KIND, value=0xFFFF),
        _instruction(_SHIFT, _ACCESS, value=16),
        _instruction(_LOAD_WORD, _MAJOR, _CONTEXT, 4),
        _instruction(_LOAD_WORD, _MINOR, _CONTEXT, 8),
    ]
    for rule in rules:
        code += _of_rule(rule)
    return b"".join([*code, _instruction(_SET, _ANSWER, value=0), _instruction(_EXIT)])


def _of_rule(rule: Rule) -> list[bytes]:
    """Each test that fails leads to what comes after the rule."""
    forbidden = ~(_READ | (_WRITE if rule.writes else 0)) & 0xFFFF
    tests = [(_KIND, _KINDS[rule.kind]), (_REST, 0), (_MAJOR, rule.major)]
    tests += [] if rule.minor is None else [(_MINOR, rule.minor)]
    code = [_instruction(_MOVE, _REST, _ACCESS), _instruction(_AND, _REST, value=forbidden)]
    for number, (register, value) in enumerate(tests):
        code.append(_instruction(_UNEQUAL, register, offset=len(tests) - number + 1, value=value))
    return [*code, _instruction(_SET, _ANSWER, value=1), _instruction(_EXIT)]


def _instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BBhI", code, source << 4 | target, offset, value)


def _attach(folder: Path, code: bytes) -> None:
    """Put a program in force for a group, in place of the one it had."""
    group = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        loaded = _load(code)
        try:
            _bpf(_ATTACH, struct.pack("=IIII", group, loaded, _CGROUP_DEVICE, 0))
        finally:
            os.close(loaded)
    finally:
        os.close(group)


def _load(code: bytes) -> int:
    """A descriptor of the program, which the kernel checks first."""
    instructions, terms = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(_LICENSE)
    places = ctypes.addressof(instructions), ctypes.addressof(terms)
    fields = struct.pack("=IIQQIIQII", _CGROUP_DEVICE_PROGRAM, len(code) // 8, *places, 0, 0, 0, 0, 0)
    return _bpf(_LOAD, fields)


def _bpf(command: int, attributes: bytes) -> int:
    number = _BPF.get(platform.machine())
    if number is None:
        raise OSError(0, f"bpf(2) has no known number on {platform.machine()}")
    fields = ctypes.create_string_buffer(attributes, len(attributes))
    result = int(_libc().syscall(number, command, fields, ctypes.c_uint(len(attributes))))
    if result < 0:
        problem = ctypes.get_errno()
        raise OSError(problem, os.strerror(problem))
    return result


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
