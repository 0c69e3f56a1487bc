"""The small form of a network: what a person says, expanded to a network document."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, ip_interface

import msgspec

from vmherd.conf.network import Network, parse_network, render_network
from vmherd.conf.network.forward import Forward, ForwardInterface, ForwardMode, Nat
from vmherd.conf.network.ip import Dhcp, DhcpRange, Ip
from vmherd.conf.network.network import Bridge, NetworkDomain, NetworkMtu
from vmherd.conf.network.shared import Isolation, NetworkVlan, NetworkVlanTag
from vmherd.errors import InvalidArgument

Interface = IPv4Interface | IPv6Interface

#: Modes in which the host is on the network, with an address of its own.
_OWN = (ForwardMode.NAT, ForwardMode.ROUTE, ForwardMode.OPEN, ForwardMode.NONE)
#: Where addresses come from that nobody chose; libvirt's "default" is in the first of them.
_FREE = [IPv4Network(f"192.168.{number}.0/24") for number in range(123, 255)]


#: Addresses that a range may have, as libvirt has it.
_MOST = 0xFFFE


class NetworkSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A network in a few words.

    ``addresses`` are those of the host, with prefixes (10.0.5.1/24); of a range (10.0.5.0/24) it takes the first.
    ``interface`` is the host's card to go out by, or which the guests share; ``bridge`` one that is there already.
    ``private`` keeps guests from reaching each other.  Guests get addresses unless ``dhcp`` is off.
    """

    name: str
    mode: ForwardMode = ForwardMode.NAT
    addresses: tuple[str, ...] = ()
    interface: str = ""
    bridge: str = ""
    mtu: int | None = None
    vlan: int | None = None
    private: bool = False
    dhcp: bool = True
    domain: str = ""

    def document(self) -> str:
        """The XML document.  Raises InvalidArgument for addresses that are none."""
        network = Network(name=self.name, forward=self._forward())
        if self.bridge:
            network.bridge = Bridge(name=self.bridge)
        network.mtu = NetworkMtu(size=self.mtu) if self.mtu else None
        network.vlan = NetworkVlan(tags=[NetworkVlanTag(id=self.vlan)]) if self.vlan else None
        network.port = Isolation(isolated=True) if self.private else None
        network.domain = NetworkDomain(name=self.domain, local_only=True) if self.domain else None
        network.ips = [ip_of(text, dhcp=self.dhcp) for text in self.addresses]
        return render_network(parse_network(render_network(network)))

    def _forward(self) -> Forward | None:
        if self.mode is ForwardMode.NONE:
            return None
        if self.mode in _OWN:
            six = any(":" in text for text in self.addresses)
            nat = Nat(ipv6=True) if six and self.mode is ForwardMode.NAT else None
            return Forward(mode=self.mode, dev=self.interface or None, nat=nat)
        cards = [ForwardInterface(dev=self.interface)] if self.interface else []
        return Forward(mode=self.mode, interfaces=[*cards])

    @property
    def needs_addresses(self) -> bool:
        """Whether it makes little sense without: the host routes or translates for the guests."""
        return self.mode in (ForwardMode.NAT, ForwardMode.ROUTE, ForwardMode.OPEN)


def ip_of(text: str, *, dhcp: bool = True) -> Ip:
    """The <ip> of an address with a prefix, with DHCP for all others where there are any."""
    own = host_address(text)
    ip = Ip(family="ipv6" if own.version == 6 else None, address=str(own.ip), prefix=own.network.prefixlen)
    if dhcp and (given := _given(own)):
        ip.dhcp = Dhcp(ranges=[DhcpRange(start=given[0], end=given[1])])
    return ip


def host_address(text: str) -> Interface:
    """The host's address in a range, the first if it is not told.  Raises InvalidArgument."""
    try:
        found = ip_interface(text)
    except ValueError as problem:
        raise InvalidArgument(
            f"{text!r} is no range of addresses: {problem}", hint="write it like 10.0.5.0/24"
        ) from None
    whole = found.network
    if whole.num_addresses < 4:
        raise InvalidArgument(f"{text!r} has no room for guests", hint="write it like 10.0.5.0/24")
    return ip_interface((whole.network_address + 1, whole.prefixlen)) if found.ip == whole.network_address else found


def _given(own: Interface) -> tuple[str, str] | None:
    """The first and the last address that DHCP gives away: the longer run beside the host's own."""
    whole = own.network
    last = whole.num_addresses - (2 if own.version == 4 else 1)
    place = int(own.ip) - int(whole.network_address)
    before, after = (1, place - 1), (place + 1, last)
    start, end = before if before[1] - before[0] > after[1] - after[0] else after
    end = min(end, start + _MOST - 1)
    return (str(whole[start]), str(whole[end])) if start <= end else None


def free_range(taken: Iterable[str]) -> str:
    """A range that none of these (as "address/prefix") is in.  Raises InvalidArgument if none is left."""
    used = [ip_interface(text).network for text in taken]
    for each in _FREE:
        if not any(known.version == 4 and each.overlaps(known) for known in used):
            return str(each)
    raise InvalidArgument("no range of addresses is free", hint="say one, such as 10.0.5.0/24")


def addresses_of(xml: str) -> list[str]:
    """The addresses of the host in a network, with their prefixes."""
    return [f"{ip.address}/{ip.bits}" for ip in parse_network(xml).ips]
