"""Reading networks: what is filled in, and what is refused because parts contradict each other.

Source: virNetworkDefParseXML and virNetworkForwardDefParseXML of libvirt 9.0
"""

from __future__ import annotations

from functools import partial

from vmherd.conf.network.checks import check_all, located
from vmherd.conf.network.dns import Dns
from vmherd.conf.network.forward import Forward, ForwardInterface, ForwardMode
from vmherd.conf.network.network import Bridge, DnsmasqOptions, Network, PortGroup
from vmherd.conf.network.shared import Isolation, NetworkBandwidth
from vmherd.errors import DocumentError, InvalidArgument
from vmherd.util import addresses
from vmherd.util.xmlmodel import parse, render

_M = ForwardMode
#: Networks whose bridge libvirt makes, with addresses of the host in it.
ROUTED = (_M.NONE, _M.NAT, _M.ROUTE, _M.OPEN)


def parse_network(text: str | bytes) -> Network:
    """A network with everything filled in that follows from the rest.  Raises DocumentError."""
    network = parse(Network, text)
    network.connections = 0
    if network.forward:
        _choose(network.forward)
    complete(network)
    return network


def _choose(forward: Forward) -> None:
    """One kind of device counts: cards before addresses, addresses before a physical function."""
    for each in forward.cards:
        each.connections = 0
    forward.interfaces = list(forward.cards) or forward.interfaces
    if forward.interfaces:
        forward.pf = None


def render_network(network: Network, *, inactive: bool = False) -> str:
    """The document as text; ``inactive`` leaves out what only a running network has.

    Source: VIR_NETWORK_XML_INACTIVE of virNetworkDefFormat
    """
    return render(stored(network) if inactive else network)


def stored(network: Network) -> Network:
    """A copy without counts of connections, and without the functions that were found on a card."""
    copy = network.copy()
    copy.connections = 0
    forward = copy.forward
    if forward:
        forward.interfaces = [] if forward.pf else forward.interfaces
        for each in forward.cards:
            each.connections = 0
    return copy


def complete(network: Network) -> None:
    """Fill in what follows from the rest.  Raises DocumentError for what contradicts itself."""
    if not network.name:
        raise DocumentError("missing name information", place="network/name", hint="give the network a <name>")
    if "/" in network.name:
        raise DocumentError("a name cannot contain '/'", place="network/name")
    check_all(network, "network")
    if network.virtualport and network.virtualport.type is None:
        raise DocumentError("missing required virtualport type", place="network/virtualport/@type")
    if network.forward:
        _complete_forward(network.forward)
        network.forward = None if network.mode is _M.NONE else network.forward
    _check_ips(network)
    _check_dns(network.dns)
    _check_routes(network)
    _check_mode(network)
    _complete_bridge(network)
    tidy(network)


def _complete_forward(forward: Forward) -> None:
    """``dev`` and the first interface are the same."""
    place = "network/forward"
    forward.dev = forward.dev or None
    if forward.dev is not None and not forward.cards:
        forward.interfaces = [ForwardInterface(dev=forward.dev)]
    names = [each.dev for each in forward.cards]
    if forward.dev is not None and names[0] != forward.dev:
        raise DocumentError(f"dev='{forward.dev}' must be that of the first interface, {names[0]!r}", place=place)
    if len(set(names)) < len(names):
        raise DocumentError("an interface can only be listed once", place=f"{place}/interface")
    places = [(each.domain, each.bus, each.slot, each.function) for each in forward.addresses]
    if len(set(places)) < len(places):
        raise DocumentError("a PCI address can only be listed once", place=f"{place}/address")


def _check_ips(network: Network) -> None:
    for number, ip in enumerate(network.ips, start=1):
        place = f"network/ip[{number}]/dhcp"
        for each in ip.dhcp.ranges if ip.dhcp else []:
            located(f"{place}/range", partial(ip.check_range, each))
        for host in ip.dhcp.hosts if ip.dhcp else []:
            located(f"{place}/host", partial(host.check_in, ip))


def _check_dns(dns: Dns | None) -> None:
    if dns is None:
        return
    if not dns.wanted and (dns.forwarders or dns.txts or dns.srvs or dns.hosts):
        raise DocumentError("there are records although DNS is disabled", place="network/dns")


def _check_routes(network: Network) -> None:
    """A gateway must be in one of the network's own ranges."""
    for number, route in enumerate(network.routes, start=1):
        gateway = addresses.parse(route.gateway)
        within = []
        for ip in network.ips:
            try:
                within.append(addresses.network(addresses.parse(ip.address), ip.bits))
            except (ValueError, InvalidArgument):
                continue
        if not any(gateway in each for each in within if each.version == gateway.version):
            raise DocumentError(
                f"the gateway {route.gateway} cannot be reached: it is in no range of the network",
                place=f"network/route[{number}]/@gateway",
            )


def _check_mode(network: Network) -> None:
    mode, forward = network.mode, network.forward
    place = "network/forward"
    if forward and mode in ROUTED:
        if not network.ips:
            raise DocumentError(f"{mode} forwarding needs an IP address", place=place, hint="add an <ip>")
        if mode is _M.OPEN and forward.interfaces:
            raise DocumentError("mode 'open' goes through no particular interface", place=place)
        if len(forward.interfaces) > 1:
            raise DocumentError(f"mode '{mode}' goes through one interface only", place=place)
    if mode not in ROUTED and network.mtu and network.mtu.size:
        raise DocumentError(f"an mtu cannot be set in mode '{mode}'", place="network/mtu")
    bridge = network.bridge
    if bridge is None or mode in ROUTED:
        return
    if bridge.stp is not None or bridge.delay or bridge.zone is not None:
        raise DocumentError(
            f"a bridge in mode '{mode}' is not ours: it has no stp, delay or zone", place="network/bridge"
        )
    if mode is not _M.BRIDGE and (bridge.name is not None or bridge.mac_table_manager is not None):
        raise DocumentError(f"there is no bridge in mode '{mode}'", place="network/bridge", hint="remove it")
    if bridge.name is not None and forward and (forward.interfaces or forward.pf):
        raise DocumentError("a bridge and a forward device exclude each other", place="network/bridge")


def _complete_bridge(network: Network) -> None:
    if network.mode in ROUTED:
        bridge = network.bridge = network.bridge or Bridge()
        bridge.stp = bridge.stp is not False
        bridge.delay = bridge.delay or 0
    elif network.bridge:
        network.bridge.delay = None
        if network.bridge == Bridge():
            network.bridge = None


def tidy(network: Network) -> None:
    """``dev`` tells the first interface, and elements that say nothing are not kept."""
    forward = network.forward
    if forward:
        cards = forward.interfaces[:1]
        forward.dev = cards[0].dev if cards and isinstance(cards[0], ForwardInterface) and not forward.pf else None
    if network.mtu and not network.mtu.size:
        network.mtu = None
    if network.mac and not network.mac.address:
        network.mac = None
    if network.domain and network.domain.name is None:
        network.domain = None
    holders: list[Network | PortGroup] = [network, *network.portgroups]
    for each in holders:
        if each.bandwidth:
            each.bandwidth.tidy()
        if each.bandwidth == NetworkBandwidth():
            each.bandwidth = None
    for name, empty in _EMPTY.items():
        if getattr(network, name) == empty:
            setattr(network, name, None)


_EMPTY = {"dns": Dns(), "port": Isolation(), "dnsmasq": DnsmasqOptions()}
