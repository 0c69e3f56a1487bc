"""A card's place in a virtual network: a port is made there, and says what the card is plugged into.

Source: virDomainNetDefToNetworkPort and virDomainNetDefActualFromNetworkPort of libvirt
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar
from uuid import uuid4

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import PciAddress
from vmherd.conf.domain.net import (
    Bandwidth,
    Interface,
    InterfaceSource,
    InterfaceType,
    PassthroughDriver,
    PortOptions,
    Rate,
    VirtualPort,
    Vlan,
)
from vmherd.conf.network import NetworkPort, parse_port
from vmherd.conf.network.port import Owner, Plug, PlugType, PortMac, RxFilters
from vmherd.conf.network.shared import Isolation, NetworkVirtualPort, NetworkVlan, PortBandwidth
from vmherd.driver.network import NetworkDriver
from vmherd.driver.registry import lent
from vmherd.driver.uri import parse_uri
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.cards.notes import Place
from vmherd.state.tuning import limits
from vmherd.util.xmlmodel import Element, parse, render

E = TypeVar("E", bound=Element)


@asynccontextmanager
async def networks(uri: str) -> AsyncIterator[NetworkDriver]:
    """The networks beside the guests of ``uri``."""
    async with lent(NetworkDriver, parse_uri(uri)) as driver:
        yield driver


async def find(interface: Interface, uri: str) -> Place:
    """Where a card shall be: a port that is still to be made.  Raises NetworkNotFound."""
    assert interface.source is not None  # validation asks for it
    async with networks(uri) as driver:
        network = await driver.network_find(interface.source.network or "")
    return Place(network.uuid, str(uuid4()))


async def plug(domain: Domain, interface: Interface, place: Place, uri: str) -> None:
    """Make the port, and let the card say what it is there.

    Raises InvalidState for a network that is not active, Unsupported for what cannot be had in it, HostError.
    """
    async with networks(uri) as driver:
        await driver.port_create(place.network, render(_described(domain, interface, place)))
        port = parse_port(await driver.port_xml(place.network, place.port))
    take_over(interface, port)


async def set_limits(place: Place, interface: Interface, uri: str) -> None:
    """Give a port the limits of its card.  Raises what ``NetworkDriver.port_set_params`` does."""
    async with networks(uri) as driver:
        await driver.port_set_params(place.network, place.port, limits.rates(interface.bandwidth))


def _described(domain: Domain, interface: Interface, place: Place) -> NetworkPort:
    assert domain.uuid is not None  # a guest that runs has one
    assert interface.mac is not None  # completion gives one to each
    trusts = interface.trust_guest_rx_filters
    return NetworkPort(
        uuid=place.port,
        owner=Owner(name=domain.name, uuid=domain.uuid),
        group=interface.source.portgroup if interface.source else None,
        mac=PortMac(address=interface.mac.address),
        virtualport=_as(NetworkVirtualPort, interface.virtualport),
        bandwidth=_as(PortBandwidth, interface.bandwidth),
        vlan=_as(NetworkVlan, interface.vlan),
        port=Isolation(isolated=interface.port.isolated) if interface.port else None,
        rxfilters=RxFilters(trust_guest=trusts) if trusts is not None else None,
    )


def _as(kind: type[E], element: Element | None) -> E | None:
    """The same element as another document has it."""
    return parse(kind, render(element)) if element else None


def take_over(interface: Interface, port: NetworkPort) -> None:
    """Let a card say what its port is."""
    source = interface.source = interface.source or InterfaceSource()
    source.portid = port.uuid
    told = port.bandwidth
    limits = Bandwidth(inbound=_rate(told.inbound), outbound=_rate(told.outbound)) if told else None
    interface.bandwidth = limits if limits != Bandwidth() else None
    interface.vlan = _as(Vlan, port.vlan)
    interface.virtualport = _as(VirtualPort, port.virtualport)
    if port.port and port.port.isolated is not None:
        interface.port = PortOptions(isolated=port.port.isolated)
    if port.rxfilters:
        interface.trust_guest_rx_filters = port.rxfilters.trust_guest
    if port.plug is None:
        raise Unsupported("the network does not say what the card is plugged into")
    _be(interface, source, port.plug)


def _rate(told: Rate | None) -> Rate | None:
    return Rate(average=told.average, peak=told.peak, floor=told.floor, burst=told.burst) if told else None


def _be(interface: Interface, source: InterfaceSource, plug: Plug) -> None:
    match plug.type:
        case PlugType.NETWORK | PlugType.BRIDGE:
            interface.type = InterfaceType.NETWORK if plug.type is PlugType.NETWORK else InterfaceType.BRIDGE
            source.bridge = plug.bridge
            source.mac_table_manager = str(plug.mac_table_manager) if plug.mac_table_manager else None
        case PlugType.DIRECT:
            interface.type = InterfaceType.DIRECT
            source.dev, source.mode = plug.dev, str(plug.mode)
        case PlugType.HOSTDEV_PCI:
            assert plug.address is not None  # reading asks for it
            place = plug.address
            interface.type = InterfaceType.HOSTDEV
            interface.managed = plug.managed or None
            interface.driver = None
            named = plug.driver.name if plug.driver else None
            interface.passthrough = PassthroughDriver(name=str(named)) if named else None
            source.host_address = PciAddress(
                domain=place.domain, bus=place.bus, slot=place.slot, function=place.function
            )
