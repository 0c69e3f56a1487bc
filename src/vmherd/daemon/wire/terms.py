"""On what terms clients are served: who they are, what each may have at once, what they are offered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from vmherd.rpc import packet

if TYPE_CHECKING:
    from vmherd.daemon.access import Holder
    from vmherd.daemon.admin import Manager
    from vmherd.daemon.wire.hosts import Hosts


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one client may have at once; 5 seconds times 5 without an answer end it (as keepalive_* of libvirtd)."""

    calls: int = 5
    streams: int = 32
    message: int = packet.LARGEST
    keepalive_interval: float = 5.0
    keepalive_count: int = 5


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who a client is, as far as its socket tells; ids are None where it is not on this host."""

    transport: str = "unix"
    pid: int | None = None
    uid: int | None = None
    gid: int | None = None
    groups: frozenset[int] = frozenset()
    address: str = ""
    name: str = ""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What the clients of one server get.

    ``programs`` are the numbers of those they can call; ``admit`` tells what somebody may do, on a read-only
    connection or another one.  ``manager`` is for those who may manage the daemon.
    """

    hosts: Hosts
    programs: frozenset[int]
    admit: Callable[[Identity, bool], Holder]
    manager: Manager | None = None
