"""<ip> and <route>: addresses of a network, and what DHCP gives to guests.

Source: virNetworkIPDefParseXML of libvirt and what it calls, virNetDevIPRouteCreate
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address

from vmherd.conf.network.shared import Address
from vmherd.errors import InvalidArgument
from vmherd.util import addresses
from vmherd.util.xmlmodel import Element, UInt, ULong, YesNo, attr, child, children, parse_mac


class LeaseUnit(StrEnum):
    SECONDS = "seconds"
    MINUTES = "minutes"
    HOURS = "hours"


#: dnsmasq gives nothing for less than two minutes.
_SHORTEST = {LeaseUnit.SECONDS: 120, LeaseUnit.MINUTES: 2, LeaseUnit.HOURS: 1}


class Lease(Element, tag="lease"):
    """For how long an address is given; 0 is for ever."""

    expiry: ULong | None = attr()
    unit: LeaseUnit | None = attr()

    def __post_init__(self) -> None:
        if self.unit is None and self.expiry:
            self.unit = LeaseUnit.MINUTES
        if self.expiry == 0:
            self.unit = None

    def check(self) -> None:
        """Raises ValueError for too short a time."""
        if self.expiry and self.expiry < _SHORTEST[self.unit or LeaseUnit.MINUTES]:
            raise ValueError("a lease lasts at least 2 minutes")


class DhcpRange(Element, tag="range"):
    start: Address = attr()
    end: Address = attr()
    lease: Lease | None = child()

    def __post_init__(self) -> None:
        self.lease = _told(self.lease)


class DhcpHost(Element, tag="host"):
    """A guest that always gets the same address; ``id`` is its DUID, for IPv6."""

    mac: str | None = attr()
    id: str | None = attr()
    name: str | None = attr()
    ip: Address | None = attr()
    lease: Lease | None = child()

    def __post_init__(self) -> None:
        self.lease = _told(self.lease)

    def sound(self) -> None:
        """Raises ValueError for values that cannot be."""
        if self.mac is not None and int(parse_mac(self.mac)[:2], 16) & 1:
            raise ValueError(f"{self.mac!r} is a multicast MAC address")
        if self.id is not None and set(self.id) - set("0123456789abcdefABCDEF:"):
            raise ValueError(f"{self.id!r} is not hexadecimal digits and colons")
        if self.name is not None and not (self.name[:1].isascii() and self.name[:1].isalnum()):
            raise ValueError(f"{self.name!r} cannot be the name of a host")

    def same_mac(self, other: DhcpHost) -> bool:
        return bool(self.mac and other.mac) and parse_mac(self.mac or "") == parse_mac(other.mac or "")

    def check_in(self, ip: Ip, *, partial: bool = False) -> None:
        """Raises ValueError for a host of ``ip`` that says too little; one to be found may be ``partial``."""
        self.sound()
        if self.mac is not None and ip.version == 6:
            raise ValueError(f"MAC address {self.mac!r} cannot be given to a host in an IPv6 network")
        if partial:
            if self.mac is None and self.name is None and self.ip is None:
                raise ValueError("a host must have at least one of name, mac and ip")
            return
        if self.name is None and (self.mac, self.id)[ip.version == 6] is None:
            raise ValueError(f"a host in an IPv{ip.version} network must have {_NAMING[ip.version]} or name")
        if self.ip is None:
            raise ValueError("a host must have an ip")


_NAMING = {4: "mac", 6: "id"}


def _told(lease: Lease | None) -> Lease | None:
    return None if lease is None or lease.expiry is None else lease


class Bootp(Element, tag="bootp"):
    """What guests load when they start from the network."""

    file: str | None = attr()
    server: Address | None = attr()


class Dhcp(Element, tag="dhcp"):
    ranges: list[DhcpRange] = children()
    hosts: list[DhcpHost] = children()
    bootp: Bootp | None = child()


class Tftp(Element, tag="tftp"):
    """A folder of files to start from."""

    root: str | None = attr()


class Ip(Element, tag="ip"):
    """An address of the host in the network, and with it the network's range."""

    family: str | None = attr()
    address: Address = attr()
    netmask: Address | None = attr()
    prefix: UInt | None = attr()
    local_ptr: YesNo | None = attr("localPtr")
    tftp: Tftp | None = child()
    dhcp: Dhcp | None = child()

    def __post_init__(self) -> None:
        self.family, self.prefix = self.family or None, self.prefix or None
        if self.tftp and not self.tftp.root:
            self.tftp = None
        if self.dhcp and self.dhcp.bootp and (self.version == 6 or self.dhcp.bootp.file is None):
            self.dhcp.bootp = None
        if self.dhcp and not self.serves_dhcp:
            self.dhcp = None

    def check(self) -> None:
        """Raises ValueError for an address that contradicts itself."""
        check_family("address", self.address, self.family)
        if self.netmask is not None:
            _check_netmask(self.address, self.netmask, self.prefix is not None)
        most = 32 if self.version == 4 else 128
        if (self.prefix or 0) > most:
            raise ValueError(f"{self.prefix} is not a prefix of IPv{self.version}: the largest is {most}")

    @property
    def version(self) -> int:
        """4 or 6."""
        return addresses.parse(self.address).version

    @property
    def serves_dhcp(self) -> bool:
        return self.dhcp is not None and bool(self.dhcp.ranges or self.dhcp.hosts)

    @property
    def bits(self) -> int:
        """The length of the network's prefix, from its class if nothing tells it; ValueError if there is none.

        Source: virSocketAddrGetIPPrefix
        """
        if self.prefix is not None:
            return self.prefix
        if self.netmask is not None:
            return _bits_of(self.netmask)
        if self.version == 6:
            return 64
        first = addresses.parse(self.address).packed[0]
        for most, bits in ((0x80, 8), (0xC0, 16), (0xE0, 24)):
            if first < most:
                return bits
        raise ValueError(f"{self.address} is in no class of networks: give it a netmask or prefix")

    def check_range(self, given: DhcpRange) -> None:
        """Raises ValueError for a range that cannot be given out here."""
        try:
            within = addresses.network(addresses.parse(self.address), self.bits)
            addresses.range_size(addresses.parse(given.start), addresses.parse(given.end), within)
        except InvalidArgument as problem:
            raise ValueError(str(problem)) from None


