"""The virtual networks of this host."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Self
from uuid import uuid4

from vmherd.conf.network import Network, parse_network, render_network
from vmherd.driver.network import Lease, NetworkInfo, UpdateCommand, UpdateSection
from vmherd.driver.types import CURRENT, Scope
from vmherd.driver.uri import ConnectURI
from vmherd.errors import InvalidState, NetworkNotFound, OperationFailed, VmherdError
from vmherd.events import NetworkLifecycle, ResourceEvent, Subscription
from vmherd.resources.network import default, leases, names, records, server, updates, validate
from vmherd.resources.network.hooks import Hooks
from vmherd.resources.network.life import Life, event
from vmherd.resources.network.ports import NetworkPorts
from vmherd.resources.network.porttable import PortTable
from vmherd.resources.network.records import Entry, Record
from vmherd.resources.network.server import Files
from vmherd.state.hub import EventHub
from vmherd.state.jobs import Jobs
from vmherd.state.places import Places, of_uri
from vmherd.state.store import Store
from vmherd.util.process import boot_id

log = logging.getLogger("vmherd.network")


class LocalNetworks(NetworkPorts):
    """The networks of the system, or of a user's session, which has no rights to start most of them."""

    def __init__(self, uri: ConnectURI, places: Places, *, readonly: bool = False) -> None:
        super().__init__(uri, readonly=readonly)
        self._places = places
        self._store = Store(places.state / "state.db")
        self._hub: EventHub[ResourceEvent] = EventHub(self._store, places.run / "listeners")
        self._table = records.table(self._store)
        self._ports = PortTable(self._store)
        self._files = Files(places.run.parent / "dnsmasq", places.state / "leases")
        hooks = Hooks(places.settings / "hooks")
        self._life = Life(self._table, self._ports, Jobs(places.run / "jobs"), self._files, hooks)

    @classmethod
    async def open(cls, uri: ConnectURI, *, readonly: bool = False) -> Self:
        driver = cls(uri, of_uri(uri, "networks"), readonly=readonly)
        if not readonly:
            if uri.path == "/system":
                default.define_once(driver._store, driver._table)
            await driver._life.recover()
            await driver._autostart()
        return driver

    async def _autostart(self) -> None:
        """Start what shall start with the host; the first who opens the networks after its boot does it."""
        try:
            (self._places.run / f"autostarted-{boot_id()}").touch(exist_ok=False)
        except FileExistsError:
            return
        turn = asyncio.Semaphore(os.cpu_count() or 1)

        async def start(entry: Entry) -> None:
            async with turn:
                try:
                    await self.network_start(entry.uuid)
                except VmherdError as problem:
                    log.warning("cannot start network %r by itself: %s", entry.name, problem)

        wanted = [entry for entry in self._table.all() if entry.record.autostart and entry.live is None]
        await asyncio.gather(*map(start, wanted))

    async def attend(self) -> None:
        await self._life.attend()

    async def close(self) -> None:
        self._hub.close()
        self._store.close()

    async def events(self, *wanted: type[ResourceEvent]) -> Subscription[ResourceEvent]:
        return self._hub.subscribe(*wanted)

    async def network_list(self) -> list[NetworkInfo]:
        return [records.info(entry) for entry in self._table.all()]

    async def network_find(self, key: str) -> NetworkInfo:
        return records.info(self._table.find(key))

    async def network_xml(self, uuid: str, *, inactive: bool = False) -> str:
        entry = self._table.get(uuid)
        if inactive or entry.live is None:
            return render_network(parse_network(entry.record.config or entry.document), inactive=inactive)
        return render_network(updates.counted(entry, self._ports))

    async def network_validate(self, xml: str) -> str:
        network = parse_network(xml)
        validate.validate(network)
        return render_network(network, inactive=True)

    async def network_define(self, xml: str) -> NetworkInfo:
        network = self._read(xml)

        def keep() -> Entry:
            entry = self._own(network)
            names.choose(network, self._others(entry.uuid))
            entry.record.config = render_network(network, inactive=True)
            self._table.put(entry, [event(entry, NetworkLifecycle.DEFINED)])
            return entry

        with self._store.transaction(durable=True):
            return records.info(keep())

    async def network_undefine(self, uuid: str) -> None:
        def forget(entry: Entry) -> list[ResourceEvent]:
            if entry.record.config is None:
                raise InvalidState(f"network '{entry.name}' is not persistent", hint="stop it, and it is gone")
            entry.record.config, entry.record.autostart = None, False
            return [event(entry, NetworkLifecycle.UNDEFINED)]

        self.require_writable()
        before = self._table.get(uuid)
        if self._table.change(uuid, forget).live is None:
            server.forget_leases(parse_network(before.document), self._files)

    async def network_create(self, xml: str) -> NetworkInfo:
        network = self._read(xml)
        entry = self._own(network)
        if entry.live is not None:
            raise InvalidState(f"network is already active as '{entry.name}'")
        await self._life.start(entry, network)
        return records.info(self._table.get(entry.uuid))

    async def network_start(self, uuid: str) -> None:
        self.require_writable()
        entry = self._table.get(uuid)
        await self._life.start(entry, parse_network(entry.record.config or entry.document))

    async def network_stop(self, uuid: str) -> None:
        self.require_writable()
        await self._life.stop(uuid)

    async def network_update(
        self,
        uuid: str,
        command: UpdateCommand,
        section: UpdateSection,
        parent: int,
        xml: str,
        scope: Scope = CURRENT,
    ) -> None:
        self.require_writable()
        change = updates.Change(command, section, parent, xml)
        await updates.apply(uuid, change, scope, table=self._table, ports=self._ports, life=self._life)

    async def network_leases(self, uuid: str, mac: str = "") -> list[Lease]:
        network = parse_network(self._table.get(uuid).document)
        return await asyncio.to_thread(leases.read, self._files.of(network, "leases"), network, mac)

    async def network_set_autostart(self, uuid: str, enabled: bool) -> None:
        def note(entry: Entry) -> list[ResourceEvent]:
            if entry.record.config is None:
                raise InvalidState("cannot set autostart for transient network", hint="define it first")
            entry.record.autostart = enabled
            return []

        self.require_writable()
        self._table.change(uuid, note)

    def _read(self, xml: str) -> Network:
        """A document that somebody wants to keep or start."""
        self.require_writable()
        network = parse_network(xml)
        validate.validate(network)
        return network

    def _own(self, network: Network) -> Entry:
        """The entry that a document is about, a new one if there is none, whose UUID the document gets.

        Raises OperationFailed where another network has the name or the UUID.
        """
        assert network.name  # parse_network refuses one without
        same = next((each for each in self._table.all() if each.name == network.name), None)
        if same and network.uuid in (None, same.uuid):
            network.uuid = same.uuid
            return same
        if same:
            problem = f"network '{same.name}' already exists with uuid {same.uuid}"
            raise OperationFailed(problem, hint="leave <uuid> out, or choose another name")
        network.uuid = network.uuid or str(uuid4())
        try:
            taken = self._table.get(network.uuid)
        except NetworkNotFound:
            return Entry(network.uuid, network.name, Record())
        problem = f"network '{taken.name}' is already defined with uuid {taken.uuid}"
        raise OperationFailed(problem, hint="leave <uuid> out")

    def _others(self, uuid: str) -> list[Entry]:
        return [entry for entry in self._table.all() if entry.uuid != uuid]
