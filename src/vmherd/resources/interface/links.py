"""The network devices of this host as the kernel has them: through netlink.

Source: rtnetlink(7), linux/if_link.h
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import msgspec

from vmherd.util.netlink import with_links

if TYPE_CHECKING:
    from pyroute2 import AsyncIPRoute

_UP, _LOOPBACK = 0x1, 0x8  # IFF_*
_PERMANENT = 0x80  # IFA_F_PERMANENT
_GLOBAL = 0  # RT_SCOPE_UNIVERSE
_FAMILIES = {2: 4, 10: 6}  # AF_INET, AF_INET6
_MAIN_TABLE = 254
#: Routes that come by themselves: with an address, or from a router's advertisement.
_BY_THEMSELVES = (2, 9)  # RTPROT_KERNEL, RTPROT_RA
_UNICAST = 1
_HINT = "network devices of the host are root's"


class Address(msgspec.Struct, frozen=True, order=True):
    """An address that is not just of the link; ``dynamic`` ones somebody has given for a time."""

    version: int
    address: str
    prefix: int
    dynamic: bool = False


class Route(msgspec.Struct, frozen=True, order=True):
    """A way that somebody has set; ``destination`` "default", or an address with its prefix.

    ``origin`` is the kernel's number of who: 3 for ip(8), 4 for an administrator, 16 for a DHCP client, ...
    """

    version: int
    destination: str
    gateway: str = ""
    priority: int = 0
    origin: int = 4


class Link(msgspec.Struct, kw_only=True):
    """One device.  ``kind`` is "" for hardware; ``settings`` are those of its kind, by the kernel's names."""

    name: str
    index: int
    kind: str = ""
    mac: str = ""
    mtu: int = 0
    up: bool = False
    loopback: bool = False
    state: str = "unknown"
    master: str = ""
    lower: str = ""
    settings: dict[str, Any] = {}
    addresses: list[Address] = []
    routes: list[Route] = []


async def read() -> dict[str, Link]:
    """Every device by its name."""
    return await with_links(read_with, what="cannot read the network devices", hint=_HINT)


async def read_with(links: AsyncIPRoute) -> dict[str, Link]:
    found: dict[int, Link] = {}
    above: dict[str, tuple[int | None, int | None]] = {}
    async for each in await links.get_links():
        link = _link(each)
        found[link.index] = link
        above[link.name] = each.get("master"), each.get("link")
    for link in found.values():
        master, lower = above[link.name]
        link.master = found[master].name if master in found else ""
        link.lower = found[lower].name if lower in found and lower != link.index else ""
    async for each in await links.get_addr():
        if (address := _address(each)) and each["index"] in found:
            found[each["index"]].addresses.append(address)
    async for each in await links.get_routes(table=_MAIN_TABLE):
        if (route := _route(each)) and each.get("oif") in found:
            found[each.get("oif")].routes.append(route)
    return {link.name: link for link in found.values()}


def _link(told: Any) -> Link:
    kind, settings = "", {}
    if info := told.get("linkinfo"):
        kind = info.get("kind") or ""
        if data := info.get("data"):
            settings = _plain(dict(data["attrs"]))
    return Link(
        name=told.get("ifname"),
        index=told["index"],
        kind=kind,
        mac=told.get("address") or "",
        mtu=told.get("mtu") or 0,
        up=bool(told["flags"] & _UP),
        loopback=bool(told["flags"] & _LOOPBACK),
        state=(told.get("operstate") or "unknown").lower(),
        settings=settings,
    )


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    """The settings by short names, such as forward_delay, as far as they are numbers or texts."""
    found = {}
    for name, value in attributes.items():
        if isinstance(value, int | str):
            found[name.lower().removeprefix("ifla_").removeprefix("br_").removeprefix("bond_")] = value
    return found


def _address(told: Any) -> Address | None:
    if told["scope"] != _GLOBAL or told["family"] not in _FAMILIES:
        return None
    text = told.get("local") or told.get("address")
    flags = told.get("flags") or 0
    return Address(_FAMILIES[told["family"]], text, told["prefixlen"], dynamic=not flags & _PERMANENT)


def _route(told: Any) -> Route | None:
    if told["proto"] in _BY_THEMSELVES or told["type"] != _UNICAST or told["family"] not in _FAMILIES:
        return None
    target = told.get("dst")
    destination = f"{target}/{told['dst_len']}" if target else "default"
    version = _FAMILIES[told["family"]]
    return Route(version, destination, told.get("gateway") or "", told.get("priority") or 0, told["proto"])


def version_of(address: str) -> int:
    """4 or 6; raises ValueError for what is no address."""
    return ipaddress.ip_address(address).version
