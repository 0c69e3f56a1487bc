"""What is kept of a network in the store, and how lists show it."""

from __future__ import annotations

from functools import lru_cache

from vmherd.conf.network import Network, parse_network
from vmherd.conf.network.forward import ForwardMode
from vmherd.driver.network import NetworkInfo
from vmherd.errors import InvalidState, NetworkNotFound
from vmherd.state.objects import Definition, ObjectTable
from vmherd.state.objects import Entry as AnyEntry
from vmherd.state.store import Store
from vmherd.util.process import ProcessId


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


@lru_cache(maxsize=1024)
def outline(text: str) -> tuple[str, ForwardMode]:
    """The bridge and the mode of a document, which lists ask for again and again."""
    network = parse_network(text)
    return (network.bridge.name or "") if network.bridge else "", network.mode


def info(entry: Entry) -> NetworkInfo:
    bridge, mode = outline(entry.document)
    return NetworkInfo(
        uuid=entry.uuid,
        name=entry.name,
        active=entry.live is not None,
        persistent=entry.record.config is not None,
        autostart=entry.record.autostart,
        bridge=bridge,
        forward="" if mode is ForwardMode.NONE else str(mode),
    )
