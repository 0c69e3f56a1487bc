"""Which role has which permissions, and who has which role."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

import msgspec

from vmherd.daemon.access import VIEWING, Holder, Names, Scope, union
from vmherd.daemon.config import Access, Grant
from vmherd.errors import InvalidArgument

#: What each role has.  An operator gets nothing that writes a file of the caller's choice on the host (saving, dumping,
#: snapshots), or changes what a guest is: either would be as good as being root there.
ROLES: dict[str, tuple[str, ...]] = {
    "none": (),
    "viewer": VIEWING,
    "operator": (
        "viewer",
        *(
            f"domain:{what}"
            for what in ("start", "stop", "reset", "suspend", "init_control", "pm_control", "inject_nmi")
        ),
        *(f"domain:{what}" for what in ("open_device", "open_graphics", "screenshot", "send_input", "send_signal")),
        *(f"domain:{what}" for what in ("fs_freeze", "fs_trim", "set_time")),
        *("network:start", "network:stop", "storage_pool:start", "storage_pool:stop", "storage_pool:refresh"),
    ),
    "admin": ("*:*",),
}


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a client: its user and groups from a UNIX socket, or the name in its certificate.

    ``role`` is what the door it came through gives to everybody, "" for what the settings say of the client.
    """

    uid: int | None = None
    gids: frozenset[int] = frozenset()
    certificate: str = ""
    role: str = ""


class _Members(NamedTuple):
    """A grant with its people as numbers."""

    uids: frozenset[int]
    gids: frozenset[int]
    certificates: tuple[str, ...]
    scope: Scope

    def include(self, who: Who) -> bool:
        if who.uid in self.uids or not self.gids.isdisjoint(who.gids):
            return True
        return bool(who.certificate) and any(fnmatchcase(who.certificate, name) for name in self.certificates)


class Policy:
    """The roles and grants of the settings.

    ``own`` is the user the daemon runs as, who may do everything: they could change the settings as well.  Raises
    InvalidArgument for a role, permission, user or group that nobody knows.
    """

    def __init__(self, names: Names, access: Access, *, own: int | None = None) -> None:
        self._names = names
        self._own = os.geteuid() if own is None else own
        self._roles = {role: _bits(names, ROLES | access.roles, role) for role in ROLES | access.roles}
        self._default = self.role(access.default, "access.default")
        self._grants = [self._members(grant, f"access.grants[{place}]") for place, grant in enumerate(access.grants)]

    def role(self, name: str, place: str) -> int:
        """The permissions of a role that the setting ``place`` names."""
        if name not in self._roles:
            raise InvalidArgument(f"{place}: no role {name!r}", hint=f"there are: {', '.join(self._roles)}")
        return self._roles[name]

    def _members(self, grant: Grant, place: str) -> _Members:
        return _Members(
            uids=_numbers(grant.users, _uid, f"{place}.users"),
            gids=_numbers(grant.groups, _gid, f"{place}.groups"),
            certificates=grant.names,
            scope=Scope(grant.domains, self.role(grant.role, f"{place}.role")),
        )

    def holder(self, who: Who, *, readonly: bool = False) -> Holder:
        """What a client may do."""
        everywhere, narrow = self._granted(who)
        return Holder(self._names, everywhere, narrow, readonly=readonly)

    def _granted(self, who: Who) -> tuple[int, Sequence[Scope]]:
        if who.role:
            return self.role(who.role, "tcp.role"), ()
        if who.uid == self._own:
            return self._roles["admin"], ()
        scopes = [grant.scope for grant in self._grants if grant.include(who)]
        if not scopes:
            return self._default, ()
        everywhere = union(scope.bits for scope in scopes if not scope.domains)
        narrow = [scope for scope in scopes if scope.domains]
        if narrow:
            # Nobody can work with a domain who cannot connect and look for it.
            everywhere |= self._names.matching("connect:getattr") | self._names.matching("connect:search_domains")
        return everywhere, narrow


def _bits(names: Names, roles: Mapping[str, Sequence[str]], role: str, within: tuple[str, ...] = ()) -> int:
    if role in within:
        raise InvalidArgument(f"access.roles.{role}: contains itself", hint="take it out of its own list")
    found = 0
    for word in roles[role]:
        bits = _bits(names, roles, word, (*within, role)) if word in roles else names.matching(word)
        if not bits and word not in roles:
            raise InvalidArgument(
                f"access.roles.{role}: no permission or role {word!r}",
                hint=f"permissions look like domain:start or domain:*; roles are: {', '.join(roles)}",
            )
        found |= bits
    return found


def _numbers(words: Iterable[str], number: Callable[[str], int], place: str) -> frozenset[int]:
    found = set()
    for word in words:
        try:
            found.add(int(word) if word.isdecimal() else number(word))
        except KeyError:
            hint = "give a name that this host knows, or a number"
            raise InvalidArgument(f"{place}: nobody here is called {word!r}", hint=hint) from None
    return frozenset(found)


def _uid(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _gid(name: str) -> int:
    return grp.getgrnam(name).gr_gid
