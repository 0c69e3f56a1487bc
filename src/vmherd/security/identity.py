"""The user, the group and the further groups that a guest's hypervisor runs as.

A label of the model "dac" names user and group: ``+64055:+108``, ``qemu:kvm`` or ``qemu``.
Source: virParseOwnershipIds and virGetUserID of libvirt
"""

from __future__ import annotations

import grp
import os
import pwd
from contextlib import suppress
from pathlib import Path

import msgspec

from vmherd.errors import HostError


class Identity(msgspec.Struct, frozen=True):
    """``groups`` are those beside ``gid``."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        return f"+{self.uid}:+{self.gid}"

    @property
    def owner(self) -> tuple[int, int]:
        return self.uid, self.gid


ROOT = Identity(0, 0)


def user_id(name: str) -> int:
    """The number of a user: of that name, or ``+NUMBER`` or ``NUMBER`` itself.  Raises HostError."""
    with suppress(KeyError):
        return pwd.getpwnam(name).pw_uid
    return _number(name, "user")


def group_id(name: str) -> int:
    """The number of a group, told like a user's.  Raises HostError."""
    with suppress(KeyError):
        return grp.getgrnam(name).gr_gid
    return _number(name, "group")


def _number(name: str, what: str) -> int:
    if name.removeprefix("+").isdecimal():
        return int(name)
    raise HostError(f"there is no {what} {name!r}", hint=f"make it, or write its number: +1000; 'getent {what}' helps")


def find(user: str, group: str = "") -> Identity:
    """That of a user, with all groups that the host says it is in; by default its own group is the first.

    Raises HostError for a user or a group that there is not.
    """
    uid = user_id(user)
    gid = group_id(group) if group else _own_group(uid)
    return Identity(uid, gid, _further(uid, gid))


def parse_label(label: str) -> Identity:
    """What a label of the model "dac" means.  Raises HostError."""
    user, _, group = label.partition(":")
    return find(user, group)


def exists(user: str) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwnam(user))
    return False


def of_process(pid: int) -> Identity:
    """Who a process runs as.  Raises OSError if it is gone."""
    told = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    uid, gid = (int(told[name].split()[1]) for name in ("Uid", "Gid"))
    return Identity(uid, gid, tuple(int(word) for word in told["Groups"].split() if int(word) != gid))


def _own_group(uid: int) -> int:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_gid
    return uid


def _further(uid: int, gid: int) -> tuple[int, ...]:
    with suppress(KeyError):
        return tuple(sorted({*os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)} - {gid}))
    return ()
