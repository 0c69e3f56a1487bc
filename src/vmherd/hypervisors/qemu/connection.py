"""A connection to the guests of one set of folders, and what every operation on them rests on."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from vmherd.driver.control import JobType
from vmherd.driver.interface import InterfaceDriver
from vmherd.driver.network import NetworkDriver
from vmherd.driver.nodedev import NodeDeviceDriver
from vmherd.driver.nwfilter import FilterDriver
from vmherd.driver.storage import StorageDriver
from vmherd.driver.types import Scope, State
from vmherd.driver.uri import ConnectURI
from vmherd.errors import DomainNotFound, InvalidState, VmherdError
from vmherd.events import JobCompletedEvent
from vmherd.hypervisors.qemu import keeper
from vmherd.hypervisors.qemu.folders import Folders
from vmherd.hypervisors.qemu.hotplug import journal
from vmherd.hypervisors.qemu.life import Life
from vmherd.hypervisors.qemu.monitor import Monitor, connected
from vmherd.hypervisors.qemu.pulse import Pulse
from vmherd.state.changes import resolve
from vmherd.state.domains import Entry, Live
from vmherd.state.driver import LocalDriver
from vmherd.state.jobs import EndedJob, Jobs

if TYPE_CHECKING:
    from vmherd.conf.domain import Domain
    from vmherd.hypervisors.qemu.agent import Agent
    from vmherd.hypervisors.qemu.outline import Outlines
    from vmherd.hypervisors.qemu.workshop import Workshop

log = logging.getLogger("vmherd.qemu")

#: Seconds between looks whether the agent that is waited for is still there.
_AGENT_POLL = 0.5


class QemuConnection(LocalDriver):
    """The parts of the driver, in ``operations/`` and ``driver``, are built on this."""

    name = "QEMU"
    #: What others are made of comes first: networks of interfaces, and pools may be reached over both.
    tended = (InterfaceDriver, NetworkDriver, StorageDriver, FilterDriver, NodeDeviceDriver)

    def __init__(self, uri: ConnectURI, folders: Folders, *, readonly: bool = False) -> None:
        folders.create()
        super().__init__(uri, readonly=readonly, database=folders.database, listeners=folders.listeners)
        self._folders = folders
        self._jobs = Jobs(folders.jobs, self._tell_done)
        self._life = Life(self.table, folders, self._jobs)
        self._pulse = Pulse(folders)

    async def close(self) -> None:
        self._pulse.close()
        await super().close()

    def _tell_done(self, uuid: str, job: EndedJob) -> None:
        from vmherd.hypervisors.qemu import jobstats

        told = jobstats.ended(job)
        if told.type is JobType.NONE:
            return
        try:
            name = self.table.get(uuid).name
            self.store.record_events([JobCompletedEvent(uuid=uuid, name=name, params=told.params)])
        except DomainNotFound:
            return  # a transient domain that was saved
        except VmherdError as problem:  # it is done all the same
            log.warning("cannot tell that %r is done: %s", job.info.operation, problem)

    async def _attend(self) -> None:
        """Look after guests that nobody looked after: their keeper or their start may have been killed."""
        living = [entry for entry in self.table.all() if entry.live]
        kept = not living or keeper.is_present(self._folders)
        life = self._life
        lonely = [entry for entry in living if not kept or life.broken_off(entry) or life.gone(entry)]
        await asyncio.gather(*map(self._life.attend, lonely))  # at once: one that is silent takes its time
        if not kept and any(entry.live for entry in self.table.all()):
            keeper.ensure(self._folders, self.uri.text)

    async def attend(self) -> None:
        if not keeper.is_present(self._folders):
            await self._attend()
        await super().attend()

    async def warm_up(self) -> None:
        await super().warm_up()
        await asyncio.to_thread(importlib.import_module, "vmherd.hypervisors.qemu.workshop")
        await self._workshop.version()

    @cached_property
    def _workshop(self) -> Workshop:
        # Not imported before a document is worked on: most commands never do, and start the sooner.
        from vmherd.hypervisors.qemu.workshop import Workshop

        return Workshop(self.table, self._life, self._folders, self.uri.text)

    @cached_property
    def _outlines(self) -> Outlines:
        from vmherd.hypervisors.qemu.outline import Outlines

        return Outlines()

    async def accept(self, domain: Domain) -> None:
        await self._workshop.accept(domain)

    @asynccontextmanager
    async def _changing(self, uuid: str, operation: str) -> AsyncIterator[tuple[Entry, Live]]:
        """A job that changes a running domain.  Raises NotResponding at once for one that is known not to answer."""
        self.require_writable()
        self._require_answers(uuid)
        async with self._jobs.hold(uuid, operation):
            entry = await self._whole(uuid)
            yield entry, self._alive(entry)

    async def _whole(self, uuid: str) -> Entry:
        """A domain whose job we hold, with what somebody left half-done who was killed put right."""
        entry = self.table.get(uuid)
        if entry.live and (entry.live.writing or journal.is_there(self._folders.guest(uuid))):
            await self._life.put_right(uuid)
            entry = self.table.get(uuid)
        return entry

    @asynccontextmanager
    async def _adjusting(self, uuid: str, operation: str, scope: Scope) -> AsyncIterator[tuple[Entry, Scope]]:
        """A job that changes a running guest, its definition or both, with what ``scope`` means for it now.

        Raises InvalidState as ``resolve`` does.
        """
        self.require_writable()
        async with self._jobs.hold(uuid, operation):
            entry = await self._whole(uuid)
            yield entry, resolve(entry, scope)

    @asynccontextmanager
    async def _monitor(self, uuid: str, *, patience: float = 20.0) -> AsyncIterator[Monitor]:
        """The monitor of a running guest.  Raises NotResponding at once for one that is known not to answer."""
        self._require_answers(uuid)
        async with connected(self._folders.control(uuid), patience=patience) as monitor:
            yield monitor

    def _require_answers(self, uuid: str) -> None:
        live = self.table.get(uuid).live
        if live:
            self._pulse.require(uuid, live)

    @asynccontextmanager
    async def _agent(self, uuid: str, *, timeout: int | None = None) -> AsyncIterator[Agent]:
        """The agent in a running guest, for one command at a time, whoever has it.

        ``timeout`` is an AgentTimeout or seconds, by default the domain's own.  Raises as ``AgentOperations`` says.
        """
        self.require_writable()
        from vmherd.hypervisors.qemu import agent, lines

        entry = self.table.get(uuid)
        if entry.live is None or entry.live.state is not State.RUNNING:
            raise InvalidState("domain is not running", hint=f"'vmherd list' shows how {entry.name} is")
        path = lines.agent_channel(entry.live.xml)
        patience = agent.patience_of(entry.record.agent_timeout if timeout is None else timeout)
        async with self._jobs.hold(f"{uuid}.agent", "agent"):
            connection = await agent.Agent.connect(path, patience=patience)
            watch = asyncio.create_task(self._watch_agent(connection, uuid, entry.live.id))
            try:
                yield connection
            finally:
                watch.cancel()
                connection.close()

    async def _watch_agent(self, connection: Agent, uuid: str, run: int) -> None:
        """End the wait for an agent that cannot answer any more."""
        from vmherd.hypervisors.qemu import lines

        seen = ""
        while live := self._life.current(uuid, run):
            if live.state is not State.RUNNING:
                break
            if live.xml != seen:
                seen = live.xml
                try:
                    lines.agent_channel(seen)
                except VmherdError:
                    break
            await asyncio.sleep(_AGENT_POLL)
        connection.vanish()

    def _document(self, uuid: str) -> Domain:
        """How a guest runs now; raises InvalidState for one that does not."""
        from vmherd.conf.domain import parse_domain

        return parse_domain(self._alive(self.table.get(uuid)).xml)

    def _alive(self, entry: Entry) -> Live:
        if entry.live is None:
            raise InvalidState(f"domain {entry.name!r} is not running", hint=f"'vmherd start {entry.name}' starts it")
        return entry.live
