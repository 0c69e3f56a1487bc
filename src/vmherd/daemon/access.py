"""Who may do what, by libvirt's permission names ("domain:start", "network:read").

A ``Rule`` is what one procedure needs, made once from its line in the protocol's table; a ``Holder`` is one client and
what it has, which ``policy`` finds out.  Permissions are bits of an int, so that the usual question is a single "and".

Source: https://libvirt.org/acl.html, and virAccessPerm* for the names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import Any, NamedTuple

from vmherd.errors import Denied, ReadOnly
from vmherd.rpc.protocol import Procedure, program

#: Where libvirt 9.0's table asks for less than the call does.
_NEEDED = {"domain_set_scheduler_parameters": ("domain:write",)}

#: What libvirt 9.0 refuses on a read-only connection although it needs nothing but permissions to look, and what
#: it lets through although they need more.
_REFUSED = {"domain_get_launch_security_info", "node_get_sev_info", "node_device_get_autostart"}
_TOLERATED = {"domain_migrate_get_compression_cache", "domain_migrate_get_max_downtime"}

#: Patterns of what only looks, and changes nothing.
VIEWING = ("*:getattr", "*:read", "*:search_*")

_TERM = re.compile(r"(?P<name>\w+:\w+)(?:(?P<sign>[&!])(?P<bits>\d+)|@(?P<field>\w+)=(?P<value>\d+))?")


class Condition(NamedTuple):
    """A permission that is needed for certain arguments only.

    ``field`` of the arguments is ``value``; or of its bits in ``mask`` any is set, or with ``absent`` none.
    """

    needed: int
    field: str
    value: int | None
    mask: int
    absent: bool

    def applies(self, args: Any) -> bool:
        told = int(getattr(args, self.field))
        if self.value is not None:
            return told == self.value
        return bool(told & self.mask) is not self.absent


class Rule(NamedTuple):
    """What a call of one procedure needs; ``readonly``: also a read-only connection can make it."""

    name: str
    needed: int
    conditions: tuple[Condition, ...]
    readonly: bool

    def wanted(self, args: Any) -> int:
        """The permissions that a call with these arguments needs."""
        bits = self.needed
        for condition in self.conditions:
            if condition.applies(args):
                bits |= condition.needed
        return bits


class Verdict(Enum):
    ALLOWED = "allowed"
    DENIED = "denied"
    DEPENDS = "depends"  # on which domain it is


class Names:
    """Every permission there is, and its bit."""

    def __init__(self, terms: Iterable[str]) -> None:
        self.bits = {name: 1 << place for place, name in enumerate(sorted(set(terms)))}

    def matching(self, pattern: str) -> int:
        """The bits of all permissions a pattern names; 0 for none."""
        return union(bit for name, bit in self.bits.items() if fnmatchcase(name, pattern))

    def told(self, bits: int) -> str:
        return ", ".join(name for name, bit in self.bits.items() if bits & bit)

    @cached_property
    def viewing(self) -> int:
        return union(self.matching(pattern) for pattern in VIEWING)

    def rule(self, procedure: Procedure) -> Rule:
        """What a procedure needs, from its line in the table."""
        needed, conditions = 0, []
        for term in _NEEDED.get(procedure.name, procedure.acl):
            found = _term(term)
            bit = self.bits[found["name"]]
            if found["sign"]:
                conditions.append(Condition(bit, "flags", None, int(found["bits"]), found["sign"] == "!"))
            elif found["field"]:
                conditions.append(Condition(bit, found["field"], int(found["value"]), 0, False))
            else:
                needed |= bit
        # What objects must grant to be listed; of domains the answer shows those that do, of others all grant the same.
        for term in procedure.filters:
            if not term.startswith("domain:"):
                needed |= self.bits[term]
        looks = not needed & ~self.viewing and procedure.name not in _REFUSED
        return Rule(
            name=procedure.name,
            needed=needed,
            # What is needed anyway need not be looked at again.
            conditions=tuple(each for each in conditions if each.needed & ~needed),
            readonly=looks or procedure.name in _TOLERATED,
        )


def _term(text: str) -> re.Match[str]:
    found = _TERM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} in the table of the protocol")
    return found


def union(bits: Iterable[int]) -> int:
    found = 0
    for each in bits:
        found |= each
    return found


@cache
def known_names() -> Names:
    """The permissions that the tables of the protocol know."""
    procedures = [each for name in ("remote", "qemu", "lxc", "vmherd") for each in program(name).procedures.values()]
    return Names(_term(term)["name"] for each in procedures for term in (*each.acl, *each.filters))


class Scope(NamedTuple):
    """Permissions for the domains whose name or UUID matches one of the patterns."""

    domains: tuple[str, ...]
    bits: int

    def covers(self, name: str, uuid: str) -> bool:
        return bool(name) and any(pattern == uuid or fnmatchcase(name, pattern) for pattern in self.domains)


class Holder:
    """One client: what it may do everywhere, and what with some domains.

    ``looks_only`` is a read-only connection, which gets from its permissions those to look.
    """

    def __init__(self, names: Names, everywhere: int, scopes: Sequence[Scope] = (), *, readonly: bool = False) -> None:
        self._names = names
        self._readonly = readonly
        self._everywhere = everywhere
        self._scopes = tuple(scopes)
        self._anywhere = everywhere | union(scope.bits for scope in scopes)
        self._seeing, self._reading = names.matching("domain:getattr"), names.matching("domain:read")
        self._conditional = ~names.viewing if readonly else 0

    def sees_all(self, *, reading: bool = False) -> bool:
        """Whether the client may know of every domain, or with ``reading`` what each does."""
        return not (self._reading if reading else self._seeing) & ~self._everywhere

    def judge(self, rule: Rule, args: Any) -> Verdict:
        """Whether a call may go on.  Fast, and before anything in the arguments is looked into."""
        if self._readonly and not rule.readonly:
            return Verdict.DENIED
        wanted = rule.needed
        if rule.conditions:
            more = rule.wanted(args) & ~wanted
            if more & self._conditional:
                return Verdict.DENIED
            wanted |= more
        if not wanted & ~self._everywhere:
            return Verdict.ALLOWED
        return Verdict.DENIED if wanted & ~self._anywhere else Verdict.DEPENDS

    def require(self, rule: Rule, args: Any) -> bool:
        """Whether a call may go on for any domain, not just some.

        Raises ReadOnly on a read-only connection, else Denied, for one that may not at all.
        """
        verdict = self.judge(rule, args)
        if verdict is Verdict.DENIED:
            raise self._refusal(rule, args)
        return verdict is Verdict.ALLOWED

    def require_for(self, rule: Rule, args: Any, name: str, uuid: str) -> None:
        """As ``require``, for one domain."""
        if self.judge(rule, args) is Verdict.DENIED or rule.wanted(args) & ~self._bits_for(name, uuid):
            raise self._refusal(rule, args)

    def sees(self, name: str, uuid: str, *, reading: bool = False) -> bool:
        """Whether the client may know of a domain, or with ``reading`` what it does."""
        if self.sees_all(reading=reading):
            return True
        return not (self._reading if reading else self._seeing) & ~self._bits_for(name, uuid)

    def has(self, name: str) -> bool:
        """Whether the client has a permission that is not about a domain."""
        return not self._names.bits[name] & ~self._everywhere

    def _bits_for(self, name: str, uuid: str) -> int:
        return self._everywhere | union(scope.bits for scope in self._scopes if scope.covers(name, uuid))

    def _refusal(self, rule: Rule, args: Any) -> Denied:
        if self._readonly:
            return ReadOnly(f"read only access prevents {rule.name}", hint="connect without 'read-only'")
        missing = self._names.told(rule.wanted(args) & ~self._everywhere)
        return Denied(
            f"{rule.name} needs {missing}", hint="the daemon's administrator grants that in [access] of daemon.toml"
        )
