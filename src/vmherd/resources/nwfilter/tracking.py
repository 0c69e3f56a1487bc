"""What is known of a packet's connection, as a condition of nftables.

Rules for traffic stand in the family ``bridge``, where only the port is known that a frame comes from or goes to.  A
kernel with nf_conntrack_bridge knows the connection there, too.  Where it is missing, br_netfilter shows IP packets
on bridges to the family ``inet``: rules there note state and direction in the top four bits of the packet's mark,
where those of the bridge read them, and then take them away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vmherd.errors import Unsupported

NEW, ESTABLISHED, RELATED, INVALID = "new", "established", "related", "invalid"
#: The two directions of a connection: as it was begun, and back.
ORIGINAL, REPLY = "original", "reply"

#: The bits of the mark that are ours.
MASK = 0xF0000000
_REST = MASK ^ 0xFFFFFFFF
_STATES = {NEW: 0x10000000, ESTABLISHED: 0x20000000, RELATED: 0x30000000, INVALID: 0x40000000}
_REPLY = 0x80000000
_ANSWER = 0x50000000


class Tracker(Protocol):
    """How conditions on connections are written for one kernel."""

    #: Whether bridges need to be told to show their packets to connection tracking.
    marks: bool

    def state(self, states: Sequence[str], direction: str | None) -> str:
        """The connection is in one of ``states``, and the packet goes in a direction of it, or in any."""

    def more_than(self, count: int, *, match: bool) -> str:
        """There are more connections than ``count``."""


class Bridged:
    """A kernel with nf_conntrack_bridge."""

    marks = False

    def state(self, states: Sequence[str], direction: str | None) -> str:
        condition = f"ct state {{ {', '.join(states)} }}"
        return f"{condition} ct direction {direction}" if direction else condition

    def more_than(self, count: int, *, match: bool) -> str:
        return f"ct count {'over ' if match else ''}{count}"


class Marked:
    """Any other kernel."""

    marks = True

    def state(self, states: Sequence[str], direction: str | None) -> str:
        directions = {ORIGINAL: (0,), REPLY: (_REPLY,), None: (0, _REPLY)}[direction]
        values = (f"{_STATES[state] | bit:#x}" for state in states for bit in directions)
        return f"meta mark & {MASK:#x} {{ {', '.join(values)} }}"

    def more_than(self, count: int, *, match: bool) -> str:
        raise Unsupported(
            "this kernel cannot count connections on a bridge",
            hint="connlimit-above needs its module nf_conntrack_bridge",
        )


def notes(table: str) -> list[str]:
    """The rules that note what is known of a packet: where it comes from a bridge, and where it goes to one."""
    script = [f"add table inet {table}", f"add chain inet {table} note", f"flush chain inet {table} note"]
    script.append(f"add rule inet {table} note meta mark set meta mark & {_REST:#x}")
    script.append(f"add rule inet {table} note ct direction reply meta mark set meta mark | {_REPLY:#x}")
    for state, bits in _STATES.items():
        script.append(f"add rule inet {table} note ct state {state} meta mark set meta mark | {bits:#x}")
    for hook, side in (("prerouting", "iifkind"), ("forward", "oifkind"), ("postrouting", "oifkind")):
        script += [
            f"add chain inet {table} {hook} {{ type filter hook {hook} priority 300; }}",
            f"flush chain inet {table} {hook}",
            f'add rule inet {table} {hook} meta {side} "bridge" jump note',
        ]
    return script


def answers(table: str) -> list[str]:
    """Let pass what the kernel itself answers to what is refused: an error of ICMP that belongs to no connection.

    A peer cannot pretend to do so: what it sends does not come by the hook ``output``.
    """
    made = "ct state invalid meta l4proto { icmp, ipv6-icmp }"
    noted = f"meta mark & {MASK:#x} == {_ANSWER:#x}"
    script = []
    for hook in ("forward", "output"):
        script += [
            f"add chain bridge {table} answer-{hook} {{ type filter hook {hook} priority 0; }}",
            f"flush chain bridge {table} answer-{hook}",
            f"add rule bridge {table} answer-{hook} {noted} meta mark set meta mark & {_REST:#x}",
        ]
    script += [
        f"add rule bridge {table} answer-output {made} meta mark set meta mark & {_REST:#x} | {_ANSWER:#x}",
        f"flush chain bridge {table} answered",
        f"add rule bridge {table} answered {noted} accept",
    ]
    return script


def forget(table: str, chain: str) -> str:
    """The rule of the bridge after those that read the notes."""
    return f"add rule bridge {table} {chain} meta mark & {MASK:#x} != 0 meta mark set meta mark & {_REST:#x}"
