"""Protocols of the link layer, and IP as it sees it: what a frame must have for its rule to act.

Every attribute may be left out.  ``match='no'`` turns each given one around.

Source: macAttributes, vlanAttributes, ... of src/conf/nwfilter_conf.c
"""

from __future__ import annotations

from vmherd.conf.nwfilter import values
from vmherd.util.xmlmodel import Element, YesNo, attr

#: Those with ports, by the texts a protocol may have here; 33 is DCCP.
_WITH_PORTS = ("tcp", "udp", "sctp", "33", "0x21")


class Protocol(Element):
    """What all rules may say."""

    match: YesNo = attr(default=True)
    comment: values.Comment | None = attr(last=True)


class Sent(Protocol):
    srcmacaddr: values.MacAddress | None = attr()
    srcmacmask: values.MacMask | None = attr()


class Ethernet(Sent):
    dstmacaddr: values.MacAddress | None = attr()
    dstmacmask: values.MacMask | None = attr()


class MacRule(Ethernet, tag="mac", json={"kind": "mac"}):
    protocolid: values.Ethertype | None = attr()


class VlanRule(Ethernet, tag="vlan", json={"kind": "vlan"}):
    vlanid: values.VlanId | None = attr()
    encap_protocol: values.InnerEthertype | None = attr("encap-protocol")


class StpRule(Sent, tag="stp", json={"kind": "stp"}):
    """Spanning tree; each ``_hi`` makes a range."""

    type: values.UInt8 | None = attr()
    flags: values.UInt8 | None = attr()
    root_priority: values.UInt16 | None = attr("root-priority")
    root_priority_hi: values.UInt16 | None = attr("root-priority-hi")
    root_address: values.MacAddress | None = attr("root-address")
    root_address_mask: values.MacMask | None = attr("root-address-mask")
    root_cost: values.UInt32 | None = attr("root-cost")
    root_cost_hi: values.UInt32 | None = attr("root-cost-hi")
    sender_priority: values.UInt16 | None = attr("sender-priority")
    sender_priority_hi: values.UInt16 | None = attr("sender-priority-hi")
    sender_address: values.MacAddress | None = attr("sender-address")
    sender_address_mask: values.MacMask | None = attr("sender-address-mask")
    port: values.UInt16 | None = attr()
    port_hi: values.UInt16 | None = attr("port-hi")
    age: values.UInt16 | None = attr()
    age_hi: values.UInt16 | None = attr("age-hi")
    max_age: values.UInt16 | None = attr("max-age")
    max_age_hi: values.UInt16 | None = attr("max-age-hi")
    hello_time: values.UInt16 | None = attr("hello-time")
    hello_time_hi: values.UInt16 | None = attr("hello-time-hi")
    forward_delay: values.UInt16 | None = attr("forward-delay")
    forward_delay_hi: values.UInt16 | None = attr("forward-delay-hi")


class ArpRule(Ethernet, tag="arp", json={"kind": "arp"}):
    hwtype: values.UInt16 | None = attr()
    protocoltype: values.UInt16 | None = attr()
    opcode: values.ArpOpcode | None = attr()
    arpsrcmacaddr: values.MacAddress | None = attr()
    arpdstmacaddr: values.MacAddress | None = attr()
    arpsrcipaddr: values.IPv4 | None = attr()
    arpsrcipmask: values.IPv4Mask | None = attr()
    arpdstipaddr: values.IPv4 | None = attr()
    arpdstipmask: values.IPv4Mask | None = attr()
    gratuitous: values.Boolean | None = attr()


class RarpRule(ArpRule, tag="rarp", json={"kind": "rarp"}):
    """It asks for an address the other way around."""


class IpRule(Ethernet, tag="ip", json={"kind": "ip"}):
    """IPv4 as the bridge sees it: no connections are tracked."""

    srcipaddr: values.IPv4 | None = attr()
    srcipmask: values.IPv4Mask | None = attr()
    dstipaddr: values.IPv4 | None = attr()
    dstipmask: values.IPv4Mask | None = attr()
    protocol: values.IpProtocol | None = attr()
    srcportstart: values.UInt16 | None = attr()
    srcportend: values.UInt16 | None = attr()
    dstportstart: values.UInt16 | None = attr()
    dstportend: values.UInt16 | None = attr()
    dscp: values.Dscp | None = attr()

    def __post_init__(self) -> None:
        _check_ports(self)


class Ipv6Rule(Ethernet, tag="ipv6", json={"kind": "ipv6"}):
    """IPv6 as the bridge sees it; ``type`` and ``code`` are those of ICMPv6."""

    srcipaddr: values.IPv6 | None = attr()
    srcipmask: values.IPv6Mask | None = attr()
    dstipaddr: values.IPv6 | None = attr()
    dstipmask: values.IPv6Mask | None = attr()
    protocol: values.IpProtocol | None = attr()
    srcportstart: values.UInt16 | None = attr()
    srcportend: values.UInt16 | None = attr()
    dstportstart: values.UInt16 | None = attr()
    dstportend: values.UInt16 | None = attr()
    type: values.UInt8 | None = attr()
    typeend: values.UInt8 | None = attr()
    code: values.UInt8 | None = attr()
    codeend: values.UInt8 | None = attr()

    def __post_init__(self) -> None:
        _check_ports(self)


def _check_ports(rule: IpRule | Ipv6Rule) -> None:
    """Source: virNWFilterRuleValidate"""
    ports = (rule.srcportstart, rule.srcportend, rule.dstportstart, rule.dstportend)
    if any(port is not None for port in ports) and rule.protocol not in _WITH_PORTS:
        raise ValueError("ports need a protocol that has them: tcp (6), udp (17), dccp (33) or sctp (132)")
