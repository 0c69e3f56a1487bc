"""<networkport>: the place of one guest's card in a network.

Source: https://libvirt.org/formatnetworkport.html and src/conf/virnetworkportdef.c
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.network.checks import check_all
from vmherd.conf.network.forward import ForwardDriver, PciBus, PciDomain, PciFunction, PciSlot
from vmherd.conf.network.shared import (
    Isolation,
    MacTableManager,
    NetworkVirtualPort,
    NetworkVlan,
    PortBandwidth,
)
from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import Element, Mac, Uuid, YesNo, attr, child, leaf, parse


class PlugType(StrEnum):
    NONE = "none"
    NETWORK = "network"
    BRIDGE = "bridge"
    DIRECT = "direct"
    HOSTDEV_PCI = "hostdev-pci"


class DirectMode(StrEnum):
    """Of a macvtap device.  Source: virNetDevMacVLanMode"""

    VEPA = "vepa"
    PRIVATE = "private"
    BRIDGE = "bridge"
    PASSTHROUGH = "passthrough"


class Owner(Element, tag="owner"):
    """The guest."""

    name: str = leaf()
    uuid: Uuid = leaf()


class PortMac(Element, tag="mac"):
    address: Mac = attr()


class RxFilters(Element, tag="rxfilters"):
    """Whether the guest may choose what it receives."""

    trust_guest: YesNo | None = attr("trustGuest")


class PlugAddress(Element, tag="address"):
    domain: PciDomain = attr(default=0, always=True)
    bus: PciBus = attr(default=0, always=True)
    slot: PciSlot = attr(default=0, always=True)
    function: PciFunction = attr(default=0, always=True)


class Plug(Element, tag="plug"):
    """What the card is plugged into: a bridge, a card of the host, or it is one itself."""

    type: PlugType = attr(default=PlugType.NONE, always=True)
    bridge: str | None = attr()
    mac_table_manager: MacTableManager | None = attr("macTableManager")
    dev: str | None = attr()
    mode: DirectMode | None = attr()
    managed: YesNo | None = attr()
    driver: ForwardDriver | None = child()
    address: PlugAddress | None = child()


class NetworkPort(Element, tag="networkport"):
    """``group`` is the port group it was made with."""

    uuid: Uuid = leaf()
    owner: Owner = child()
    group: str | None = leaf()
    mac: PortMac = child()
    virtualport: NetworkVirtualPort | None = child()
    bandwidth: PortBandwidth | None = child()
    vlan: NetworkVlan | None = child()
    port: Isolation | None = child()
    rxfilters: RxFilters | None = child()
    plug: Plug | None = child()


#: What each type of plug has, the first being what it must have.
_PARTS = {
    PlugType.NETWORK: ("bridge", "mac_table_manager"),
    PlugType.BRIDGE: ("bridge", "mac_table_manager"),
    PlugType.DIRECT: ("dev", "mode"),
    PlugType.HOSTDEV_PCI: ("address", "driver", "managed"),
}


def parse_port(text: str | bytes) -> NetworkPort:
    """A network port with everything filled in that follows from the rest.

    Raises DocumentError.  Source: virNetworkPortDefParseXML
    """
    port = parse(NetworkPort, text)
    check_all(port, "networkport")
    if port.bandwidth:
        port.bandwidth.tidy()
    if not port.owner.name:
        raise DocumentError("the owner has no name", place="networkport/owner/name")
    port.group = port.group or None
    for name, empty in _EMPTY.items():
        if getattr(port, name) == empty:
            setattr(port, name, None)
    port.plug = _completed(port.plug) if port.plug and port.plug.type is not PlugType.NONE else None
    return port


_EMPTY = {
    "virtualport": NetworkVirtualPort(),
    "bandwidth": PortBandwidth(),
    "port": Isolation(),
    "rxfilters": RxFilters(),
}


def _completed(plug: Plug) -> Plug:
    """``plug`` with what goes with its type, and nothing else."""
    parts = _PARTS[plug.type]
    if not getattr(plug, parts[0]):
        problem = f"a plug of type '{plug.type}' must have {parts[0]}"
        raise DocumentError(problem, place=f"networkport/plug/{parts[0]}")
    kept = plug.only(("type", *parts))
    if kept.type is PlugType.DIRECT:
        kept.mode = kept.mode or DirectMode.VEPA
    if kept.driver and kept.driver.name is None:
        kept.driver = None
    return kept
