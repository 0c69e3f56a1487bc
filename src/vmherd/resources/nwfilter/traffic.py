"""Rules for traffic on IPv4 and IPv6, with the states of connections, as conditions of nftables' family ``bridge``.

One rule of a filter becomes up to two: for the packets of its direction, and for what comes back.

Source: iptablesCreateRuleInstance, iptablesCreateRuleInstanceStateCtrl and _iptablesCreateRuleInstance of
src/nwfilter/nwfilter_ebiptables_driver.c
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from vmherd.conf.nwfilter import Rule, traffic
from vmherd.conf.nwfilter.filter import Action, Direction
from vmherd.errors import Unsupported
from vmherd.resources.nwfilter.bridged import ends, equal, icmp, network, number, ports, span
from vmherd.resources.nwfilter.tracking import ESTABLISHED, NEW, ORIGINAL, REPLY, Tracker

Traffic = traffic.Traffic4 | traffic.Traffic6

#: The number of each protocol; <all> has none.
_NUMBERS: dict[str, int] = {
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "esp": 50,
    "ah": 51,
    "sctp": 132,
    "icmp": 1,
    "icmpv6": 58,
    "igmp": 2,
}


class Side(NamedTuple):
    """A rule for what a guest sends, or gets.  ``turned``: source and destination are exchanged."""

    sent: bool
    turned: bool
    states: tuple[str, ...]
    direction: str | None


def sides(rule: Rule, protocol: Traffic) -> Iterator[Side]:
    """The rules that a rule becomes; both directions are told as those of what comes in where it says inout."""
    incoming = rule.direction is not Direction.OUT
    for sent in (True, False):
        turned = sent == incoming
        if protocol.state:
            if rule.direction is Direction.INOUT or not turned:
                yield Side(sent, turned, _states(protocol.state), None)
        elif _answers_itself(rule) and not protocol.connlimit_above:
            states = (ESTABLISHED,) if turned else (NEW, ESTABLISHED)
            # An answer to a kind of ICMP has a rule of its own, told like one for what begins there.
            direction = None if _has_icmp_kind(protocol) else REPLY if turned else ORIGINAL
            yield Side(sent, turned, states, direction)
        else:
            yield Side(sent, turned, (), None)


def _answers_itself(rule: Rule) -> bool:
    """Only what is accepted looks at the connection; what is refused is refused whatever it belongs to."""
    return rule.action is Action.ACCEPT and rule.direction is not Direction.INOUT and rule.statematch


def _states(told: str) -> tuple[str, ...]:
    return () if told == "NONE" else tuple(told.lower().split(","))


def compiled(protocol: Traffic, side: Side, tracker: Tracker) -> list[str] | None:
    """The conditions of one side of a rule without variables; None where there is none."""
    if side.turned and protocol.connlimit_above:
        return None
    if protocol.connlimit_above and not side.sent:
        hint = "count what the guest begins: direction='out'"
        raise Unsupported("connections to a guest cannot be counted for each sender", hint=hint)
    if protocol.ipset:
        raise Unsupported(
            "nftables does not know the sets of ipset", hint="list the addresses: a variable can be a list"
        )
    if side.turned and _has_icmp_kind(protocol):
        return None
    found = [*_addresses(protocol, side), *_own(protocol), *ports(protocol, turned=side.turned)]
    if not found and _only_sender(protocol):
        return None
    if side.states:
        found.append(tracker.state(side.states, side.direction))
    if protocol.connlimit_above:
        found.append(tracker.more_than(number(protocol.connlimit_above), match=protocol.match))
    return [*_family(protocol), *found]


def _is_six(protocol: Traffic) -> bool:
    return isinstance(protocol, traffic.Traffic6)


def _only_sender(protocol: Traffic) -> bool:
    """It tells the sender's MAC address, which cannot be looked at on the way back."""
    return bool(protocol.srcmacaddr)


def _family(protocol: Traffic) -> Sequence[str]:
    kind = protocol.__xml__.tag.removesuffix("-ipv6")
    found = ["ether type 0x86dd" if _is_six(protocol) else "ether type 0x0800"]
    return [*found, f"meta l4proto {_NUMBERS[kind]}"] if kind in _NUMBERS else found


def _addresses(protocol: Traffic, side: Side) -> list[str]:
    family = "ip6" if _is_six(protocol) else "ip"
    source, destination = ends(side.turned)
    found = []
    if protocol.srcmacaddr and not side.turned:
        found.append(equal("ether saddr", protocol.srcmacaddr, protocol))
    for address, mask, low, high, name in (
        (protocol.srcipaddr, protocol.srcipmask, protocol.srcipfrom, protocol.srcipto, source),
        (protocol.dstipaddr, protocol.dstipmask, protocol.dstipfrom, protocol.dstipto, destination),
    ):
        if address:
            found.append(equal(f"{family} {name}", network(address, mask), protocol))
        elif low:
            found.append(equal(f"{family} {name}", f"{low}-{high}" if high else low, protocol))
    if protocol.dscp:
        found.append(equal(f"{family} dscp", number(protocol.dscp), protocol))
    return found


def _has_icmp_kind(protocol: Traffic) -> bool:
    return isinstance(protocol, traffic.IcmpRule | traffic.Icmp6Rule) and protocol.type is not None


def _own(protocol: Traffic) -> list[str]:
    """What only one protocol has."""
    match protocol:
        case traffic.IcmpRule(type=str(kind)) | traffic.Icmp6Rule(type=str(kind)):
            family = "icmpv6" if _is_six(protocol) else "icmp"
            return [icmp(family, span(kind, None), protocol.code or "0-255", protocol)]
        case traffic.TcpRule() | traffic.Tcp6Rule():
            return _tcp(protocol)
    return []


def _tcp(protocol: traffic.TcpRule | traffic.Tcp6Rule) -> list[str]:
    found = []
    if protocol.flags:
        looked_at, wanted = (_flags(part) for part in protocol.flags.split("/"))
        found.append(equal(f"tcp flags & {looked_at:#x}", f"{wanted:#x}", protocol))
    if protocol.option:
        there = "exists" if protocol.match else "missing"
        found.append(f"tcp option {number(protocol.option)} {there}")
    return found


_FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32}


def _flags(told: str) -> int:
    if told == "ALL":
        return sum(_FLAGS.values())
    return sum(_FLAGS[each] for each in told.split(",") if each != "NONE")
