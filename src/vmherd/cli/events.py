"""Commands that show what happens to guests, as it happens."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple

import click
import msgspec

from vmherd.api.aio import Host
from vmherd.cli.command import guest_names, json_option, with_host
from vmherd.events import DomainEvent, EventId, GraphicsAddress, LifecycleEvent, QemuMonitorEvent

_KINDS = {kind.kind(): kind for kind in DomainEvent.__subclasses__()}
#: What is said of an event besides its own fields.
_COMMON = ("uuid", "name", "seq", "time")


@click.command("events")
@click.argument("name", metavar="[GUEST]", required=False, shell_complete=guest_names)
@click.option(
    "-k", "--kind", "kinds", type=click.Choice([*_KINDS]), multiple=True, help="Only these; lifecycle by default."
)
@click.option("--all", "everything", is_flag=True, help="Every kind but those of QEMU's monitor.")
@click.option("-n", "--count", type=click.IntRange(min=1), help="End after that many.")
@click.option("-t", "--timeout", type=float, help="End after that many seconds.")
@json_option
@with_host
async def events_command(
    host: Host,
    name: str | None,
    kinds: tuple[str, ...],
    everything: bool,
    count: int | None,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Watch what happens to guests.

    It goes on until Ctrl-C.  With --json it prints one object per line.
    """
    only = (await host.domain(name)).uuid if name else None
    wanted = [] if everything else [_KINDS[kind] for kind in kinds] or [LifecycleEvent]
    try:
        async with asyncio.timeout(timeout):
            async for event in host.events(*wanted):
                if only in (None, event.uuid):
                    click.echo(_json(event) if as_json else _line(event))
                    count = count - 1 if count else None
                    if count == 0:
                        return
    except TimeoutError:
        return


@click.command("event")
@click.argument("name", metavar="[GUEST]", required=False, shell_complete=guest_names)
@click.option("--domain", help="Only this guest; the same as GUEST.")
@click.option("--event", "word", metavar="KIND", help="Which kind to wait for; --list shows them.")
@click.option("--all", "everything", is_flag=True, help="Any kind.")
@click.option("--loop", is_flag=True, help="Go on until the time is over, or Ctrl-C.")
@click.option("--timeout", type=float, help="Seconds to wait at most.")
@click.option("--list", "listed", is_flag=True, help="Show the kinds there are.")
@click.option("--timestamp", is_flag=True, help="Say when it happened.")
@with_host
async def event_command(
    host: Host,
    name: str | None,
    domain: str | None,
    word: str | None,
    everything: bool,
    loop: bool,
    timeout: float | None,
    listed: bool,
    timestamp: bool,
) -> int:
    """Wait for something to happen to guests.  Exit code 1 says that nothing did."""
    if listed:
        click.echo("\n".join(each.label for each in EventId))
        return 0
    if bool(word) is everything:
        raise click.UsageError("say --event KIND, or --all")
    kinds = [kind for kind in _KINDS.values() if everything or word in [each.label for each in kind.ids]]
    if not kinds:
        raise click.UsageError(f"there is no event {word!r}; --list shows all")
    return await _wait(host, kinds, name or domain, lambda _: True, _Waiting(loop, timeout, timestamp))


@click.command("qemu-monitor-event")
@click.argument("name", metavar="[GUEST]", required=False, shell_complete=guest_names)
@click.option("--domain", help="Only this guest; the same as GUEST.")
@click.option("--event", "word", metavar="NAME", help="Only events of this name, such as SHUTDOWN.")
@click.option("--regex", is_flag=True, help="NAME is a regular expression.")
@click.option("--no-case", is_flag=True, help="Take capitals and small letters for the same.")
@click.option("--loop", is_flag=True, help="Go on until the time is over, or Ctrl-C.")
@click.option("--timeout", type=float, help="Seconds to wait at most.")
@click.option("--timestamp", is_flag=True, help="Say when it happened.")
@with_host
async def qemu_monitor_event_command(
    host: Host,
    name: str | None,
    domain: str | None,
    word: str | None,
    regex: bool,
    no_case: bool,
    loop: bool,
    timeout: float | None,
    timestamp: bool,
) -> int:
    """Wait for events of QEMU's monitors, as they are.  Exit code 1 says that none came."""
    pattern = re.compile((word if regex else f"^{re.escape(word)}$") if word else "", re.IGNORECASE if no_case else 0)

    def fits(event: DomainEvent) -> bool:
        return isinstance(event, QemuMonitorEvent) and pattern.search(event.event) is not None

    return await _wait(host, [QemuMonitorEvent], name or domain, fits, _Waiting(loop, timeout, timestamp))


class _Waiting(NamedTuple):
    """Whether to wait for more than one event, how many seconds, and whether to print times."""

    loop: bool
    timeout: float | None
    timestamp: bool


async def _wait(
    host: Host,
    kinds: Sequence[type[DomainEvent]],
    name: str | None,
    fits: Callable[[DomainEvent], bool],
    how: _Waiting,
) -> int:
    """Print events until it is enough; 1 if none came, as virsh does."""
    only = (await host.domain(name)).uuid if name else None
    count = 0
    try:
        async with asyncio.timeout(how.timeout):
            async for event in host.events(*kinds):
                if only in (None, event.uuid) and fits(event):
                    count += 1
                    when = f"{_when(event)}: " if how.timestamp else ""
                    click.echo(f"{when}event '{event.kind()}' for domain '{event.name}': {_told(event)}")
                    if not how.loop:
                        break
    except TimeoutError:
        click.echo("the time is over")
    click.echo(f"events received: {count}")
    return 0 if count else 1


def _when(event: DomainEvent) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.time))


def _line(event: DomainEvent) -> str:
    kind = "" if isinstance(event, LifecycleEvent) else f"{event.kind()} "
    return f"{_when(event)}  {event.name}  {kind}{_told(event)}".rstrip()


def _told(event: DomainEvent) -> str:
    if isinstance(event, LifecycleEvent):
        return f"{event.event.name.lower()} ({event.detail_name})"
    fields = [(field, getattr(event, field)) for field in event.__struct_fields__ if field not in _COMMON]
    return " ".join(f"{field}={_word(value)}" for field, value in fields if value not in (None, ""))


def _word(value: object) -> str:
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, GraphicsAddress):
        return f"{value.node}:{value.service}"
    return str(value)


def _json(event: DomainEvent) -> str:
    told = msgspec.to_builtins(event)
    for field in event.__struct_fields__:
        if isinstance(value := getattr(event, field), IntEnum):
            told[field] = value.name.lower()
    if isinstance(event, LifecycleEvent):
        told["detail"] = event.detail_name
    return msgspec.json.encode(told).decode()
