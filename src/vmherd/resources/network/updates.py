"""Changing a part of a network, also while it is active.

Source: networkUpdate of src/network/bridge_driver.c of libvirt 9.0
"""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.conf.network import Network, complete, parse_network, render_network
from vmherd.conf.network.update import Section, update
from vmherd.driver.types import CURRENT, Scope
from vmherd.errors import InvalidState
from vmherd.events import ResourceEvent
from vmherd.resources.network import validate
from vmherd.resources.network.life import Life, to_the_end
from vmherd.resources.network.porttable import PortTable
from vmherd.resources.network.records import Entry, Table, active

#: What dnsmasq reads in its files of hosts, without a restart.
_HOSTS = (Section.IP_DHCP_HOST, Section.DNS_HOST)
#: What is asked for only when a guest's card comes.
_FOR_PORTS = (Section.PORTGROUP,)


class Change:
    """One element of a section, and what shall be done with it."""

    def __init__(self, command: int, section: int, parent: int, xml: str) -> None:
        self.section = section
        self._command = command
        self._parent = parent
        self._xml = xml

    def made_in(self, network: Network) -> Network:
        """A network with the change.  Raises what says that it cannot be."""
        changed = update(network, self._command, self.section, self._parent, self._xml)
        complete(changed)
        validate.validate(changed)
        return changed


def resolve(entry: Entry, scope: Scope) -> Scope:
    """What ``scope`` means for a network as it is now.  Source: virNetworkObjConfigChangeSetup"""
    if scope == CURRENT:
        scope = Scope(live=True) if entry.live else Scope(config=True)
    if scope.live and entry.live is None:
        raise InvalidState("network is not running", hint="start it, or change its definition")
    if scope.config and entry.record.config is None:
        raise InvalidState("cannot change persistent config of a transient network", hint="change the active one only")
    return scope


async def apply(uuid: str, change: Change, scope: Scope, *, table: Table, ports: PortTable, life: Life) -> None:
    """Change the documents that ``scope`` names, and what runs; both or nothing."""
    async with life.jobs.hold(uuid, "update"):
        entry = table.get(uuid)
        scope, before = resolve(entry, scope), entry.record.live or ""
        live = change.made_in(counted(entry, ports)) if scope.live else None
        config = change.made_in(parse_network(entry.record.config or "")) if scope.config else None

        def note(entry: Entry) -> Sequence[ResourceEvent]:
            if live:
                entry.record.live, entry.record.stale = render_network(live, inactive=False), True
            if config:
                entry.record.config = render_network(config, inactive=True)
            return []

        old_config = entry.record.config
        table.change(uuid, note)
        if live is None:
            return
        try:
            await _renew(life, uuid, parse_network(before), live, change.section)
        except BaseException:
            await to_the_end(_undo(life, uuid, table, before, old_config))
            raise
        await life.hooks.tell(live, "updated")


def counted(entry: Entry, ports: PortTable) -> Network:
    """The active network, with the number of guests on it and on each card of the host."""
    network = active(entry)
    devices = [port.device for port in ports.all(entry.uuid).values()]
    network.connections = len(devices)
    for card in network.forward.cards if network.forward else []:
        card.connections = devices.count(card.dev)
    return network


async def _renew(life: Life, uuid: str, old: Network, new: Network, section: int) -> None:
    only_hosts = section in _FOR_PORTS or (section in _HOSTS and _serves(old) == _serves(new))
    await life.renew(uuid, new, only_hosts=only_hosts)


def _serves(network: Network) -> list[bool]:
    """Which addresses serve DHCP: the first host or the last changes dnsmasq's configuration."""
    return [ip.serves_dhcp for ip in network.ips]


async def _undo(life: Life, uuid: str, table: Table, live: str, config: str | None) -> None:
    def note(entry: Entry) -> Sequence[ResourceEvent]:
        entry.record.live, entry.record.config = live, config
        return []

    table.change(uuid, note)
    await life.renew(uuid, parse_network(live))
