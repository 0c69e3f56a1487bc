"""What of a network is taken on this host already: its name, its addresses.

Source: networkCheckRouteCollision of src/network/bridge_driver_linux.c of libvirt 9.0, which looks for the same range
only.  Here also a route into a part of the range counts, which would swallow that part's packets, and an interface
whose own range has ours in it.  A wide route to another router, such as that of a VPN, may have it in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING, Any

from vmherd.conf.network import Network
from vmherd.errors import HostError, OperationFailed
from vmherd.resources.network import bridge, names
from vmherd.resources.network.records import Entry, Range, outline, ranges
from vmherd.util.netlink import with_links

if TYPE_CHECKING:
    from pyroute2 import AsyncIPRoute

_MAIN, _UNICAST, _BY_KERNEL = 254, 1, 2  # RT_TABLE_MAIN, RTN_UNICAST, RTPROT_KERNEL
_FAMILIES = {4: AF_INET, 6: AF_INET6}
_HINT = "choose another <ip address=''/>"


async def check_host(network: Network) -> None:
    """Raise HostError where the host has such a device, or a way to such addresses, already."""
    assert network.bridge is not None  # only networks whose bridge we make are asked about
    name = network.bridge.name or ""
    if names.exists(name):
        hint = "choose another <bridge name=''/>, or remove that device: ip link delete " + name
        raise HostError(f"the host has a network device {name} already", hint=hint)

    suspicious = _may_collide(network)
    if not suspicious and not bridge.starts_forwarding_ipv6(network):
        return  # asking the kernel for all details takes longer, with many routes

    async def look(links: AsyncIPRoute) -> None:
        if bridge.starts_forwarding_ipv6(network):
            await bridge.check_advertised_routes(links)
        for version in {ip.version for ip in network.ips} if suspicious else ():
            await _check_routes(links, network, version)

    await with_links(look, what="cannot look at the host's routes", hint=_HINT)


def _may_collide(network: Network) -> bool:
    ours = list(ranges(network))
    return any(there.overlaps(here) for there in reached() for here in ours if here.version == there.version)


async def _check_routes(links: AsyncIPRoute, network: Network, version: int) -> None:
    ours = [each for each in ranges(network) if each.version == version]
    async for route in await links.get_routes(family=_FAMILIES[version], table=_MAIN, type=_UNICAST):
        there = _target(route)
        direct = route["proto"] == _BY_KERNEL and not route.get("gateway")
        for here in ours:
            if there and (_within(there, here) or (direct and _within(here, there))):
                device = await _name(links, route.get("oif"))
                found = f"the host reaches {there} through it, and {network.name!r} has {here}"
                raise HostError(f"Network is already in use by interface {device}: {found}", hint=_HINT)


def _target(route: Any) -> Range | None:
    """Where a route leads; None for what every interface or host has: the default, and addresses of one link."""
    address = route.get("dst")
    found = ip_network(f"{address}/{route['dst_len']}") if address else None
    return None if found and found.is_link_local else found


def _within(small: Range, big: Range) -> bool:
    return big.prefixlen <= small.prefixlen and small.network_address in big


async def _name(links: AsyncIPRoute, index: int | None) -> str:
    if index:
        async for link in await links.get_links(index):
            return str(link.get("ifname"))
    return "?"


def reached() -> Iterator[Range]:
    """Where the host's routes lead, but for default ones.  Source: proc(5), /proc/net/route and ipv6_route"""
    for line in _lines("/proc/net/route")[1:]:
        fields = line.split()
        target, mask = (int.from_bytes(bytes.fromhex(fields[place]), "little") for place in (1, 7))
        if mask:
            yield IPv4Network((target & mask, mask.bit_count()))
    for line in _lines("/proc/net/ipv6_route"):
        address, bits = line.split()[:2]
        if int(bits, 16):
            yield IPv6Network((bytes.fromhex(address), int(bits, 16)))


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # a kernel without that protocol
        return []


def check_networks(network: Network, others: Iterable[Entry]) -> None:
    """Raise OperationFailed where a network that is active, or just starting, has the addresses."""
    ours = list(ranges(network))
    for entry in others:
        text = entry.live or entry.record.coming
        for theirs in outline(text).ranges if text else []:
            if any(theirs.overlaps(each) for each in ours if each.version == theirs.version):
                raise OperationFailed(f"network '{entry.name}' has the addresses {theirs} already", hint=_HINT)
