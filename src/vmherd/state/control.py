"""Names and metadata of the domains in a store: what no hypervisor needs to know of."""

from __future__ import annotations

from vmherd.driver.control import ControlOperations
from vmherd.driver.types import CURRENT, Scope
from vmherd.errors import AlreadyExists, InvalidArgument, InvalidState
from vmherd.events import DomainEvent, MetadataChangeEvent, MetadataType
from vmherd.state.changes import described, resolve, summarise
from vmherd.state.domains import DomainTable, Entry, Summary


class LocalControl(ControlOperations):
    """Of a driver with a table of domains."""

    table: DomainTable

    async def domain_metadata(
        self, uuid: str, kind: MetadataType, *, uri: str | None = None, scope: Scope = CURRENT
    ) -> str:
        from vmherd.state import metadata

        metadata.check(kind, None, None, uri)
        return metadata.read(described(self.table.get(uuid), scope), kind, uri)

    async def domain_set_metadata(
        self,
        uuid: str,
        kind: MetadataType,
        text: str | None,
        *,
        key: str | None = None,
        uri: str | None = None,
        scope: Scope = CURRENT,
    ) -> None:
        self.require_writable()
        from vmherd.conf.domain import parse_domain, render
        from vmherd.state import metadata

        metadata.check(kind, text, key, uri)

        def written(xml: str) -> tuple[str, Summary]:
            domain = parse_domain(xml)
            metadata.write(domain, kind, text, key, uri)
            return render(domain, secure=True), summarise(domain)

        def annotate(entry: Entry) -> list[DomainEvent]:
            reached = resolve(entry, scope)
            if reached.live and entry.live:
                entry.live.xml, entry.live.summary = written(entry.live.xml)
            if reached.config and entry.record.config is not None:
                entry.record.config, entry.record.summary = written(entry.record.config)
            return [MetadataChangeEvent(uuid=entry.uuid, name=entry.name, type=kind, uri=uri)]

        self.table.change(uuid, annotate)
        await self.table.store.synced()

    async def domain_rename(self, uuid: str, name: str) -> None:
        self.require_writable()
        if not name or "/" in name:
            raise InvalidArgument(f"a domain cannot have the name {name!r}", hint="any but an empty one, or with '/'")

        def rename(entry: Entry) -> None:
            if entry.live:
                raise InvalidState("cannot rename active domain", hint=f"'vmherd stop {entry.name}' shuts it down")
            if entry.record.saved:
                raise InvalidState(
                    "domain with a managed saved state can't be renamed", hint="'vmherd managedsave-remove' forgets it"
                )
            if name == entry.name:
                raise InvalidState(f"domain {name!r} has this name already")
            self._rename(entry, name)

        try:
            self.table.rename(uuid, name, rename)
        except AlreadyExists:
            raise InvalidState(f"domain with name {name!r} already exists", hint="choose another name") from None

    def _rename(self, entry: Entry, name: str) -> None:
        """Make the definition tell the new name; a driver adds what else has the name in it, or refuses."""
        from vmherd.conf.domain import parse_domain, render

        assert entry.record.config is not None  # what does not run is defined
        domain = parse_domain(entry.record.config)
        domain.name = name
        entry.record.config = render(domain, secure=True)
