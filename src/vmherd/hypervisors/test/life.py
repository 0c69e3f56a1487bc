"""How test guests begin and end."""

from __future__ import annotations

from vmherd.conf.domain import Domain, render
from vmherd.driver.types import DomainInfo, PausedReason, RunningReason, ShutoffReason, State
from vmherd.errors import InvalidState
from vmherd.events import DomainEvent, Lifecycle
from vmherd.state.domains import Entry, Live, mark_stopped, set_state
from vmherd.state.driver import LocalDriver

#: virDomainEventStoppedDetailType
_STOPPED = {
    ShutoffReason.SHUTDOWN: 0,
    ShutoffReason.DESTROYED: 1,
    ShutoffReason.CRASHED: 2,
    ShutoffReason.SAVED: 4,
}


class TestLife(LocalDriver):
    """How test guests begin."""

    __test__ = False

    def boot(self, entry: Entry | None, domain: Domain, *, paused: bool, restored: bool = False) -> DomainInfo:
        """Let a guest run at once; ``restored`` is one that goes on, which no managed image counts for any more."""
        uuid, started = self.begin(entry, domain)
        domain.id = started.id
        xml = render(domain, secure=True)

        def run(entry: Entry) -> list[DomainEvent]:
            live = alive(entry)
            live.xml, live.ready, entry.record.saved = xml, True, False
            events = [entry.event(Lifecycle.STARTED, 2 if restored else 0)]
            if paused:
                set_state(live, State.PAUSED, PausedReason.USER)
                events.append(entry.event(Lifecycle.SUSPENDED))
            else:
                set_state(live, State.RUNNING, RunningReason.RESTORED if restored else RunningReason.BOOTED)
            return events

        return self.table.change(uuid, run).info


def alive(entry: Entry) -> Live:
    if entry.live is None:
        raise InvalidState(f"domain {entry.name!r} is not running", hint=f"'vmherd start {entry.name}' starts it")
    return entry.live


def running(entry: Entry) -> Live:
    live = alive(entry)
    if live.state is not State.RUNNING:
        raise InvalidState(
            f"domain {entry.name!r} is {live.state.label}", hint=f"'vmherd resume {entry.name}' lets it run"
        )
    return live


def stop(entry: Entry, reason: ShutoffReason) -> list[DomainEvent]:
    """The guest is no more."""
    mark_stopped(entry.record, reason)
    return [entry.event(Lifecycle.STOPPED, _STOPPED[reason])]


def follow(entry: Entry, action: str, reason: ShutoffReason) -> list[DomainEvent]:
    """Do what the document says of an end: go on, stay, or be gone."""
    live = alive(entry)
    if action.endswith("restart"):
        set_state(live, State.RUNNING, RunningReason.BOOTED)
        return []
    if action == "preserve":
        set_state(live, State.SHUTOFF, reason)
        return [entry.event(Lifecycle.STOPPED, _STOPPED[reason])]
    return stop(entry, reason)
