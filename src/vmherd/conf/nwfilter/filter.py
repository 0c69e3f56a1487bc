"""<filter>: rules for the frames of a guest, and other filters to apply with them.

Source: https://libvirt.org/formatnwfilter.html and src/conf/nwfilter_conf.c
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from vmherd.conf.nwfilter import bridged, traffic
from vmherd.conf.nwfilter.reference import FilterRef, Name
from vmherd.conformance import Case
from vmherd.util.xmlmodel import BadValue, Codec, Element, Uuid, attr, children, leaf, parse, render, whole

ROOT = "root"
_DEFAULT_PRIORITY = 500

#: Priorities of the chains, by what their names begin with.  libvirt 9.0 has none for stp, whatever its documents say.
_CHAINS = {"mac": -800, "vlan": -750, "stp": 0, "arp": -500, "rarp": -400, "ipv4": -700, "ipv6": -600}


class Action(StrEnum):
    """CONTINUE goes on with the next rule, RETURN with the rules after the chain."""

    DROP = "drop"
    ACCEPT = "accept"
    REJECT = "reject"
    RETURN = "return"
    CONTINUE = "continue"


class Direction(StrEnum):
    """As the guest sees it: OUT is sent by it."""

    IN = "in"
    OUT = "out"
    INOUT = "inout"


def _chain(text: str) -> str:
    """Source: virNWFilterIsAllowedChain"""
    if text in ("", ROOT):
        return ROOT
    if not text.startswith(tuple(_CHAINS)):
        raise BadValue(f"{text[:60]!r} is no chain", f"it may be root, or begin with one of {', '.join(_CHAINS)}")
    if not re.fullmatch(r"[a-zA-Z0-9_.:\-]{1,12}", text):
        raise BadValue(f"{text[:60]!r} is no name of a chain", "up to 12 letters, digits and any of _.:-")
    return text


def _state_match(text: str) -> bool:
    if text.lower() in ("0", "false"):
        return False
    if text.lower() in ("1", "true"):
        return True
    raise ValueError(f"{text[:60]!r} is neither 'true' nor 'false'")


Chain = Annotated[str, Codec(_chain)]
Priority = Annotated[int, whole(-1000, 1000), Meta(ge=-1000, le=1000)]
StateMatch = Annotated[bool, Codec(_state_match, lambda value: "true" if value else "false")]


class Rule(Element, tag="rule", json={"kind": "rule"}):
    """What happens to frames that are as ``protocols`` says: one at most, none for all frames.

    Rules of lower ``priority`` come first.  Without ``statematch`` replies are not let pass by themselves.
    """

    action: Action = attr()
    direction: Direction = attr()
    priority: Priority = attr(default=_DEFAULT_PRIORITY, always=True)
    statematch: StateMatch = attr(default=True)
    protocols: list[
        bridged.MacRule
        | bridged.VlanRule
        | bridged.StpRule
        | bridged.ArpRule
        | bridged.RarpRule
        | bridged.IpRule
        | bridged.Ipv6Rule
        | traffic.TcpRule
        | traffic.UdpRule
        | traffic.UdpliteRule
        | traffic.EspRule
        | traffic.AhRule
        | traffic.SctpRule
        | traffic.IcmpRule
        | traffic.IgmpRule
        | traffic.AllRule
        | traffic.Tcp6Rule
        | traffic.Udp6Rule
        | traffic.Udplite6Rule
        | traffic.Esp6Rule
        | traffic.Ah6Rule
        | traffic.Sctp6Rule
        | traffic.Icmp6Rule
        | traffic.All6Rule
    ] = children()

    def __post_init__(self) -> None:
        if len(self.protocols) > 1:
            raise BadValue("a rule is about one protocol", "make a rule of each")


class Filter(Element, tag="filter"):
    """A filter.  Lower chains come first; ``priority`` is None where the chain has none of its own."""

    name: Name = attr()
    chain: Chain = attr(default=ROOT, always=True)
    priority: Priority | None = attr()
    uuid: Uuid | None = leaf()
    entries: list[FilterRef | Rule] = children()


def parse_filter(text: str | bytes) -> Filter:
    """A filter with everything filled in that follows from the rest.  Raises DocumentError.

    Source: virNWFilterDefParseXML
    """
    filter_ = parse(Filter, text)
    default = next((number for prefix, number in _CHAINS.items() if filter_.chain.startswith(prefix)), 0)
    if filter_.priority is None:
        filter_.priority = default
    if filter_.priority == default == 0:
        filter_.priority = None
    return filter_


def conformance(case: Case) -> str:
    """A filter read and written."""
    return render(parse_filter(case.input))
