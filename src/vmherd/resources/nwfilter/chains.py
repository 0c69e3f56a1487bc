"""All rules of one card: two lists for frames, and two for the traffic in them.

Source: ebiptablesApplyNewRules of src/nwfilter/nwfilter_ebiptables_driver.c
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec

from vmherd.conf.nwfilter import traffic as documents
from vmherd.conf.nwfilter.bridged import Protocol
from vmherd.conf.nwfilter.filter import ROOT, Action, Direction
from vmherd.errors import InvalidArgument
from vmherd.resources.nwfilter import bridged, traffic
from vmherd.resources.nwfilter.tracking import Tracker
from vmherd.resources.nwfilter.tree import Placed
from vmherd.resources.nwfilter.variables import instances

#: More rules than these for one card are a mistake: lists that are combined with each other.
_MOST = 20_000

#: What the frames have that a chain is for, by what its name begins with; one for 'mac' takes all.
_CHAINS = {
    "mac": "",
    "vlan": "ether type 0x8100",
    "stp": f"ether daddr {bridged.STP_GROUP}",
    "arp": "ether type 0x0806",
    "rarp": "ether type 0x8035",
    "ipv4": "ether type 0x0800",
    "ipv6": "ether type 0x86dd",
}


class CardRules(msgspec.Struct, frozen=True, kw_only=True):
    """Rules in nftables' words: what the guest sends, and what it gets.

    ``tracked``: some look at connections.
    """

    sent: tuple[str, ...] = ()
    received: tuple[str, ...] = ()
    sent_traffic: tuple[str, ...] = ()
    received_traffic: tuple[str, ...] = ()
    tracked: bool = False

    @property
    def answered(self) -> bool:
        """Whether the kernel answers some of what it refuses."""
        return any(each.endswith(" reject") for each in self.sent_traffic)


#: A card whose rules cannot be made: nothing passes.
BLOCKED = CardRules(sent=("drop",), received=("drop",))


def compile_card(placed: Sequence[Placed], tracker: Tracker, *, rejects: bool) -> CardRules:
    """The rules of a card.  ``rejects``: the kernel can answer what it refuses on a bridge.

    Raises InvalidArgument and Unsupported for what cannot be said to this kernel.
    """
    tracked, sent_traffic = _traffic(placed, tracker, sent=True, rejects=rejects)
    also, received_traffic = _traffic(placed, tracker, sent=False, rejects=False)
    card = CardRules(
        sent=_frames(placed, sent=True),
        received=_frames(placed, sent=False),
        sent_traffic=sent_traffic,
        received_traffic=received_traffic,
        tracked=tracked or also,
    )
    if sum(map(len, (card.sent, card.received, card.sent_traffic, card.received_traffic))) > _MOST:
        raise InvalidArgument(f"the filter makes more than {_MOST} rules of the values it was given")
    return card


def _is_traffic(each: Placed) -> bool:
    return isinstance(next(iter(each.rule.protocols), None), documents.Traffic4 | documents.Traffic6)


def _in_order(placed: Sequence[Placed]) -> list[Placed]:
    """Those of the root chain first, then by priority.  Source: virNWFilterRuleInstSort"""
    return sorted(placed, key=lambda each: (each.chain != ROOT, each.rule.priority))


def _frames(placed: Sequence[Placed], *, sent: bool) -> tuple[str, ...]:
    """The root chain: its rules and the other chains, which come before rules of the same priority."""
    here = Direction.OUT if sent else Direction.IN
    ours = [
        each for each in _in_order(placed) if not _is_traffic(each) and each.rule.direction in (here, Direction.INOUT)
    ]
    steps = [(each.rule.priority, 1, line) for each in ours if each.chain == ROOT for line in _lines(each, sent)]
    others = sorted((each for each in ours if each.chain != ROOT), key=lambda each: each.chain)
    for chain, members in groupby(others, key=lambda each: each.chain):
        rules = list(members)
        steps.append((rules[-1].chain_priority, 0, _chain(chain, rules, sent)))
    return tuple(line for _, _, line in sorted(steps, key=lambda step: step[:2]))


def _chain(name: str, rules: list[Placed], sent: bool) -> str:
    """A chain that stands where it is called, and goes with what calls it."""
    wanted = next(text for prefix, text in _CHAINS.items() if name.startswith(prefix))
    inside = "; ".join(line for each in rules for line in _lines(each, sent))
    return f"{wanted} jump {{ {inside}; }}".strip()


def _lines(each: Placed, sent: bool) -> Iterator[str]:
    """A rule for each combination of values; one for both directions is told as that of what comes in."""
    action = "drop" if each.rule.action is Action.REJECT else each.rule.action.value
    if not each.rule.protocols:
        yield action
    for protocol in _instances(each):
        turned = sent and each.rule.direction is Direction.INOUT
        yield " ".join([*bridged.conditions(protocol, turned=turned), action])


def _instances(each: Placed) -> Iterator[Protocol]:
    for count, protocol in enumerate(instances(each.rule.protocols[0], each.variables) if each.rule.protocols else ()):
        if count >= _MOST:
            raise InvalidArgument(f"a rule has more than {_MOST} combinations of the values it was given")
        yield protocol


def _traffic(placed: Sequence[Placed], tracker: Tracker, *, sent: bool, rejects: bool) -> tuple[bool, tuple[str, ...]]:
    """Whether connections are looked at, and the rules."""
    found, tracked = [], False
    for each in _in_order([one for one in placed if _is_traffic(one)]):
        for protocol in _instances(each):
            assert isinstance(protocol, documents.Traffic4 | documents.Traffic6)
            for side in traffic.sides(each.rule, protocol):
                if side.sent is sent and (conditions := traffic.compiled(protocol, side, tracker)) is not None:
                    found.append(" ".join([*conditions, _verdict(each.rule.action, rejects=rejects)]))
                    tracked = tracked or bool(side.states or protocol.connlimit_above)
    return tracked, tuple(found)


def _verdict(action: Action, *, rejects: bool) -> str:
    if action is Action.REJECT:
        return "reject" if rejects else "drop"
    return action.value
