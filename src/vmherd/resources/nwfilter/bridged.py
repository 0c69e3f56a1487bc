"""Rules of the link layer as conditions of nftables' family ``bridge``.

Each function takes a rule without variables; ``turned`` exchanges source and destination.  Every rule stands for
itself: it says the protocol it is about.

Source: ebtablesCreateRuleInstance of src/nwfilter/nwfilter_ebiptables_driver.c, and the ebtables extensions of the
kernel for what the conditions mean (net/bridge/netfilter/ebt_*.c)
"""

from __future__ import annotations

from functools import singledispatch
from ipaddress import ip_interface

from vmherd.conf.nwfilter import bridged, values
from vmherd.errors import Unsupported

#: The group address of bridges, and where spanning tree's frames have their fields, in bits after the header.
STP_GROUP = "01:80:c2:00:00:00"
_STP_HEADER = 24  # that of LLC
_STP = {
    "type": (24, 8),
    "flags": (32, 8),
    "root_priority": (40, 16),
    "root_address": (56, 48),
    "root_cost": (104, 32),
    "sender_priority": (136, 16),
    "sender_address": (152, 48),
    "port": (200, 16),
    "age": (216, 16),
    "max_age": (232, 16),
    "hello_time": (248, 16),
    "forward_delay": (264, 16),
}


def number(text: str) -> int:
    """What a number or its name stands for."""
    return values.NAMED.get(text) or int(text, 0)


def equal(what: str, value: object, rule: bridged.Protocol) -> str:
    """What must be so; or must not, where the rule is turned around."""
    return f"{what} {'==' if rule.match else '!='} {value}"


def span(low: str, high: str | None) -> str:
    """A number, or a range of them."""
    return f"{number(low)}" if high is None else f"{number(low)}-{number(high)}"


def ends(turned: bool) -> tuple[str, str]:
    """What nftables calls the source and the destination of a rule."""
    return ("daddr", "saddr") if turned else ("saddr", "daddr")


def mac(what: str, address: str, mask: str | None, rule: bridged.Protocol) -> str:
    if mask is None:
        return equal(what, address, rule)
    bits = int(mask.replace(":", ""), 16) & int(address.replace(":", ""), 16)
    return equal(f"{what} & {mask}", bits.to_bytes(6, "big").hex(":"), rule)


def network(address: str, mask: str | None) -> str:
    """An address, or the network it is in."""
    return address if mask is None else str(ip_interface(f"{address}/{mask}").network)


def _ethernet(rule: bridged.Sent, *, turned: bool) -> list[str]:
    source, destination = ends(turned)
    found = []
    if rule.srcmacaddr:
        found.append(mac(f"ether {source}", rule.srcmacaddr, rule.srcmacmask, rule))
    if isinstance(rule, bridged.Ethernet) and rule.dstmacaddr:
        found.append(mac(f"ether {destination}", rule.dstmacaddr, rule.dstmacmask, rule))
    return found


@singledispatch
def conditions(rule: bridged.Protocol, *, turned: bool) -> list[str]:
    """What a frame must have."""
    raise TypeError(rule)


@conditions.register
def _mac(rule: bridged.MacRule, *, turned: bool) -> list[str]:
    found = _ethernet(rule, turned=turned)
    if rule.protocolid:
        found.append(equal("ether type", hex(number(rule.protocolid)), rule))
    return found


@conditions.register
def _vlan(rule: bridged.VlanRule, *, turned: bool) -> list[str]:
    found = [*_ethernet(rule, turned=turned), "ether type 0x8100"]
    if rule.vlanid:
        found.append(equal("vlan id", number(rule.vlanid), rule))
    if rule.encap_protocol:
        found.append(equal("vlan type", hex(number(rule.encap_protocol)), rule))
    return found


@conditions.register
def _stp(rule: bridged.StpRule, *, turned: bool) -> list[str]:
    found = [*_ethernet(rule, turned=turned), f"ether daddr {STP_GROUP}", "@nh,0,48 0x424203000000"]
    for field, (place, bits) in _STP.items():
        value = getattr(rule, field)
        where = f"@nh,{_STP_HEADER + place},{bits}"
        if value is None:
            continue
        if bits == 48:
            found.append(_raw_mac(where, value, getattr(rule, f"{field}_mask"), rule))
        else:
            found.append(equal(where, span(value, getattr(rule, f"{field}_hi", None)), rule))
    return found


def _raw_mac(where: str, address: str, mask: str | None, rule: bridged.Protocol) -> str:
    bits = int((mask or "ff:ff:ff:ff:ff:ff").replace(":", ""), 16)
    masked = hex(int(address.replace(":", ""), 16) & bits)
    return equal(where if mask is None else f"{where} & {bits:#x}", masked, rule)


