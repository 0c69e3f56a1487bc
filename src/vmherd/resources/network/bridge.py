"""The bridge of a network: the device, the host's addresses in it, routes, and the kernel's settings for it.

Source: networkStartNetworkVirtual of src/network/bridge_driver.c, virNetDevBridgeCreate, networkSetIPv6Sysctls and
virNetDevIPCheckIPv6Forwarding of libvirt 9.0; Documentation/networking/ip-sysctl.rst of Linux
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmherd.conf.network import Network
from vmherd.conf.network.forward import ForwardMode
from vmherd.conf.network.ip import Ip, Route
from vmherd.conf.network.shared import MacTableManager
from vmherd.errors import HostError, Unsupported
from vmherd.util import addresses
from vmherd.util.netlink import with_links

if TYPE_CHECKING:
    from pyroute2 import AsyncIPRoute

_SETTINGS = Path("/proc/sys/net")
#: The host's address need not wait until it is known that nobody else has it: the bridge is ours, and dnsmasq binds it.
_NO_DUPLICATE_CHECK = 0x02  # IFA_F_NODAD
_HUNDREDTHS = 100
_FROM_ADVERTISEMENTS = 9  # RTPROT_RA
_HINT = "virtual networks take root's rights; without them there is <interface type='user'>"


async def make(network: Network) -> None:
    """Make the bridge, with all that belongs to it, and switch it on.

    Raises HostError; what was made until then is for the caller to remove.
    """
    assert network.bridge is not None  # the caller makes one for networks that have it
    await with_links(
        lambda links: _make(links, network), what=f"cannot make the bridge {network.bridge.name}", hint=_HINT
    )


async def _make(links: AsyncIPRoute, network: Network) -> None:
    assert network.bridge is not None
    name = network.bridge.name or ""
    await _add(links, network, name)
    (index,) = await links.link_lookup(ifname=name)
    if network.mtu:
        await links.link("set", index=index, mtu=network.mtu.size)
    _set_ipv6(network, name)
    for ip in network.ips:
        await links.addr("add", index=index, **_address(ip))
    await links.link("set", index=index, state="up")
    for route in network.routes:
        await links.route("add", oif=index, **_route(route))
    if network.mode is not ForwardMode.NONE:
        _forward(network)


async def _add(links: AsyncIPRoute, network: Network, name: str) -> None:
    from pyroute2 import NetlinkError

    options = _options(network)
    try:
        await links.link("add", ifname=name, kind="bridge", **options)
    except NetlinkError as problem:
        if problem.code == errno.EOPNOTSUPP and "br_vlan_filtering" in options:
            raise Unsupported(
                "this kernel's bridges cannot be told addresses in place of learning them (BRIDGE_VLAN_FILTERING)",
                place="network/bridge/@macTableManager",
                hint="leave macTableManager out",
            ) from None
        raise


def _options(network: Network) -> dict[str, Any]:
    bridge = network.bridge
    assert bridge is not None
    options: dict[str, Any] = {
        "br_forward_delay": (bridge.delay or 0) * _HUNDREDTHS,
        "br_stp_state": int(bridge.stp is not False),
    }
    if network.mac:
        options["address"] = network.mac.address
    if bridge.mac_table_manager is MacTableManager.LIBVIRT:
        options["br_vlan_filtering"] = 1
    return options


def _address(ip: Ip) -> dict[str, Any]:
    if ip.version == 6:
        return {"address": ip.address, "prefixlen": ip.bits, "flags": _NO_DUPLICATE_CHECK}
    within = addresses.network(addresses.parse(ip.address), ip.bits)
    broadcast = {"broadcast": str(within.broadcast_address)} if ip.bits < 31 else {}
    return {"address": ip.address, "prefixlen": ip.bits, **broadcast}


def _route(route: Route) -> dict[str, Any]:
    bits = route.prefix
    if bits is None and route.netmask is not None:
        bits = int(addresses.parse(route.netmask)).bit_count()
    # virNetDevIPRouteAdd: 1 where the document tells none
    return {"dst": f"{route.address}/{bits or 0}", "gateway": route.gateway, "priority": route.metric or 1}


def _has_ipv6(network: Network) -> bool:
    return any(ip.version == 6 for ip in network.ips)


def _set_ipv6(network: Network, bridge: str) -> None:
    """The host takes part with IPv6 only where it has an address, and believes no guest that says it is a router."""
    if _has_ipv6(network):
        _set(f"ipv6/conf/{bridge}/disable_ipv6", "0")
        _set(f"ipv6/conf/{bridge}/accept_ra", "0")
        _set(f"ipv6/conf/{bridge}/autoconf", "0")
    elif (_SETTINGS / "ipv6").exists():
        _set(f"ipv6/conf/{bridge}/disable_ipv6", "1")


def _forward(network: Network) -> None:
    if any(ip.version == 4 for ip in network.ips):
        _set("ipv4/ip_forward", "1")
    if _has_ipv6(network):
        _set("ipv6/conf/all/forwarding", "1")


def _set(setting: str, value: str) -> None:
    """Write a setting of the kernel, unless it has that value.  Raises HostError."""
    path = _SETTINGS / setting
    try:
        if path.read_text().strip() != value:
            path.write_text(value)
    except OSError as problem:
        raise HostError(f"cannot set {path} to {value}: {problem.strerror}", hint=_missing(setting)) from None


def _missing(setting: str) -> str:
    return "the host's kernel has no IPv6: leave the IPv6 addresses out" if setting.startswith("ipv6") else _HINT


async def remove(network: Network) -> None:
    """Remove the bridge if it is there and ours, which its address tells.  Raises HostError."""
    bridge = network.bridge
    assert bridge is not None

    async def work(links: AsyncIPRoute) -> None:
        async for link in await links.link("dump", ifname=bridge.name):
            kind = link.get(("linkinfo", "kind"))
            if kind == "bridge" and network.mac and link.get("address") == network.mac.address:
                await links.link("del", index=link["index"])

    await with_links(work, what=f"cannot remove the bridge {bridge.name}", hint=_HINT)


def starts_forwarding_ipv6(network: Network) -> bool:
    """Whether the host will forward IPv6, and does not do so yet."""
    forwarding = _SETTINGS / "ipv6/conf/all/forwarding"
    if not _has_ipv6(network) or network.mode is ForwardMode.NONE or not forwarding.exists():
        return False
    return forwarding.read_text().strip() != "1"


async def check_advertised_routes(links: AsyncIPRoute) -> None:
    """Raise HostError where forwarding IPv6 would make the host lose its own routes.

    A host that forwards ignores router advertisements unless accept_ra is 2.
    """
    suspects = set()
    async for route in await links.get_routes(family=10, proto=_FROM_ADVERTISEMENTS):
        async for link in await links.get_links(route.get("oif")):
            name = link.get("ifname")
            if (_SETTINGS / f"ipv6/conf/{name}/accept_ra").read_text().strip() != "2":
                suspects.add(name)
    if suspects:
        which = ", ".join(sorted(suspects))
        raise HostError(
            f"forwarding IPv6 would make the host lose the routes that routers advertise on {which}",
            hint=f"first: sysctl net.ipv6.conf.{min(suspects)}.accept_ra=2",
        )
