"""Starting and stopping networks: all of it or nothing, whoever is killed meanwhile.

What a start makes (bridge, rules, dnsmasq) is noted in the store before (``Record.coming``), as is a stop
(``Record.stopping``); whoever opens the store next and finds such a note that nobody works on takes down what is
there of it.  Source for the order: networkStartNetworkVirtual of libvirt 9.0
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar, cast

from vmherd.conf.network import Network, parse_network, render_network
from vmherd.conf.network.rules import ROUTED
from vmherd.errors import Busy, InvalidState, NetworkNotFound, VmherdError
from vmherd.events import NetworkEvent, NetworkLifecycle, ResourceEvent
from vmherd.resources.network import bridge, collisions, firewall, floors, hostfirewall, names, pool, server, zone
from vmherd.resources.network.hooks import Hooks
from vmherd.resources.network.porttable import PortTable
from vmherd.resources.network.records import Entry, Record, Table, active
from vmherd.resources.network.server import Files
from vmherd.state.jobs import Jobs
from vmherd.util.process import ProcessId, boot_id, is_alive

log = logging.getLogger("vmherd.network")

T = TypeVar("T")
U = TypeVar("U")


def event(entry: Entry, what: NetworkLifecycle) -> NetworkEvent:
    return NetworkEvent(uuid=entry.uuid, name=entry.name, event=what)


class Life:
    """What happens to the networks of one table; ``jobs`` keeps processes from doing it to the same one at once."""

    def __init__(self, table: Table, ports: PortTable, jobs: Jobs, files: Files, hooks: Hooks) -> None:
        self._table = table
        self._ports = ports
        self._files = files
        self._seen: int | None = None
        self.jobs = jobs
        self.hooks = hooks

    async def start(self, wanted: Entry, network: Network) -> None:
        """Make everything that ``network`` says; a new network is in the table from then on.

        Raises InvalidState for one that is active, OperationFailed or HostError where something is in the way.
        """
        uuid = wanted.uuid
        async with self.jobs.hold(uuid, "start"):
            await self._clear(self._known(wanted))
            if self._known(wanted).live is not None:
                raise InvalidState("network is already active")
            if network.mode in ROUTED:
                firewall.show_ports(network)
                self._check_networks(uuid, network.copy())  # a name for its bridge is free once it is noted
                await collisions.check_host(network)
            else:
                await asyncio.to_thread(pool.show, network)
            await self.hooks.ask(network, "start")
            self._begin(wanted, network)
            await self._make(uuid, network)
            await self.hooks.tell(network, "started")

    def _known(self, wanted: Entry) -> Entry:
        """The entry as the table has it now, if it does."""
        try:
            return self._table.get(wanted.uuid)
        except NetworkNotFound:
            return wanted

    def _check_networks(self, uuid: str, network: Network) -> None:
        others = [entry for entry in self._table.all() if entry.uuid != uuid]
        names.choose(network, others)
        collisions.check_networks(network, others)

    def _begin(self, wanted: Entry, network: Network) -> None:
        """Note what is going to be made, unless another network was faster to take the same."""
        with self._table.store.transaction():
            entry = self._known(wanted)
            if network.mode in ROUTED:
                self._check_networks(entry.uuid, network)
            entry.record.coming, entry.record.boot, entry.record.live = render_network(network), boot_id(), None
            entry.record.server, entry.record.stopping, entry.record.stale = None, False, False
            self._table.put(entry)

    async def _make(self, uuid: str, network: Network) -> None:
        """The bridge, then rules and dnsmasq; all of it is noted, or undone."""
        bridged = False
        try:
            if network.mode in ROUTED:
                await bridge.make(network)
                bridged = True
            self._finish_start(uuid, network, await self._equip(network))
        except BaseException:
            await to_the_end(self._undo(uuid, network, only_bridge=not bridged))
            raise

    async def _equip(self, network: Network) -> ProcessId | None:
        """What belongs to a bridge of ours; the process of dnsmasq."""
        if network.mode not in ROUTED:
            return None
        await floors.shape(network)
        await zone.join(network)
        _, process = await _both(_admit(network), self._serve(network))
        return process

    async def _serve(self, network: Network) -> ProcessId | None:
        """Start dnsmasq, where there is something to serve."""
        return await server.start(network, self._files) if server.is_needed(network) else None

    def _note(self, uuid: str, mutate: Callable[[Record], NetworkLifecycle | None]) -> Entry:
        """Change what is kept of a network, with the event of what ``mutate`` returns.

        A power cut may undo it, which undoes what it tells of, too.
        """

        def change(entry: Entry) -> Sequence[ResourceEvent]:
            happened = mutate(entry.record)
            return [] if happened is None else [event(entry, happened)]

        with self._table.store.transaction():
            return self._table.change(uuid, change)

    def _finish_start(self, uuid: str, network: Network, process: ProcessId | None) -> None:
        def started(record: Record) -> NetworkLifecycle:
            record.live, record.coming, record.server = render_network(network), None, process
            return NetworkLifecycle.STARTED

        self._note(uuid, started)

    async def _undo(self, uuid: str, network: Network, *, only_bridge: bool = False) -> None:
        """Take down what there is of a start, and forget it; what cannot be taken down stays noted."""
        try:
            if only_bridge and network.mode in ROUTED:
                await bridge.remove(network)
            else:
                await self._take_down(network, self._table.get(uuid))
        except VmherdError as problem:
            log.error("cannot take down all of network %r: %s", network.name, problem)
            return

        def forgotten(record: Record) -> None:
            record.coming = record.server = None

        self._note(uuid, forgotten)

    async def _take_down(self, network: Network, entry: Entry) -> None:
        """Remove everything of a network that is there; as much as possible of it where something fails."""
        if network.mode not in ROUTED:
            return
        try:
            await _both(_shut_out(network), server.stop(network, self._files, entry.record.server))
        finally:
            try:
                await floors.unshape(network)
            finally:
                await bridge.remove(network)

    async def stop(self, uuid: str) -> None:
        """Remove everything that a start made.  Raises InvalidState for a network that is not active."""
        async with self.jobs.hold(uuid, "stop"):
            network = active(self._table.get(uuid))

            def begun(record: Record) -> None:
                record.stopping = True

            await to_the_end(self._stop(self._note(uuid, begun), network))

    async def _stop(self, entry: Entry, network: Network) -> None:
        await self._take_down(network, entry)

        def stopped(record: Record) -> NetworkLifecycle:
            record.live = record.server = None
            record.stopping = False
            return NetworkLifecycle.STOPPED

        changed = self._note(entry.uuid, stopped)
        self._ports.forget_gone(entry.uuid, active=False)
        if changed.record.config is None:
            server.forget_leases(network, self._files)
        await self.hooks.tell(network, "stopped")

    async def _clear(self, entry: Entry) -> None:
        """Take down what is left of a start or a stop whose process was killed."""
        record = entry.record
        if record.boot != boot_id():
            return
        if record.coming is not None:
            log.warning("the start of network %r was interrupted: it is undone", entry.name)
            await self._undo(entry.uuid, parse_network(record.coming))
        elif record.stopping and record.live is not None:
            log.warning("the stop of network %r was interrupted: it is finished", entry.name)
            await self._stop(entry, parse_network(record.live))
        elif record.stale and record.live is not None:
            log.warning("a change of network %r was interrupted: it is finished", entry.name)
            await self.renew(entry.uuid, parse_network(record.live))

    async def recover(self) -> None:
        """Look for what others left half done, and take it down."""
        for entry in self._table.all():
            if _is_half(entry):
                try:
                    async with self.jobs.hold(entry.uuid, "recover", patience=0):
                        await self._clear(self._table.get(entry.uuid))
                except Busy:
                    continue  # somebody is at it
                except VmherdError as problem:
                    log.error("cannot clean up after network %r: %s", entry.name, problem)

    # Looking after active networks

    async def attend(self) -> None:
        """Bring back what active networks have lost: their dnsmasq, their rules."""
        await self.recover()
        running = [entry for entry in self._table.all() if entry.live is not None]
        for entry in running:
            await self._heal_server(entry)
        generation = firewall.generation()
        if running and (generation is None or generation != self._seen):
            await self._heal_rules(running)
            self._seen = generation  # what changes from then on is seen next time

    async def _heal_server(self, entry: Entry) -> None:
        process = entry.record.server
        if process is None or is_alive(process):
            return

        async def heal(entry: Entry, network: Network) -> None:
            if entry.record.server == process:
                log.warning("dnsmasq of network %r has ended: it is started again", entry.name)
                await self._serve_anew(entry.uuid, network)

        await self._heal(entry.uuid, heal)

    async def _heal(self, uuid: str, work: Callable[[Entry, Network], Coroutine[Any, Any, None]]) -> None:
        """Do something for a network if it is still active; not while somebody works on it."""
        try:
            async with self.jobs.hold(uuid, "attend", patience=0):
                entry = self._table.get(uuid)
                if entry.live is not None:
                    await work(entry, active(entry))
        except (Busy, NetworkNotFound):
            return
        except VmherdError as problem:
            log.error("cannot bring back what network %s has lost: %s", uuid, problem)

    async def _serve_anew(self, uuid: str, network: Network) -> None:
        process = await self._serve(network)

        def served(record: Record) -> None:
            record.server = process

        self._note(uuid, served)

    async def _heal_rules(self, running: list[Entry]) -> None:
        """Write the rules anew that are gone, such as by a firewall's restart."""
        chains = await firewall.present()
        lost = [entry for entry in running if not firewall.is_whole(active(entry), chains)]
        guarded = any(not firewall.is_whole(active(entry), set()) for entry in running)
        if guarded and not firewall.is_restored(chains):
            await firewall.restore()

        async def heal(entry: Entry, network: Network) -> None:
            log.warning("rules of network %r were gone: they are back", entry.name)
            await firewall.install(network)

        for entry in lost:
            await self._heal(entry.uuid, heal)
        ways = await hostfirewall.look()

        async def open_up(_: Entry, network: Network) -> None:
            await hostfirewall.open_for(network, ways)

        for entry in running:
            if ways.missing(active(entry)):
                await self._heal(entry.uuid, open_up)

    # Changing active networks; the caller holds them

    async def renew(self, uuid: str, network: Network, *, only_hosts: bool = False) -> None:
        """Have everything do what ``network`` says now; dnsmasq goes on if just its hosts are other ones."""
        if network.mode in ROUTED:
            process = self._table.get(uuid).record.server
            if only_hosts and process and is_alive(process):
                await server.refresh(network, self._files, process)
            else:
                await firewall.install(network)
                await server.stop(network, self._files, process)
                await self._serve_anew(uuid, network)

        def renewed(record: Record) -> None:
            record.stale = False

        self._note(uuid, renewed)


async def _admit(network: Network) -> None:
    """Let packets through, in our own rules and those of the host."""
    await firewall.install(network)
    await hostfirewall.open_for(network)


async def _shut_out(network: Network) -> None:
    try:
        await firewall.withdraw(network)
    finally:
        await hostfirewall.close_for(network)


async def _both(one: Coroutine[Any, Any, T], other: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Do both at once; neither goes on when this returns.  Raises what the first of them did."""
    results = await asyncio.gather(one, other, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    first, second = results
    return cast("T", first), cast("U", second)


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Do what must not stay half done; who cancels waits for it."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _is_half(entry: Entry) -> bool:
    record = entry.record
    return record.boot == boot_id() and (record.coming is not None or record.stopping or record.stale)
