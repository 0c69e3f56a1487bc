"""What a card is plugged into: the bridge of its network, or a card of the host out of the network's pool.

Source: networkAllocatePort and networkCreateInterfacePool of libvirt's bridge driver; virNetDevVPortProfileMerge3
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar
from uuid import uuid4

from vmherd.conf.network import Network, NetworkPort
from vmherd.conf.network.forward import ForwardMode
from vmherd.conf.network.network import PortGroup
from vmherd.conf.network.port import DirectMode, Plug, PlugAddress, PlugType, RxFilters
from vmherd.conf.network.shared import Isolation, NetworkPortParameters, NetworkVirtualPort, PortBandwidth, PortType
from vmherd.errors import HostError, Unsupported
from vmherd.resources.network import pool
from vmherd.util.xmlmodel import declared

T = TypeVar("T")

#: Networks whose guests reach the outside by way of this host.
_ROUTED = (ForwardMode.NONE, ForwardMode.NAT, ForwardMode.ROUTE, ForwardMode.OPEN)
_MODES = {
    ForwardMode.BRIDGE: DirectMode.BRIDGE,
    ForwardMode.PRIVATE: DirectMode.PRIVATE,
    ForwardMode.VEPA: DirectMode.VEPA,
    ForwardMode.PASSTHROUGH: DirectMode.PASSTHROUGH,
}


def inherit(network: Network, port: NetworkPort) -> None:
    """What the port does not say, its group does, or the network.  Raises Unsupported where they contradict."""
    group = _group(network, port.group)
    if port.bandwidth is None and group and group.bandwidth:
        port.bandwidth = PortBandwidth(inbound=group.bandwidth.inbound, outbound=group.bandwidth.outbound)
    port.vlan = port.vlan or (group.vlan if group else None) or network.vlan
    trusts = (group.trust_guest_rx_filters if group else None) or network.trust_guest_rx_filters
    if port.rxfilters is None and trusts is not None:
        port.rxfilters = RxFilters(trust_guest=trusts)
    if port.port is None and network.port and network.port.isolated is not None:
        port.port = Isolation(isolated=network.port.isolated)
    profiles = (port.virtualport, group.virtualport if group else None, network.virtualport)
    port.virtualport = _merged([each for each in profiles if each])
    if port.virtualport and port.virtualport.type in _NAMED:
        _name(port.virtualport)


def _group(network: Network, name: str | None) -> PortGroup | None:
    """The one that is named, else the default.

    libvirt goes on without one that is not there.  Its VLAN may be what keeps guests apart, so that we do not.
    """
    if name is None:
        return next((each for each in network.portgroups if each.default), None)
    found = next((each for each in network.portgroups if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in network.portgroups)
        hint = f"it has: {known}" if known else "leave portgroup out"
        raise Unsupported(f"network '{network.name}' has no portgroup '{name}'", hint=hint)
    return found


def _merged(profiles: Sequence[NetworkVirtualPort]) -> NetworkVirtualPort | None:
    """One profile of several, which may complete each other, but not say different things."""
    if not profiles:
        return None
    result = profiles[0].copy()
    for other in profiles[1:]:
        result.type = _agreed(result.type, other.type, "type")
        if result.parameters is None or other.parameters is None:
            result.parameters = result.parameters or other.parameters
            continue
        for each in declared(type(result.parameters)):
            value = _agreed(getattr(result.parameters, each.name), getattr(other.parameters, each.name), each.name)
            setattr(result.parameters, each.name, value)
    return result


#: What ports of a type have a UUID for.  Source: virNetDevVPortProfileCheckComplete
_NAMED = {PortType.OPENVSWITCH: "interfaceid", PortType.MIDONET: "interfaceid", PortType.QBG: "instanceid"}


def _name(profile: NetworkVirtualPort) -> None:
    """Give a port a UUID unless it is told."""
    assert profile.type is not None
    given = profile.parameters = profile.parameters or NetworkPortParameters()
    name = _NAMED[profile.type]
    if getattr(given, name) is None:
        setattr(given, name, str(uuid4()))


def _agreed(one: T | None, other: T | None, what: str) -> T | None:
    if one is not None and other is not None and one != other:
        text = f"attempt to merge virtualports with different {what}s ({one} and {other})"
        raise Unsupported(text, hint="let the card, its portgroup and the network say the same")
    return one if one is not None else other


def is_pool(network: Network) -> bool:
    """Whether the network shares out cards of the host."""
    return network.mode not in _ROUTED and not _bridge(network)


def _bridge(network: Network) -> str:
    return network.bridge.name if network.bridge and network.bridge.name else ""


def device(port: NetworkPort) -> str:
    """The card of the host that a port uses, by its name or its PCI address; "" for one in a bridge."""
    plug = port.plug
    if plug is None:
        return ""
    return pool.pci_name(plug.address) if plug.address else plug.dev or ""


def choose(network: Network, port: NetworkPort, used: Sequence[str]) -> Plug:
    """The place of a new port beside those that use the devices ``used``.

    Raises Unsupported for a virtualport that such a network does not have, HostError where no card is left.
    """
    if network.mode in _ROUTED or _bridge(network):
        routed = network.mode in _ROUTED
        kind = PlugType.NETWORK if routed else PlugType.BRIDGE
        if routed:
            _check_profile(network, port, (), "uses IP forwarding")
        else:
            _check_profile(network, port, (PortType.OPENVSWITCH,), "uses a bridge device")
        manager = network.bridge.mac_table_manager if network.bridge else None
        return Plug(type=kind, bridge=_bridge(network), mac_table_manager=manager)
    known = (PortType.QBG, PortType.QBH)
    if network.mode is ForwardMode.HOSTDEV:
        _check_profile(network, port, known, "uses an SR-IOV Virtual Function via PCI passthrough")
        return _hostdev(network, used)
    _check_profile(network, port, known, "uses a macvtap device")
    mode = _MODES[network.mode]
    qbh = port.virtualport is not None and port.virtualport.type is PortType.QBH
    alone = mode is DirectMode.PASSTHROUGH or (mode is DirectMode.PRIVATE and qbh)
    return Plug(type=PlugType.DIRECT, dev=_least_used(network, pool.cards(network), used, alone=alone), mode=mode)


def _check_profile(network: Network, port: NetworkPort, known: Sequence[PortType], why: str) -> None:
    kind = port.virtualport.type if port.virtualport else None
    if port.virtualport and kind not in known:
        text = f"<virtualport type='{kind}'> not supported for network '{network.name}' which {why}"
        raise Unsupported(text, hint="remove <virtualport>, or use another network")


def _hostdev(network: Network, used: Sequence[str]) -> Plug:
    assert network.forward is not None  # it has a mode
    found = {pool.pci_name(each): each for each in pool.functions(network)}
    chosen = found[_least_used(network, list(found), used, alone=True)]
    address = PlugAddress(domain=chosen.domain, bus=chosen.bus, slot=chosen.slot, function=chosen.function)
    managed = bool(network.forward.managed)
    return Plug(type=PlugType.HOSTDEV_PCI, managed=managed, driver=network.forward.driver, address=address)


def _least_used(network: Network, cards: Sequence[str], used: Sequence[str], *, alone: bool) -> str:
    users = Counter(used)
    best = min(cards, key=users.__getitem__, default=None)
    if best is None:
        text = f"network '{network.name}' uses a direct mode, but has no forward dev and no interface pool"
        raise HostError(text, hint="name a card of the host: <forward dev='eth0' .../>")
    if alone and users[best]:
        text = f"network '{network.name}' requires exclusive access to interfaces, but none are available"
        raise HostError(text, hint="stop another guest, or add cards to the network")
    return best


def check(network: Network, port: NetworkPort) -> None:
    """Raises Unsupported for what such a place does not have."""
    plug = port.plug
    assert plug is not None  # it was chosen before
    if plug.type is PlugType.HOSTDEV_PCI and port.bandwidth:
        raise Unsupported("bandwidth settings are not supported for hostdev interfaces", hint="remove <bandwidth>")
    if port.vlan and plug.type is PlugType.DIRECT and plug.mode is not DirectMode.PASSTHROUGH:
        text = f"an interface connecting to network '{network.name}' is requesting a vlan tag"
        raise Unsupported(
            f"{text}, but that is not supported for this type of network",
            hint="use mode 'passthrough', a bridge, or Open vSwitch",
        )
