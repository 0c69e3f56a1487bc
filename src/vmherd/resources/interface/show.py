"""Documents of network devices as they are.

Source: src/interface/interface_backend_udev.c of libvirt; its delay of a bridge is what netcf's is, seconds.
"""

from __future__ import annotations

import socket
from pathlib import Path

from vmherd.conf.interface import (
    ArpMonitor,
    Bond,
    BondMode,
    Bridge,
    Dhcp,
    Family,
    Interface,
    InterfaceMac,
    InterfaceType,
    Ip,
    LinkState,
    Member,
    MiiMonitor,
    Mtu,
    Named,
    Protocol,
    Route,
    Start,
    StartMode,
    Vlan,
)
from vmherd.conf.interface import Link as Cable
from vmherd.resources.interface.links import Link

_TYPES = {"bridge": InterfaceType.BRIDGE, "bond": InterfaceType.BOND, "vlan": InterfaceType.VLAN}
_HUNDREDTHS = 100
#: The kernel's numbers of the modes of a bond.
BOND_MODES = tuple(BondMode)


def type_of(link: Link) -> InterfaceType:
    return _TYPES.get(link.kind, InterfaceType.ETHERNET)


def is_part(link: Link, links: dict[str, Link]) -> bool:
    """Whether it is in a bridge or a bond, which is shown in its place."""
    return link.master in links and links[link.master].kind in ("bridge", "bond")


def document(link: Link, links: dict[str, Link]) -> Interface:
    """A device with all that is in it."""
    kind = type_of(link)
    return Interface(
        type=kind,
        name=link.name,
        mtu=Mtu(size=link.mtu),
        protocols=[each for each in (_protocol(link, 4), _protocol(link, 6)) if each],
        link=None if kind is InterfaceType.BRIDGE else cable(link),
        mac=InterfaceMac(address=link.mac) if link.mac and kind is InterfaceType.ETHERNET else None,
        bridge=_bridge(link, links) if kind is InterfaceType.BRIDGE else None,
        bond=_bond(link, links) if kind is InterfaceType.BOND else None,
        vlan=_vlan(link) if kind is InterfaceType.VLAN else None,
    )


def configuration(link: Link, links: dict[str, Link]) -> Interface:
    """What would set a device up as it is now."""
    found = document(link, links)
    found.start = Start(mode=StartMode.ONBOOT if link.up else StartMode.NONE)
    found.link = None
    for holder in (found.bridge, found.bond):
        for member in holder.interfaces if holder else []:
            member.link = None
    return found


def _protocol(link: Link, version: int) -> Protocol | None:
    """The addresses of a family, and the way to everywhere else.  Those that were given for a time came by DHCP."""
    found = [address for address in link.addresses if address.version == version]
    if not found:
        return None
    protocol = Protocol(family=Family.IPV4 if version == 4 else Family.IPV6)
    protocol.ips = [Ip(address=each.address, prefix=each.prefix) for each in found if not each.dynamic]
    if any(each.dynamic for each in found):
        if version == 4:
            protocol.dhcp = Dhcp()
        else:
            protocol.autoconf = True
    for way in link.routes:
        if way.version == version and way.destination == "default" and way.gateway:
            protocol.route = Route(gateway=way.gateway)
    return protocol


def cable(link: Link) -> Cable:
    state = LinkState(link.state) if link.state in set(LinkState) else LinkState.UNKNOWN
    return Cable(speed=_speed(link) if state is LinkState.UP else None, state=state)


def _speed(link: Link) -> int | None:
    """Mbit/s; None where there is none, or this /sys is that of another network namespace."""
    folder = Path("/sys/class/net") / link.name
    try:
        if int((folder / "ifindex").read_text()) != socket.if_nametoindex(link.name):
            return None
        speed = int((folder / "speed").read_text())
    except (OSError, ValueError):
        return None
    return speed if speed > 0 else None


def _members(link: Link, links: dict[str, Link]) -> list[Member]:
    return [_member(each, links) for each in links.values() if each.master == link.name]


def _member(link: Link, links: dict[str, Link]) -> Member:
    kind = type_of(link)
    if kind is InterfaceType.BRIDGE:  # no bridge is in another
        kind = InterfaceType.ETHERNET
    return Member(
        type=kind,
        name=link.name,
        link=cable(link),
        mac=InterfaceMac(address=link.mac) if link.mac and kind is InterfaceType.ETHERNET else None,
        vlan=_vlan(link) if kind is InterfaceType.VLAN else None,
        bond=_bond(link, links) if kind is InterfaceType.BOND else None,
    )


def _vlan(link: Link) -> Vlan:
    return Vlan(tag=link.settings.get("vlan_id", 0), interface=Named(name=link.lower))


def _bridge(link: Link, links: dict[str, Link]) -> Bridge:
    delay = link.settings.get("forward_delay", 0) / _HUNDREDTHS
    return Bridge(stp=bool(link.settings.get("stp_state")), delay=f"{delay:g}", interfaces=_members(link, links))


def _bond(link: Link, links: dict[str, Link]) -> Bond:
    told = link.settings
    bond = Bond(mode=BOND_MODES[told.get("mode", 0)], interfaces=_members(link, links))
    if told.get("miimon"):
        bond.miimon = MiiMonitor(
            freq=told["miimon"], downdelay=told.get("downdelay") or None, updelay=told.get("updelay") or None
        )
    elif told.get("arp_interval") and told.get("arp_ip_target"):
        bond.arpmon = ArpMonitor(interval=told["arp_interval"], target=told["arp_ip_target"])
    return bond