@conditions.register
def _arp(rule: bridged.ArpRule, *, turned: bool) -> list[str]:
    """ARP, and RARP with the same frames.  nftables knows those of ARP only: hence places in place of names."""
    kind = 0x8035 if isinstance(rule, bridged.RarpRule) else 0x0806
    found = [*_ethernet(rule, turned=turned), f"ether type {kind:#06x}"]
    for value, where in ((rule.hwtype, "@nh,0,16"), (rule.protocoltype, "@nh,16,16"), (rule.opcode, "@nh,48,16")):
        if value:
            found.append(equal(where, number(value), rule))
    return [*found, *_arp_addresses(rule, turned=turned), *_gratuitous(rule, kind)]


def _arp_addresses(rule: bridged.ArpRule, *, turned: bool) -> list[str]:
    """Those of Ethernet and IPv4: where they are of another kind, nothing is as the rule says."""
    source, destination = ("@nh,144,48", "@nh,64,48") if turned else ("@nh,64,48", "@nh,144,48")
    macs = [(rule.arpsrcmacaddr, source), (rule.arpdstmacaddr, destination)]
    found = [_raw_mac(where, value, None, rule) for value, where in macs if value]
    source, destination = ("@nh,192,32", "@nh,112,32") if turned else ("@nh,112,32", "@nh,192,32")
    ips = [
        (rule.arpsrcipaddr, rule.arpsrcipmask, source),
        (rule.arpdstipaddr, rule.arpdstipmask, destination),
    ]
    found += [_raw_ip(where, value, mask, rule) for value, mask, where in ips if value]
    lengths = ["@nh,0,16 1", "@nh,16,16 0x0800", "@nh,32,16 0x0604"] if found else []
    return lengths + found


def _raw_ip(where: str, address: str, mask: str | None, rule: bridged.Protocol) -> str:
    within = ip_interface(f"{address}/{mask or 32}").network
    bits = int(within.netmask)
    return equal(where if mask is None else f"{where} & {bits:#x}", hex(int(within.network_address)), rule)


def _gratuitous(rule: bridged.ArpRule, kind: int) -> list[str]:
    """Sender and target have one address.

    nftables compares a field with a value, never with another field.  So the sender's address is put twice into a
    set of pairs; sender and target are in it only where they are the same.
    """
    if rule.gratuitous is None:
        return []
    if kind != 0x0806:
        raise Unsupported("gratuitous is for ARP, not for RARP", hint="compare both addresses with values")
    wanted = (rule.gratuitous == "true") == rule.match
    remember = "update @gratuitous { arp saddr ip . arp saddr ip }"
    return [remember, f"arp saddr ip . arp daddr ip {'==' if wanted else '!='} @gratuitous"]


@conditions.register
def _ip(rule: bridged.IpRule, *, turned: bool) -> list[str]:
    found = [*_ethernet(rule, turned=turned), "ether type 0x0800", *_internet(rule, "ip", turned=turned)]
    if rule.dscp:
        found.append(equal("ip dscp", number(rule.dscp), rule))
    return found


@conditions.register
def _ipv6(rule: bridged.Ipv6Rule, *, turned: bool) -> list[str]:
    found = [*_ethernet(rule, turned=turned), "ether type 0x86dd", *_internet(rule, "ip6", turned=turned)]
    if rule.type:
        low, high = rule.type, rule.typeend
        kinds = span(low, high)
        codes = "0-255" if rule.code is None else span(rule.code, rule.codeend)
        found += ["meta l4proto 58", icmp("icmpv6", kinds, codes, rule)]
    return found


def icmp(family: str, kinds: str, codes: str, rule: bridged.Protocol) -> str:
    """Type and code together are one condition."""
    if codes == "0-255":
        return equal(f"{family} type", kinds, rule)
    return equal(f"{family} type . {family} code", f"{{ {kinds} . {codes} }}", rule)


def _internet(rule: bridged.IpRule | bridged.Ipv6Rule, family: str, *, turned: bool) -> list[str]:
    source, destination = ends(turned)
    found = []
    if rule.srcipaddr:
        found.append(equal(f"{family} {source}", network(rule.srcipaddr, rule.srcipmask), rule))
    if rule.dstipaddr:
        found.append(equal(f"{family} {destination}", network(rule.dstipaddr, rule.dstipmask), rule))
    wanted = ports(rule, turned=turned)
    if rule.protocol and not (wanted and not rule.match):
        found.append(equal("meta l4proto", number(rule.protocol), rule))
    elif rule.protocol:
        raise Unsupported("match='no' with a protocol and its ports", hint="tell the protocol alone, or the ports")
    return found + wanted


def ports(rule: object, *, turned: bool) -> list[str]:
    """Those of any protocol that has them."""
    assert isinstance(rule, bridged.Protocol)
    source, destination = ("dport", "sport") if turned else ("sport", "dport")
    found = []
    for name, start, end in ((source, "srcportstart", "srcportend"), (destination, "dstportstart", "dstportend")):
        if low := getattr(rule, start, None):
            found.append(equal(f"th {name}", span(low, getattr(rule, end)), rule))
    return found
