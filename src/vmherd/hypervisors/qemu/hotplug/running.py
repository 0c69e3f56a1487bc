"""A guest that runs, as changes of its devices see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from vmherd.conf.domain import Domain, parse_domain
from vmherd.errors import HypervisorError
from vmherd.events import DomainEvent
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.config import Config
from vmherd.hypervisors.qemu.folders import Folders
from vmherd.hypervisors.qemu.monitor import Monitor, connected
from vmherd.state.changes import Edit, change_running
from vmherd.state.domains import DomainTable, Entry, Live


class Running:
    """One run of a guest.  ``domain`` is its document as it was when this was made, and after each ``note``."""

    def __init__(self, table: DomainTable, folders: Folders, entry: Entry, live: Live) -> None:
        self.entry = entry
        self.uuid = entry.uuid
        self.name = entry.name
        self.run = live.id
        self.pid = live.pid
        self.folders = folders
        self.domain: Domain = parse_domain(live.xml)
        self._table = table

    @property
    def folder(self) -> Path:
        """The guest's own: its sockets, its helpers, its notes."""
        return self.folders.guest(self.uuid)

    @asynccontextmanager
    async def monitor(self, *, events: bool = False) -> AsyncIterator[Monitor]:
        """QEMU's monitor; no deadline but those of its commands, since we hold the guest's job."""
        async with connected(self.folders.control(self.uuid), events=events) as monitor:
            yield monitor

    def note(self, edit: Edit, events: Sequence[DomainEvent] = ()) -> None:
        """Change the document.  Raises HypervisorError if this run is over."""
        if not change_running(self._table, self.uuid, self.run, edit, events):
            raise HypervisorError(f"domain {self.name!r} ended meanwhile", hint="'vmherd info' shows what became of it")
        edit(self.domain)


class Means:
    """What a device is made with: what the binary can do, what the administrator set, and whose secrets it may use."""

    def __init__(self, caps: Capabilities, config: Config, uri: str) -> None:
        self.caps = caps
        self.config = config
        self.uri = uri
