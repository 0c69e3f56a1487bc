"""<network>: a virtual network: its bridge, addresses, names, and how it reaches the outside.

Source: https://libvirt.org/formatnetwork.html and virNetworkDefParseXML of libvirt
"""

from __future__ import annotations

from typing import Annotated

from vmherd.conf.network.dns import Dns
from vmherd.conf.network.forward import Forward, ForwardMode
from vmherd.conf.network.ip import Ip, Route
from vmherd.conf.network.shared import (
    Isolation,
    LooseYes,
    MacTableManager,
    NetworkBandwidth,
    NetworkMac,
    NetworkVirtualPort,
    NetworkVlan,
)
from vmherd.util.xmlmodel import Codec, Element, UInt, ULong, Uuid, YesNo, attr, child, children, leaf, raw

_DNSMASQ = "{http://libvirt.org/schemas/network/dnsmasq/1.0}"


def _ipv6(text: str) -> bool:
    if text not in ("", "yes", "no"):
        raise ValueError(f"{text!r} is neither 'yes' nor 'no'")
    return text == "yes"


AllowIpv6 = Annotated[bool, Codec(_ipv6, lambda value: "yes" if value else "no")]
#: The spanning tree is on unless it is switched off.
Tree = Annotated[bool, Codec(lambda text: text != "off", lambda value: "on" if value else "off")]


class Bridge(Element, tag="bridge"):
    """``delay`` is that of the spanning tree, in seconds."""

    name: str | None = attr()
    zone: str | None = attr()
    stp: Tree | None = attr()
    delay: ULong | None = attr()
    mac_table_manager: MacTableManager | None = attr("macTableManager")


class NetworkMtu(Element, tag="mtu"):
    """Bytes of the largest packet."""

    size: UInt | None = attr()


class NetworkDomain(Element, tag="domain"):
    """The DNS domain of the guests; with ``local_only`` no other server is asked about it."""

    name: str | None = attr()
    local_only: YesNo | None = attr("localOnly")


class PortGroup(Element, tag="portgroup"):
    """Settings for the cards that name it, or that name none if it is the default."""

    name: str = attr()
    default: LooseYes = attr(default=False)
    trust_guest_rx_filters: YesNo | None = attr("trustGuestRxFilters")
    vlan: NetworkVlan | None = child()
    virtualport: NetworkVirtualPort | None = child()
    bandwidth: NetworkBandwidth | None = child()

    def __post_init__(self) -> None:
        if self.virtualport == NetworkVirtualPort():
            self.virtualport = None

    def check(self) -> None:
        """Raises ValueError for one without a name."""
        if not self.name:
            raise ValueError("a port group must have a name")


class DnsmasqOption(Element, tag=_DNSMASQ + "option", prefix="dnsmasq"):
    value: str = attr()


class DnsmasqOptions(Element, tag=_DNSMASQ + "options", prefix="dnsmasq"):
    """Lines for the configuration of dnsmasq, passed on as they are."""

    options: list[DnsmasqOption] = children()


class Network(Element, tag="network"):
    """A network.  ``connections`` counts the guests on it while it runs."""

    connections: UInt = attr(default=0)
    ipv6: AllowIpv6 = attr(default=False)
    trust_guest_rx_filters: YesNo | None = attr("trustGuestRxFilters")
    name: str | None = leaf()
    uuid: Uuid | None = leaf()
    metadata: str | None = raw()
    forward: Forward | None = child()
    bridge: Bridge | None = child()
    mtu: NetworkMtu | None = child()
    mac: NetworkMac | None = child()
    domain: NetworkDomain | None = child()
    dns: Dns | None = child()
    vlan: NetworkVlan | None = child()
    bandwidth: NetworkBandwidth | None = child()
    port: Isolation | None = child()
    ips: list[Ip] = children()
    routes: list[Route] = children()
    virtualport: NetworkVirtualPort | None = child()
    portgroups: list[PortGroup] = children()
    dnsmasq: DnsmasqOptions | None = child()

    @property
    def mode(self) -> ForwardMode:
        return self.forward.mode if self.forward else ForwardMode.NONE
