"""<interface>: a network interface of the host: a card, a VLAN, a bridge or a bond.

Source: src/conf/interface_conf.c and schemas/interface.rng of libvirt
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conformance import Case
from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import Element, Switch, UInt, YesNo, attr, child, children, flag, parse, render


class InterfaceType(StrEnum):
    ETHERNET = "ethernet"
    BRIDGE = "bridge"
    BOND = "bond"
    VLAN = "vlan"


class StartMode(StrEnum):
    NONE = "none"
    ONBOOT = "onboot"
    HOTPLUG = "hotplug"


class Family(StrEnum):
    IPV4 = "ipv4"
    IPV6 = "ipv6"


class LinkState(StrEnum):
    """As sysfs tells it in operstate."""

    UNKNOWN = "unknown"
    NOT_PRESENT = "notpresent"
    DOWN = "down"
    LOWER_LAYER_DOWN = "lowerlayerdown"
    TESTING = "testing"
    DORMANT = "dormant"
    UP = "up"


class BondMode(StrEnum):
    """Of the kernel's bonding driver."""

    BALANCE_RR = "balance-rr"
    ACTIVE_BACKUP = "active-backup"
    BALANCE_XOR = "balance-xor"
    BROADCAST = "broadcast"
    LACP = "802.3ad"
    BALANCE_TLB = "balance-tlb"
    BALANCE_ALB = "balance-alb"


class Carrier(StrEnum):
    IOCTL = "ioctl"
    NETIF = "netif"


class Validate(StrEnum):
    NONE = "none"
    ACTIVE = "active"
    BACKUP = "backup"
    ALL = "all"


class Start(Element, tag="start"):
    mode: StartMode = attr()


class Mtu(Element, tag="mtu"):
    """Bytes of the largest packet."""

    size: UInt = attr()


class Dhcp(Element, tag="dhcp"):
    """``peerdns`` takes over the name servers that the DHCP server tells."""

    peerdns: YesNo | None = attr()


class Ip(Element, tag="ip"):
    address: str = attr()
    prefix: UInt | None = attr()


class Route(Element, tag="route"):
    gateway: str = attr()


class Protocol(Element, tag="protocol"):
    """How the interface gets its addresses."""

    family: Family = attr()
    autoconf: bool = flag()
    dhcp: Dhcp | None = child()
    ips: list[Ip] = children()
    route: Route | None = child()


class Link(Element, tag="link"):
    """What the cable is like; ``speed`` in Mbit/s."""

    speed: UInt | None = attr()
    state: LinkState | None = attr()


class InterfaceMac(Element, tag="mac"):
    address: str = attr()


class Named(Element, tag="interface"):
    """The interface that a VLAN is on."""

    name: str = attr()


class Vlan(Element, tag="vlan"):
    tag: UInt = attr()
    interface: Named = child()


class MiiMonitor(Element, tag="miimon"):
    """Watches the cables of a bond; times in milliseconds."""

    freq: UInt = attr()
    downdelay: UInt | None = attr()
    updelay: UInt | None = attr()
    carrier: Carrier | None = attr()


class ArpMonitor(Element, tag="arpmon"):
    """Watches whether an address answers; times in milliseconds."""

    interval: UInt = attr()
    target: str = attr()
    validate_: Validate | None = attr("validate")


class Member(Element, tag="interface"):
    """An interface in a bridge or a bond."""

    type: InterfaceType = attr()
    name: str | None = attr()
    link: Link | None = child()
    mac: InterfaceMac | None = child()
    vlan: Vlan | None = child()
    bond: Bond | None = child()


class Bond(Element, tag="bond"):
    """Several cards that act as one."""

    mode: BondMode | None = attr()
    miimon: MiiMonitor | None = child()
    arpmon: ArpMonitor | None = child()
    interfaces: list[Member] = children()


class Bridge(Element, tag="bridge"):
    """``delay`` is that of the spanning tree, in seconds."""

    stp: Switch | None = attr()
    delay: str | None = attr()
    interfaces: list[Member] = children()


class Interface(Element, tag="interface"):
    """An interface of the host; ``start`` is None for one that runs without being configured by us."""

    type: InterfaceType = attr()
    name: str = attr()
    start: Start | None = child()
    mtu: Mtu | None = child()
    protocols: list[Protocol] = children()
    link: Link | None = child()
    mac: InterfaceMac | None = child()
    bridge: Bridge | None = child()
    bond: Bond | None = child()
    vlan: Vlan | None = child()


#: What each type must have beside its name.
_PARTS = {InterfaceType.BRIDGE: "bridge", InterfaceType.BOND: "bond", InterfaceType.VLAN: "vlan"}


def parse_interface(text: str | bytes) -> Interface:
    """An interface.  Raises DocumentError, also for one without what its type needs.

    Source: virInterfaceDefParseXML
    """
    interface = parse(Interface, text)
    if interface.start is None:
        hint = "add <start mode='onboot'/>, or 'none'"
        raise DocumentError("interface misses the start mode attribute", place="interface/start", hint=hint)
    part = _PARTS.get(interface.type)
    if part and getattr(interface, part) is None:
        raise DocumentError(
            f"{part} interface misses the {part} element", place=f"interface/{part}", hint=f"add <{part}>"
        )
    if interface.bond and not interface.bond.interfaces:
        raise DocumentError(
            "bond has no interfaces", place="interface/bond/interface", hint="add the cards it is made of"
        )
    return interface


def conformance(case: Case) -> str:
    """An interface read and written."""
    return render(parse_interface(case.input))