class Route(Element, tag="route"):
    """A network behind one of the guests."""

    family: str | None = attr()
    address: Address = attr()
    netmask: Address | None = attr()
    prefix: UInt | None = attr()
    gateway: Address = attr()
    metric: UInt | None = attr()

    def check(self) -> None:
        """Raises ValueError for a route that leads to no network."""
        for name in ("address", "gateway"):
            check_family(name, getattr(self, name), self.family)
        if self.netmask is not None:
            _check_netmask(self.address, self.netmask, self.prefix is not None)
        if self.metric == 0:
            raise ValueError("metric cannot be zero")
        target = addresses.parse(self.address)
        if (self.prefix or 0) > target.max_prefixlen:
            raise ValueError(f"{self.prefix} is not a prefix: the largest is {target.max_prefixlen}")
        if int(target) & ~self._mask(target.max_prefixlen):
            raise ValueError(f"{self.address} is not the address of a network")

    def _mask(self, width: int) -> int:
        """The netmask as a number; without netmask or prefix only 0.0.0.0 or :: is a network."""
        if self.netmask is not None:
            return int(addresses.parse(self.netmask))
        return (1 << width) - (1 << (width - (self.prefix or 0)))


def check_family(what: str, address: str, family: str | None) -> None:
    """Raises ValueError unless ``address`` is of the family, which is IPv4's if none is told."""
    if family not in (None, "ipv4", "ipv6"):
        raise ValueError(f"{family!r} is neither 'ipv4' nor 'ipv6'")
    version = addresses.parse(address).version
    if version != (6 if family == "ipv6" else 4):
        told = f"family {family!r} is given" if family else "no family is given"
        raise ValueError(f"{told} for the IPv{version} {what} {address!r}")


def _check_netmask(address: str, netmask: str, with_prefix: bool) -> None:
    if addresses.parse(address).version == 6:
        raise ValueError(f"a netmask is not allowed for the IPv6 address {address!r}")
    if with_prefix:
        raise ValueError("there cannot be both a prefix and a netmask")
    if addresses.parse(netmask).version == 6:
        raise ValueError(f"{netmask!r} is no netmask of IPv4")


def _bits_of(netmask: str) -> int:
    mask = int(IPv4Address(netmask))
    bits = mask.bit_count()
    if mask != (1 << 32) - (1 << (32 - bits)):
        raise ValueError(f"{netmask} is not a netmask: it has gaps")
    return bits
