"""Protocols on IPv4 and IPv6, whose connections are tracked.

Where libvirt 9.0 forgets what a rule says, it is kept here, since a rule without one of its conditions lets more
pass than somebody asked for: sets of addresses in others than <all>, ``flags`` in <tcp-ipv6>.  And ``dstipto`` of an
IPv6 rule is an IPv6 address.

Source: tcpAttributes, udpAttributes, ... of src/conf/nwfilter_conf.c
"""

from __future__ import annotations

from vmherd.conf.nwfilter import values
from vmherd.conf.nwfilter.bridged import Protocol
from vmherd.util.xmlmodel import attr


class Traffic4(Protocol):
    """``srcipfrom`` to ``srcipto`` is a range; ``connlimit_above`` matches from one more connection on."""

    srcmacaddr: values.MacAddress | None = attr()
    srcipaddr: values.IPv4 | None = attr()
    srcipmask: values.IPv4Mask | None = attr()
    dstipaddr: values.IPv4 | None = attr()
    dstipmask: values.IPv4Mask | None = attr()
    srcipfrom: values.IPv4 | None = attr()
    srcipto: values.IPv4 | None = attr()
    dstipfrom: values.IPv4 | None = attr()
    dstipto: values.IPv4 | None = attr()
    dscp: values.Dscp | None = attr()
    connlimit_above: values.Count | None = attr("connlimit-above")
    state: values.States | None = attr()
    ipset: values.SetName | None = attr()
    ipsetflags: values.SetFlags | None = attr()


class Traffic6(Protocol):
    """The same on IPv6."""

    srcmacaddr: values.MacAddress | None = attr()
    srcipaddr: values.IPv6 | None = attr()
    srcipmask: values.IPv6Mask | None = attr()
    dstipaddr: values.IPv6 | None = attr()
    dstipmask: values.IPv6Mask | None = attr()
    srcipfrom: values.IPv6 | None = attr()
    srcipto: values.IPv6 | None = attr()
    dstipfrom: values.IPv6 | None = attr()
    dstipto: values.IPv6 | None = attr()
    dscp: values.Dscp | None = attr()
    connlimit_above: values.Count | None = attr("connlimit-above")
    state: values.States | None = attr()
    ipset: values.SetName | None = attr()
    ipsetflags: values.SetFlags | None = attr()


class Ports4(Traffic4):
    srcportstart: values.UInt16 | None = attr()
    srcportend: values.UInt16 | None = attr()
    dstportstart: values.UInt16 | None = attr()
    dstportend: values.UInt16 | None = attr()


class Ports6(Traffic6):
    srcportstart: values.UInt16 | None = attr()
    srcportend: values.UInt16 | None = attr()
    dstportstart: values.UInt16 | None = attr()
    dstportend: values.UInt16 | None = attr()


class TcpRule(Ports4, tag="tcp", json={"kind": "tcp"}):
    """``option`` is the number of a TCP option that must be there."""

    option: values.UInt8 | None = attr()
    flags: values.TcpFlags | None = attr()


class UdpRule(Ports4, tag="udp", json={"kind": "udp"}):
    pass


class SctpRule(Ports4, tag="sctp", json={"kind": "sctp"}):
    pass


class UdpliteRule(Traffic4, tag="udplite", json={"kind": "udplite"}):
    pass


class EspRule(Traffic4, tag="esp", json={"kind": "esp"}):
    pass


class AhRule(Traffic4, tag="ah", json={"kind": "ah"}):
    pass


class IgmpRule(Traffic4, tag="igmp", json={"kind": "igmp"}):
    pass


class AllRule(Traffic4, tag="all", json={"kind": "all"}):
    """Any protocol on IPv4."""


class IcmpRule(Traffic4, tag="icmp", json={"kind": "icmp"}):
    type: values.UInt8 | None = attr()
    code: values.UInt8 | None = attr()


class Tcp6Rule(Ports6, tag="tcp-ipv6", json={"kind": "tcp-ipv6"}):
    option: values.UInt8 | None = attr()
    flags: values.TcpFlags | None = attr()


class Udp6Rule(Ports6, tag="udp-ipv6", json={"kind": "udp-ipv6"}):
    pass


class Sctp6Rule(Ports6, tag="sctp-ipv6", json={"kind": "sctp-ipv6"}):
    pass


class Udplite6Rule(Traffic6, tag="udplite-ipv6", json={"kind": "udplite-ipv6"}):
    pass


class Esp6Rule(Traffic6, tag="esp-ipv6", json={"kind": "esp-ipv6"}):
    pass


class Ah6Rule(Traffic6, tag="ah-ipv6", json={"kind": "ah-ipv6"}):
    pass


class All6Rule(Traffic6, tag="all-ipv6", json={"kind": "all-ipv6"}):
    """Any protocol on IPv6."""


class Icmp6Rule(Traffic6, tag="icmpv6", json={"kind": "icmpv6"}):
    type: values.UInt8 | None = attr()
    code: values.UInt8 | None = attr()
