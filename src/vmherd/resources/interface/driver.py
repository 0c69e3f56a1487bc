"""The network interfaces of this host: those there are, and those that are defined here.

Definitions are ours alone: what other programs configure (ifupdown, systemd-networkd, NetworkManager) is shown, and
can be started and stopped, but their files are not touched.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from typing import Self

import msgspec

from vmherd.conf.interface import Interface, InterfaceType, StartMode, parse_interface
from vmherd.driver.interface import InterfaceDriver, InterfaceInfo
from vmherd.driver.uri import ConnectURI
from vmherd.errors import InterfaceNotFound, InvalidState, MultipleInterfaces, VmherdError
from vmherd.resources.interface import change, dhcp, make, show
from vmherd.resources.interface.change import Change
from vmherd.resources.interface.checks import configured_by, read
from vmherd.resources.interface.links import Link
from vmherd.resources.interface.links import read as read_links
from vmherd.resources.interface.make import Note
from vmherd.state.jobs import Jobs
from vmherd.state.objects import Definition, ObjectTable
from vmherd.state.objects import Entry as AnyEntry
from vmherd.state.places import Places, of_uri
from vmherd.state.store import Store
from vmherd.util.aside import whole
from vmherd.util.files import write_atomically
from vmherd.util.process import boot_id
from vmherd.util.xmlmodel import render

log = logging.getLogger("vmherd.interface")

Entry = AnyEntry[Definition]
Links = dict[str, Link]

_NOTE, _LOCK = "interface-note", "interfaces"
#: What is started first: others are made of it.
_ORDER = (InterfaceType.ETHERNET, InterfaceType.BOND, InterfaceType.VLAN, InterfaceType.BRIDGE)


class LocalInterfaces(InterfaceDriver):
    """The interfaces of the system."""

    def __init__(self, uri: ConnectURI, places: Places) -> None:
        super().__init__(uri)
        self._store = Store(places.state / "state.db")
        self._table = ObjectTable(self._store, "interface", Definition, InterfaceNotFound)
        self._jobs = Jobs(places.run / "jobs", noun="configuration", remember=False)
        self._run = places.run

    @classmethod
    async def open(cls, uri: ConnectURI, *, readonly: bool = False) -> Self:
        driver = cls(uri, of_uri(uri, "interfaces"))
        await driver._resume()
        return driver

    async def close(self) -> None:
        self._store.close()

    async def attend(self) -> None:
        await self._resume()

    # After a kill, or a boot

    async def _resume(self) -> None:
        """Finish what somebody who was killed has begun; once after each boot, start what shall run."""
        pending = change.current(self._store)
        undo = pending is not None and (pending.undoing or not pending.is_of_this_boot)
        if not (undo or self._store.all(_NOTE) or self._is_new_boot()):
            return
        async with self._hold("take up the interfaces"):
            for record in self._store.all(_NOTE):
                await self._take_back(record.name)
            pending = change.current(self._store)
            if pending and (pending.undoing or not pending.is_of_this_boot):
                await self._roll_back(pending)
            if self._is_new_boot():
                await self._start_all()
                write_atomically(self._run / "started", boot_id().encode())

    def _is_new_boot(self) -> bool:
        mark = self._run / "started"
        return not (mark.exists() and mark.read_text() == boot_id())

    async def _start_all(self) -> None:
        """Start what is defined to start with the host; what is made of others comes after them."""
        wanted = [(entry, parse_interface(entry.record.config)) for entry in self._table.all() if entry.record.config]
        wanted = [(entry, found) for entry, found in wanted if found.start and found.start.mode is StartMode.ONBOOT]
        for entry, document in sorted(wanted, key=lambda each: _ORDER.index(each[1].type)):
            if entry.live is None:
                try:
                    await self._start(entry, document)
                except VmherdError as problem:
                    log.warning("cannot start interface %r with the host: %s", entry.name, problem)

    def _hold(self, operation: str) -> AbstractAsyncContextManager[object]:
        """One change at a time, over all processes: interfaces are made of each other."""
        return self._jobs.hold(_LOCK, operation, title="of the interfaces")

    # What there is

    async def interface_list(self) -> list[InterfaceInfo]:
        links, entries = await read_links(), self._entries()
        shown = {name for name, link in links.items() if link.kind != "tun" and not show.is_part(link, links)}
        defined = {name for name, entry in entries.items() if entry.record.config}
        return [_info(name, links, entries) for name in sorted(shown | (defined - links.keys()))]

    def _entries(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self._table.all()}

    async def interface_find(self, name: str) -> InterfaceInfo:
        links, entries = await read_links(), self._entries()
        if name not in links and name not in entries:
            raise InterfaceNotFound(name)
        return _info(name, links, entries)

    async def interface_by_mac(self, mac: str) -> InterfaceInfo:
        found = [info for info in await self.interface_list() if info.mac == mac.lower()]
        if not found:
            raise InterfaceNotFound(mac)
        if len(found) > 1:
            names = ", ".join(info.name for info in found)
            raise MultipleInterfaces(f"the MAC address '{mac}' matches multiple interfaces: {names}", hint="name one")
        return found[0]

    async def interface_xml(self, name: str, *, inactive: bool = False) -> str:
        links, entry = await read_links(), self._entries().get(name)
        config = entry.record.config if entry else None
        if config and (inactive or name not in links):
            return config
        if name not in links:
            raise InterfaceNotFound(name)
        if inactive:
            return render(show.configuration(links[name], links))
        return render(show.document(links[name], links))

    # Definitions

    async def interface_define(self, xml: str) -> InterfaceInfo:
        document = read(xml)
        async with self._hold(f"define {document.name}"):
            self._require_apart(document)
            with self._store.transaction(durable=True):
                for name in make.members(document) & self._entries().keys():
                    self._set_config(name, None)  # it is a part of this one now
                self._set_config(document.name, render(document))
        if other := await asyncio.to_thread(configured_by, document.name):
            log.warning("interface %r is configured by %s, too: the host may start it first", document.name, other)
        return await self.interface_find(document.name)

    def _set_config(self, name: str, config: str | None) -> None:
        entry = self._entries().get(name) or Entry(name, name, Definition())
        entry.record.config = config
        self._table.put(entry)

    def _require_apart(self, document: Interface) -> None:
        """Raise InvalidState for what is a part of another definition."""
        for entry in self._table.all():
            if entry.name == document.name or not entry.record.config:
                continue
            inside = make.members(parse_interface(entry.record.config))
            if shared := inside & {document.name, *make.members(document)}:
                text = f"{', '.join(sorted(shared))} is a part of interface {entry.name!r}"
                raise InvalidState(text, hint=f"undefine {entry.name!r} first, or leave it out there")

    async def interface_undefine(self, name: str) -> None:
        async with self._hold(f"undefine {name}"):
            await self.interface_find(name)
            entry = self._entries().get(name)
            if entry is None or not entry.record.config:
                other = await asyncio.to_thread(configured_by, name)
                hint = f"it is configured by {other}" if other else "it is not configured here"
                raise InvalidState(f"interface {name!r} is not defined", hint=hint)
            self._set_config(name, None)

    # Start and stop

    async def interface_start(self, name: str) -> None:
        async with self._hold(f"start {name}"):
            if (await self.interface_find(name)).active:
                raise InvalidState("interface is already running", hint="nothing is to be done; or stop it first")
            entry = self._entries().get(name)
            if entry is None or not entry.record.config:
                await whole(make.switch(name, on=True))
                return
            await whole(self._start(entry, parse_interface(entry.record.config)))

    async def _start(self, entry: Entry, document: Interface) -> None:
        """All of it, or nothing: what devices are before is in the store until all is done."""
        if self._store.get(_NOTE, entry.name):  # of somebody who was killed, since we hold the lock
            await self._take_back(entry.name)
        note = Note.of(document, await read_links())
        self._store.insert(_NOTE, entry.name, entry.name, msgspec.msgpack.encode(note))
        try:
            await make.start(document)
            await dhcp.start(document, self._run)
        except BaseException:
            await dhcp.stop(document, self._run)
            await self._take_back(entry.name)
            raise
        entry.record.live, entry.record.boot = render(document), boot_id()
        with self._store.transaction(durable=True):
            self._table.put(entry)
            self._store.delete(_NOTE, entry.name)

    async def _take_back(self, name: str) -> None:
        """Undo a start that was begun."""
        record = self._store.get(_NOTE, name)
        assert record is not None  # it is noted
        note = msgspec.msgpack.decode(record.body, type=Note)
        if note.boot == boot_id():
            await make.bring_back(note.before, note.made)
        self._store.delete(_NOTE, name)

    async def interface_stop(self, name: str) -> None:
        async with self._hold(f"stop {name}"):
            if not (await self.interface_find(name)).active:
                raise InvalidState("interface is not running", hint="nothing is to be done")
            entry = self._entries().get(name)
            if entry is None or entry.live is None:
                await whole(make.switch(name, on=False))
                return
            await whole(self._stop(entry))

    async def _stop(self, entry: Entry) -> None:
        """It can be done again: it is noted as stopped when all is done."""
        document = parse_interface(entry.document)
        await dhcp.stop(document, self._run)
        await make.stop(document)
        entry.record.live = None
        self._table.put(entry)

    # Changes that can be taken back

    async def change_begin(self) -> None:
        async with self._hold("begin a change"):
            entries = self._table.all()
            how_it_is = Change(
                definitions={entry.name: entry.record.config for entry in entries if entry.record.config},
                live={entry.name: entry.live for entry in entries if entry.live},
                links=list((await read_links()).values()),
                boot=boot_id(),
            )
            change.begin(self._store, how_it_is)

    async def change_commit(self) -> None:
        async with self._hold("commit a change"):
            change.pending(self._store)
            change.end(self._store)

    async def change_rollback(self) -> None:
        async with self._hold("roll a change back"):
            pending = change.pending(self._store)
            change.note_undoing(self._store, pending)
            await whole(self._roll_back(pending))

    async def _roll_back(self, was: Change) -> None:
        """Make everything what it was.  Each step can be done again, by whoever comes after us."""
        touched = {name for entry in self._table.all() for name in _names(entry.live or entry.record.config or "")}
        touched |= {name for text in was.definitions.values() for name in _names(text)}
        taken: set[str] = set()
        for entry in self._table.all():
            if entry.live and was.live.get(entry.name) != entry.live:
                taken |= _names(entry.live)
                await self._stop(entry)
        with self._store.transaction(durable=True):
            for name in self._entries().keys() | was.definitions.keys():
                self._set_config(name, was.definitions.get(name))
        if was.is_of_this_boot:
            before = [link for link in was.links if link.name in touched and link.name not in was.live]
            await make.bring_back(before, [])
            for name, text in was.live.items():
                entry = self._entries().get(name) or Entry(name, name, Definition())
                if entry.live is None or name in taken:  # its device went down with what it was put into
                    await self._start(entry, parse_interface(text))
        change.end(self._store)


def _names(text: str) -> set[str]:
    """Every device that a document is about."""
    if not text:
        return set()
    document = parse_interface(text)
    return {document.name} | make.members(document)


def _info(name: str, links: Links, entries: dict[str, Entry]) -> InterfaceInfo:
    link, entry = links.get(name), entries.get(name)
    return InterfaceInfo(name=name, mac=link.mac if link else "", active=_is_active(link, entry))


def _is_active(link: Link | None, entry: Entry | None) -> bool:
    """What we started runs while it is switched on; others run when they have a connection, too."""
    if link is None or not link.up:
        return False
    if entry and entry.live:
        return True
    return link.state == "up" or (link.state == "unknown" and not link.loopback)
