"""The port of a bridge of the kernel's that a guest's tap device is.

Source: virNetDevTapAttachBridge, qemuInterfaceBridgeConnect and virNetDevBridgeSetupVlans of libvirt; bridge(8)
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from vmherd.conf.domain.net import Interface, InterfaceType, Vlan
from vmherd.errors import HostError

if TYPE_CHECKING:
    from pyroute2 import AsyncIPRoute

_BRIDGED = (InterfaceType.BRIDGE, InterfaceType.NETWORK)
#: BRIDGE_VLAN_INFO_PVID and _UNTAGGED, NTF_MASTER, NUD_REACHABLE of linux/if_bridge.h and linux/neighbour.h.
_PVID, _UNTAGGED, _MASTER, _REACHABLE = 2, 4, 4, 2
#: The VLAN of a port that none was chosen for.
_DEFAULT_VLAN = 1


def is_switched(interface: Interface) -> bool:
    """Whether the card's bridge is one of Open vSwitch."""
    port = interface.virtualport
    return interface.type in _BRIDGED and port is not None and port.type == "openvswitch"


def is_bridged(interface: Interface) -> bool:
    """Whether the card's tap device is in a bridge of the kernel's."""
    return interface.type in _BRIDGED and not is_switched(interface)


def name(interface: Interface) -> str:
    return interface.source.bridge or "" if interface.source else ""


async def mtu(links: AsyncIPRoute, interface: Interface) -> int:
    """The longest packet that the bridge takes, which a port's are not to exceed."""
    link = await _bridge(links, interface)
    return int(link.get("mtu"))


async def _bridge(links: AsyncIPRoute, interface: Interface) -> Any:
    """Raises HostError if it is not there."""
    found = await links.link_lookup(ifname=name(interface))
    if not found:
        hint = f"ip link add {name(interface)} type bridge"
        raise HostError(f"there is no bridge {name(interface)!r} on this host", hint=hint)
    (link,) = [each async for each in await links.get_links(found[0])]
    return link


async def plug(links: AsyncIPRoute, interface: Interface, index: int) -> None:
    """Make the tap device a port of the bridge that the card names.  Raises HostError if there is none."""
    bridge = await _bridge(links, interface)
    await links.link("set", index=index, master=bridge["index"], mtu=bridge.get("mtu"))
    port: dict[str, Any] = {"isolated": int(bool(interface.port and interface.port.isolated))}
    ours = interface.source is not None and interface.source.mac_table_manager == "libvirt"
    if ours:  # then the kernel neither learns nor guesses where an address is
        port |= {"learning": 0, "unicast_flood": 0}
    await links.brport("set", index=index, **port)
    if interface.vlan and interface.vlan.tags:
        await _tag(links, interface.vlan, bridge, index)
    if ours and interface.mac:
        known = {"lladdr": interface.mac.address, "flags": _MASTER, "state": _REACHABLE}
        await links.fdb("append", ifindex=index, **known)


async def _tag(links: AsyncIPRoute, vlan: Vlan, bridge: Any, index: int) -> None:
    """Let the port have these VLANs alone."""
    from pyroute2 import NetlinkError

    try:
        await links.link("set", index=bridge["index"], kind="bridge", br_vlan_filtering=1)
    except NetlinkError as problem:
        text = f"the bridge {bridge.get('ifname')} cannot keep VLANs apart: {problem.args[-1]}"
        raise HostError(text, hint="the kernel needs CONFIG_BRIDGE_VLAN_FILTERING; or use Open vSwitch") from None
    with suppress(NetlinkError):  # the bridge has none
        await links.vlan_filter("del", index=index, vlan_info={"vid": _DEFAULT_VLAN})
    for tag in vlan.tags:
        native = tag.native_mode is not None or not (vlan.trunk or len(vlan.tags) > 1)
        bare = native and tag.native_mode != "tagged"
        flags = (_PVID if native else 0) | (_UNTAGGED if bare else 0)
        await links.vlan_filter("add", index=index, vlan_info={"vid": tag.id, "flags": flags})
