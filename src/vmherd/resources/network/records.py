"""What is kept of a network in the store, and how lists show it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

import msgspec

from vmherd.conf.network import Network, parse_network
from vmherd.conf.network.forward import ForwardMode
from vmherd.driver.network import NetworkInfo
from vmherd.errors import InvalidState, NetworkNotFound
from vmherd.state.objects import Definition, ObjectTable
from vmherd.state.objects import Entry as AnyEntry
from vmherd.state.store import Store
from vmherd.util import addresses
from vmherd.util.process import ProcessId

Range = IPv4Network | IPv6Network


class Record(Definition):
    """``server`` is the dnsmasq of an active network that has one; ``stopping`` tells of a stop that has begun.

    ``stale``: dnsmasq and the rules may not have heard of the last change of the live document.
    """

    server: ProcessId | None = None
    stopping: bool = False
    stale: bool = False


Entry = AnyEntry[Record]
Table = ObjectTable[Record]


def table(store: Store) -> Table:
    """Every network."""
    return ObjectTable(store, "network", Record, NetworkNotFound)


def active(entry: Entry) -> Network:
    """The document of an active network, for the caller alone.  Raises InvalidState for another one."""
    if entry.live is None:
        raise InvalidState(f"network '{entry.name}' is not active", hint="start it first")
    return parse_network(entry.live)


class Outline(msgspec.Struct, frozen=True):
    """What others want to know of a network: its bridge ("": none), its mode, its ranges of addresses."""

    bridge: str
    mode: ForwardMode
    ranges: tuple[Range, ...]


@lru_cache(maxsize=4096)
def outline(text: str) -> Outline:
    """Of a document that lists and other networks ask for again and again."""
    network = parse_network(text)
    name = (network.bridge.name or "") if network.bridge else ""
    return Outline(name, network.mode, tuple(ranges(network)))


def ranges(network: Network) -> Iterator[Range]:
    """The ranges of addresses of a network."""
    for ip in network.ips:
        yield addresses.network(addresses.parse(ip.address), ip.bits)


def info(entry: Entry) -> NetworkInfo:
    found = outline(entry.document)
    return NetworkInfo(
        uuid=entry.uuid,
        name=entry.name,
        active=entry.live is not None,
        persistent=entry.record.config is not None,
        autostart=entry.record.autostart,
        bridge=found.bridge,
        forward="" if found.mode is ForwardMode.NONE else str(found.mode),
    )
