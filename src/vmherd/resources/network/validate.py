"""What a document must be for this host to have the network.

Source: networkValidate of src/network/bridge_driver.c of libvirt 9.0
"""

from __future__ import annotations

from collections.abc import Callable

from vmherd.conf.network import Network
from vmherd.conf.network.forward import ForwardMode
from vmherd.conf.network.network import PortGroup
from vmherd.conf.network.rules import ROUTED
from vmherd.conf.network.shared import PortType
from vmherd.errors import DocumentError, Unsupported
from vmherd.resources.network import names

_M = ForwardMode


def validate(network: Network) -> None:
    """Raises Unsupported or DocumentError for what the network cannot have."""
    if "\n" in (network.name or ""):
        raise DocumentError("a name cannot have a line break", place="network/name")
    if network.bridge and network.bridge.name and "%d" not in network.bridge.name:
        names.check(network.bridge.name)
    if network.mode not in ROUTED and not (network.mode is _M.BRIDGE and network.bridge):
        _check_no_host_side(network)
    _check_dhcp(network)
    _check_portgroups(network)
    _check_vlan(network)
    _check_functions(network)


_HOST_SIDE: dict[str, Callable[[Network], object]] = {
    "<mac>": lambda network: network.mac,
    "<ip>": lambda network: network.ips,
    "<dns>": lambda network: network.dns,
    "<domain>": lambda network: network.domain,
    "network-wide <bandwidth>": lambda network: network.bandwidth,
}


def _check_no_host_side(network: Network) -> None:
    """The host has no end of its own in a network of cards."""
    for what, get in _HOST_SIDE.items():
        if get(network):
            raise Unsupported(
                f"Unsupported {what} element in network {network.name} with forward mode='{network.mode}'"
            )


def _check_dhcp(network: Network) -> None:
    for version in (4, 6):
        if sum(ip.version == version and ip.serves_dhcp for ip in network.ips) > 1:
            problem = f"Multiple IPv{version} dhcp sections found -- dhcp is supported only for a single IPv{version} "
            raise Unsupported(problem + "address on each network", place="network/ip/dhcp")


def _check_portgroups(network: Network) -> None:
    default = [group.name for group in network.portgroups if group.default]
    if len(default) > 1:
        problem = f"network '{network.name}' has multiple default <portgroup> elements ({default[0]} and {default[1]})"
        raise Unsupported(problem + ", but only one default is allowed", place="network/portgroup/@default")


def _check_vlan(network: Network) -> None:
    """Who tags frames by himself: Open vSwitch, and virtual functions."""
    allowed = network.mode in (_M.HOSTDEV, _M.PASSTHROUGH)
    holders: list[Network | PortGroup] = [network, *network.portgroups]
    for holder in holders:
        ports = (holder.virtualport, network.virtualport)
        switched = network.mode is _M.BRIDGE and any(port and port.type is PortType.OPENVSWITCH for port in ports)
        if holder.vlan and holder.vlan.tags and not (allowed or switched):
            problem = f"<vlan> element specified for network {network.name}, whose type doesn't support vlan"
            raise Unsupported(f"{problem} configuration", place="network/vlan")


def _check_functions(network: Network) -> None:
    forward = network.forward
    if forward is None or forward.mode is not _M.HOSTDEV:
        return
    if not forward.interfaces and not forward.pf:
        hint = "name its card in <pf dev=''/>, or its functions as <address type='pci'/>"
        raise DocumentError("a network of mode 'hostdev' needs devices", place="network/forward", hint=hint)
