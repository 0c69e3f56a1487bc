"""Changing how a domain is described: how it runs now, how it starts next time, or both.

Whoever changes a running guest tells it so first and the document after (``change_running``); what the definition
says is completed and checked anew with each change (``LocalDriver.change_definition``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from vmherd.driver.types import CURRENT, Scope
from vmherd.errors import DomainNotFound, InvalidArgument, InvalidState
from vmherd.events import DomainEvent
from vmherd.state.domains import DomainTable, Entry, Summary

if TYPE_CHECKING:
    from vmherd.conf.domain import Domain

#: Changes a document in place; what it raises leaves everything as it was.
Edit = Callable[["Domain"], None]


def resolve(entry: Entry, scope: Scope) -> Scope:
    """What ``scope`` means for a domain as it is now, "current" settled.

    Raises InvalidState for the running guest of a domain that is shut off, and for the definition of a transient one.
    Source: virDomainObjUpdateModificationImpact of libvirt.
    """
    if scope == CURRENT:
        scope = Scope(live=True) if entry.live else Scope(config=True)
    if scope.live and entry.live is None:
        raise InvalidState("domain is not running", hint=f"'vmherd start {entry.name}' starts it")
    if scope.config and entry.record.config is None:
        raise InvalidState("transient domains do not have any persistent config", hint="change the running guest only")
    return scope


def described(entry: Entry, scope: Scope) -> Domain:
    """The one document that ``scope`` names, to read from.

    Raises InvalidState as ``resolve`` does, InvalidArgument for both at once.
    """
    if scope.live and scope.config:
        raise InvalidArgument(
            "Flags 'VIR_DOMAIN_AFFECT_LIVE' and 'VIR_DOMAIN_AFFECT_CONFIG' are mutually exclusive",
            hint="ask for the running guest or for its definition",
        )
    text = entry.live.xml if resolve(entry, scope).live and entry.live else entry.record.config
    assert text is not None  # `resolve` has looked
    from vmherd.conf.domain import parse_domain

    return parse_domain(text)


def change_running(table: DomainTable, uuid: str, run: int, edit: Edit, events: Sequence[DomainEvent] = ()) -> bool:
    """Note a change of that run of a domain (its id) in its document; False if that run is over.

    One transaction, with ``events``.
    """
    from vmherd.conf.domain import parse_domain, render

    changed = False

    def mutate(entry: Entry) -> list[DomainEvent] | None:
        nonlocal changed
        if entry.live is None or entry.live.id != run:
            return None
        domain = parse_domain(entry.live.xml)
        edit(domain)
        entry.live.xml, entry.live.summary = render(domain, secure=True), summarise(domain)
        changed = True
        return list(events)

    try:
        table.change(uuid, mutate)
    except DomainNotFound:
        return False
    return changed


def summarise(domain: Domain) -> Summary:
    """What lists show of a document."""
    return Summary(
        title=domain.title or "",
        max_memory=domain.memory.size,
        memory=domain.current_memory or domain.memory.size,
        vcpus=domain.vcpu.current or domain.vcpu.count,
    )
