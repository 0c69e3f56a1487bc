"""What all drivers share that keep their own domains: definitions, lists, documents, events.

A driver built on this adds how a document is completed and checked for it (``accept``), and how a domain lives.

Most commands only list guests and switch them.  So that those start at once, the document model is imported where
a document is read.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast
from uuid import uuid4

from vmherd.driver.base import Driver
from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.registry import lent
from vmherd.driver.types import DomainInfo, Scope
from vmherd.driver.uri import ConnectURI
from vmherd.errors import AlreadyExists, DomainNotFound, InvalidState, VmherdError
from vmherd.events import DomainEvent, Lifecycle, Subscription
from vmherd.state.changes import Edit, resolve, summarise
from vmherd.state.control import LocalControl
from vmherd.state.domains import DomainRecord, DomainTable, Entry, Live
from vmherd.state.hub import EventHub
from vmherd.state.node.operations import LocalHost
from vmherd.state.store import Store

if TYPE_CHECKING:
    from vmherd.conf.domain import Domain

R = TypeVar("R", bound=Driver)

log = logging.getLogger("vmherd.state")

# virDomainEventDefinedDetailType
_ADDED, _UPDATED = 0, 1

#: What every document with a password has in it; in all others there is nothing to hide.
_HIDDEN = " passwd="


class LocalDriver(LocalHost, LocalControl, HypervisorDriver):
    """Domains in a store.

    ``database`` None keeps them in memory; ``listeners`` is where the processes that share it hear each other.
    """

    #: What has something to do on the host by itself, from the start of a program that stays.
    tended: ClassVar[tuple[type[Driver], ...]] = ()

    def __init__(
        self, uri: ConnectURI, *, readonly: bool = False, database: Path | None = None, listeners: Path | None = None
    ) -> None:
        super().__init__(uri, readonly=readonly)
        self.store = Store(database)
        self.hub: EventHub[DomainEvent] = EventHub(self.store, listeners)
        self.table = DomainTable(self.store)
        self._loans = AsyncExitStack()
        self._lending = asyncio.Lock()
        self._lent: dict[type[Driver], Driver] = {}

    async def resource(self, kind: type[R]) -> R:
        async with self._lending:
            if kind not in self._lent:
                self._lent[kind] = await self._loans.enter_async_context(lent(kind, self.uri))
        return cast("R", self._lent[kind])

    async def warm_up(self) -> None:
        await self.open_resources()

    async def open_resources(self) -> None:
        """Borrow what is to be looked after; what of it starts with the host does so now."""
        for kind in self.tended:
            try:
                await self.resource(kind)
            except VmherdError as problem:
                log.warning("cannot look after what %s has on this host: %s", kind.name, problem)

    async def attend(self) -> None:
        """Look after what guests need of the host, as far as it is in use here."""
        for resource in list(self._lent.values()):
            await resource.attend()

    async def close(self) -> None:
        await self._loans.aclose()
        self.hub.close()
        self.store.close()

    async def accept(self, domain: Domain) -> None:
        """Complete a document for this driver and check it; raises DocumentError."""
        raise NotImplementedError

    async def hostname(self) -> str:
        return socket.gethostname()

    async def domain_list(self) -> list[DomainInfo]:
        return [entry.info for entry in self.table.all()]

    async def domain_find(self, key: str) -> DomainInfo:
        return self.table.find(key).info

    async def domain_xml(self, uuid: str, *, inactive: bool = False, secure: bool = False) -> str:
        if secure:
            self.require_writable()
        entry = self.table.get(uuid)
        # While a guest that is defined starts, what it will be like is not known yet.
        shows_live = entry.live and entry.live.xml and not (inactive and entry.record.config)
        kept = entry.live.xml if entry.live and shows_live else entry.record.config or ""
        if secure or _HIDDEN not in kept:
            return kept
        if kept not in entry.derived:
            entry.derived[kept] = _without_passwords(kept)
        return entry.derived[kept]

    async def domain_validate(self, xml: str) -> str:
        from vmherd.conf.domain import render

        return render(await self.read(xml))

    async def domain_define(self, xml: str) -> DomainInfo:
        self.require_writable()
        from vmherd.conf.domain import render

        domain = await self.read(xml)
        config, summary = render(domain, secure=True), summarise(domain)

        def redefine(entry: Entry) -> list[DomainEvent]:
            detail = _UPDATED if entry.record.config is not None else _ADDED
            entry.record.config, entry.record.summary = config, summary
            return [entry.event(Lifecycle.DEFINED, detail)]

        with self.store.transaction():
            if known := self._same(domain):
                kept = self.table.change(known.uuid, redefine)
            else:
                entry = Entry(
                    _uuid(domain), domain.name, DomainRecord(config=config, summary=summary, since=time.time())
                )
                kept = self.table.insert(entry, [entry.event(Lifecycle.DEFINED, _ADDED)])
        await self.store.synced()
        return kept.info

    async def domain_undefine(self, uuid: str, *, keep_nvram: bool | None = None, managed_save: bool = False) -> None:
        self.require_writable()

        def forget(entry: Entry) -> list[DomainEvent]:
            if entry.record.config is None:
                raise InvalidState(f"domain {entry.name!r} is transient", hint="it is gone when it stops")
            if entry.record.saved and not managed_save:
                text = "Refusing to undefine while domain managed save image exists"
                raise InvalidState(text, hint="--managed-save removes it, too")
            entry.record.config, entry.record.saved = None, False
            entry.record.autostart = False
            return [entry.event(Lifecycle.UNDEFINED)]

        self.table.change(uuid, forget)
        await self.store.synced()

    async def domain_set_autostart(self, uuid: str, enabled: bool) -> None:
        self.require_writable()

        def switch(entry: Entry) -> list[DomainEvent]:
            if entry.record.config is None:
                raise InvalidState(f"domain {entry.name!r} is transient, so it cannot start by itself")
            entry.record.autostart = enabled
            return []

        self.table.change(uuid, switch)
        await self.store.synced()

    async def events(self, *wanted: type[DomainEvent]) -> Subscription[DomainEvent]:
        return self.hub.subscribe(*wanted)

    async def read(self, xml: str) -> Domain:
        """Parse, complete and check a document; one without a UUID gets one."""
        from vmherd.conf.domain import parse_domain

        domain = parse_domain(xml)
        if domain.uuid is None:
            domain.uuid = str(uuid4())
        await self.accept(domain)
        return domain

    def definition(self, entry: Entry) -> Domain:
        """How a domain starts next time; raises InvalidState for a transient one."""
        if entry.record.config is None:
            raise InvalidState(f"domain {entry.name!r} has no definition to start from; it is already running")
        from vmherd.conf.domain import parse_domain

        return parse_domain(entry.record.config)

    @asynccontextmanager
    async def _adjusting(self, uuid: str, operation: str, scope: Scope) -> AsyncIterator[tuple[Entry, Scope]]:
        """Change a running guest, its definition or both, with what ``scope`` means for it now.

        Raises InvalidState as ``resolve`` does.
        """
        self.require_writable()
        entry = self.table.get(uuid)
        yield entry, resolve(entry, scope)

    async def edited(self, entry: Entry, edit: Edit) -> Domain:
        """The definition as it would be after ``edit``, completed and checked; nothing is kept yet.

        Raises InvalidState for a transient domain, DocumentError for what this driver refuses.
        """
        domain = self.definition(entry)
        edit(domain)
        await self.accept(domain)
        return domain

    async def change_definition(self, uuid: str, edit: Edit, events: Sequence[DomainEvent] = ()) -> Domain:
        """Change how a domain starts next time, in one transaction with ``events``; the definition it has then.

        Raises as ``edited`` does, and then keeps everything as it was.  ``edit`` is called again for the new
        definition where somebody else changed it meanwhile.
        """
        from vmherd.conf.domain import render

        while True:
            before = self.table.get(uuid)
            domain = await self.edited(before, edit)
            config, summary = render(domain, secure=True), summarise(domain)
            kept = False

            def keep(entry: Entry) -> list[DomainEvent] | None:
                nonlocal kept
                if entry.record.config != before.record.config:  # noqa: B023 - called in this turn of the loop
                    return None
                entry.record.config, entry.record.summary = config, summary  # noqa: B023
                kept = True
                return list(events)

            self.table.change(uuid, keep)
            if kept:
                await self.store.synced()
                return domain

    def _same(self, domain: Domain) -> Entry | None:
        """The domain that a document replaces; raises AlreadyExists where just name or UUID is taken."""
        try:
            known = self.table.get(_uuid(domain))
        except DomainNotFound:
            return None
        if known.name != domain.name:
            raise AlreadyExists(
                f"domain {known.name!r} is already defined with UUID {known.uuid}",
                hint="leave <uuid> out to get a new one, or keep the name",
            )
        return known

    def begin(self, entry: Entry | None, domain: Domain, *, restored_from: str = "") -> tuple[str, Live]:
        """Note that a domain is being started, transient where ``entry`` is None and there is none of its UUID.

        ``restored_from`` is the image that its state comes from.

        Raises InvalidState if it runs already, AlreadyExists for a taken name or UUID.
        """
        live = Live(
            id=0,  # counted below
            xml="",
            summary=summarise(domain),
            since=time.time(),
            on_poweroff=str(domain.on_poweroff),
            on_reboot=str(domain.on_reboot),
            on_crash=str(domain.on_crash),
            restored_from=restored_from,
        )

        def occupy(entry: Entry) -> list[DomainEvent]:
            if entry.live:
                raise InvalidState(f"domain {entry.name!r} is already running")
            entry.record.live = live
            return []

        with self.store.transaction():
            live.id = self.store.count("domain-id")
            known = entry or self._same(domain)
            if known:
                self.table.change(known.uuid, occupy)
                return known.uuid, live
            live.xml = _rendered(domain)
            fresh = Entry(_uuid(domain), domain.name, DomainRecord(live=live))
            self.table.insert(fresh, [])
        return fresh.uuid, live


def _rendered(domain: Domain) -> str:
    from vmherd.conf.domain import render

    return render(domain, secure=True)


def _without_passwords(text: str) -> str:
    from vmherd.conf.domain import parse_domain, render

    return render(parse_domain(text))


def _uuid(domain: Domain) -> str:
    assert domain.uuid is not None  # `_read` makes one
    return domain.uuid
