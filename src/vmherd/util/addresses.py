"""Network addresses as programs have always taken them: numeric, of a family, in ranges and networks.

Python's own classes are strict where getaddrinfo(3) is not: 127.1 and 0177.0.0.1 are addresses to every other tool.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from vmherd.errors import InvalidArgument

Address = IPv4Address | IPv6Address

#: How much of a range's ends must be the same: a range has 65535 addresses at most, as libvirt limits it.
_COMMON_BITS = {4: 16, 6: 112}


def parse(text: str, family: str = "unspec") -> Address:
    """A numeric address; ``family`` is "inet", "inet6", or "unspec" for either.  Raises InvalidArgument."""
    # inet_aton(3) reads up to the first blank and takes that for all.
    if family in ("inet", "unspec") and text and not set(text) & set(": \t\n\v\f\r"):
        try:
            return IPv4Address(socket.inet_aton(text))
        except OSError:
            pass
    if family in ("inet6", "unspec"):
        try:
            return IPv6Address(socket.inet_pton(socket.AF_INET6, text))
        except OSError:
            pass
    raise InvalidArgument(f"{text!r} is no numeric address" + ("" if family == "unspec" else f" of family {family}"))


def is_numeric(text: str) -> bool:
    try:
        parse(text)
    except InvalidArgument:
        return False
    return True


def shown(address: Address) -> str:
    """The canonical text, with mapped IPv4 addresses in dots (RFC 5952, section 5)."""
    if isinstance(address, IPv4Address):
        return str(address)
    return socket.inet_ntop(socket.AF_INET6, address.packed)


def network(address: Address, prefix: int) -> IPv4Network | IPv6Network:
    """The network of ``prefix`` bits that an address is in.  Raises InvalidArgument for a prefix out of range."""
    try:
        return ip_network((address, prefix), strict=False)
    except ValueError as problem:
        raise InvalidArgument(f"bad network {address}/{prefix}: {problem}") from None


def same_network(one: Address, other: Address, netmask: Address) -> bool:
    """Whether two addresses agree in the bits of ``netmask``."""
    if not one.version == other.version == netmask.version:
        return False
    return int(one) & int(netmask) == int(other) & int(netmask)


def range_size(start: Address, end: Address, within: IPv4Network | IPv6Network | None = None) -> int:
    """How many addresses there are from ``start`` to ``end``.

    Raises InvalidArgument for a range that falls, is too large, leaves the network ``within``, or takes the
    network's own or its broadcast address.  Source: virSocketAddrGetRange of libvirt
    """
    what = f"the range {start} - {end}"
    if start.version != end.version:
        raise InvalidArgument(f"{what} mixes IPv4 and IPv6")
    if within is not None:
        _check_inside(what, start, end, within)
    common = start.max_prefixlen - _COMMON_BITS[start.version]
    if int(start) >> common != int(end) >> common:
        raise InvalidArgument(f"{what} is too large", hint="a range has 65535 addresses at most")
    if end < start:  # type: ignore[operator]  # both are of one version
        raise InvalidArgument(f"{what} falls", hint="exchange its ends")
    return int(end) - int(start) + 1


def _check_inside(what: str, start: Address, end: Address, within: IPv4Network | IPv6Network) -> None:
    if start not in within or end not in within:
        raise InvalidArgument(f"{what} is not in the network {within}")
    if isinstance(within, IPv4Network) and start == within.network_address:
        raise InvalidArgument(f"{what} begins with the address of the network itself")
    if isinstance(within, IPv4Network) and end == within.broadcast_address:
        raise InvalidArgument(f"{what} ends with the broadcast address of the network")
