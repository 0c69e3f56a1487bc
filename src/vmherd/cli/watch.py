"""The commands 'event' of pools, networks, ...: wait for something to happen to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from enum import IntEnum
from typing import NamedTuple

import click
import msgspec

from vmherd.api.aio import Host
from vmherd.cli.command import completing, json_option, with_host
from vmherd.events import ResourceEvent


class Watched(NamedTuple):
    """A kind of things that something can happen to."""

    #: What one is called, in help and in messages.
    word: str
    kinds: Mapping[str, type[ResourceEvent]]
    events: Callable[[Host], AsyncGenerator[ResourceEvent, None]]
    #: What is told of one, as events name it: its UUID, or its name where it has none.
    find: Callable[[Host, str], Awaitable[str]]
    known: Callable[[Host], Awaitable[list[tuple[str, str]]]]


class _How(NamedTuple):
    loop: bool
    timestamp: bool
    as_json: bool


def event_command(watched: Watched) -> click.Command:
    """The command that waits for events of ``watched``."""

    @click.command("event", help=_help(watched))
    @click.argument(
        "name", metavar=f"[{watched.word.upper()}]", required=False, shell_complete=completing(watched.known)
    )
    @click.option("--event", "kind", type=click.Choice([*watched.kinds]), help="Only events of this kind.")
    @click.option("--all", "_all", is_flag=True, expose_value=False, hidden=True)  # as it is without --event
    @click.option("--loop", is_flag=True, help="Go on until the time is over, or Ctrl-C.")
    @click.option("--timeout", type=float, metavar="SECONDS", help="How long to wait at most.")
    @click.option("--list", "listed", is_flag=True, help="Show the kinds there are.")
    @click.option("--timestamp", is_flag=True, help="Say when it happened.")
    @json_option
    @with_host
    async def event(
        host: Host,
        name: str | None,
        kind: str | None,
        loop: bool,
        timeout: float | None,
        listed: bool,
        timestamp: bool,
        as_json: bool,
    ) -> int:
        if listed:
            click.echo("\n".join(watched.kinds))
            return 0
        only = await watched.find(host, name) if name else ""
        wanted = (watched.kinds[kind],) if kind else tuple(watched.kinds.values())
        return await _wait(watched, host, wanted, only, timeout, _How(loop, timestamp, as_json))

    return event


def _help(watched: Watched) -> str:
    return f"Wait for something to happen to {watched.word}s.\n\nExit code 1 says that nothing did."


async def _wait(
    watched: Watched,
    host: Host,
    wanted: tuple[type[ResourceEvent], ...],
    only: str,
    timeout: float | None,
    how: _How,
) -> int:
    """Print events until it is enough; 1 if none came, as virsh does."""
    count = 0
    try:
        async with asyncio.timeout(timeout):
            async for event in watched.events(host):
                if isinstance(event, wanted) and only in ("", event.uuid or event.name):
                    count += 1
                    click.echo(_json(event) if how.as_json else _line(watched, event, timestamp=how.timestamp))
                    if not how.loop:
                        break
    except TimeoutError:
        if not how.as_json:
            click.echo("the time is over")
    if not how.as_json:
        click.echo(f"events received: {count}")
    return 0 if count else 1


def _line(watched: Watched, event: ResourceEvent, *, timestamp: bool) -> str:
    kind = next(word for word, known in watched.kinds.items() if type(event) is known)
    when = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(event.time))}: " if timestamp else ""
    what = getattr(event, "event", None)
    said = f": {what.name.lower()}" if isinstance(what, IntEnum) else ""
    return f"{when}event '{kind}' for {watched.word} '{event.name}'{said}"


def _json(event: ResourceEvent) -> str:
    told = msgspec.to_builtins(event)
    if isinstance(what := getattr(event, "event", None), IntEnum):
        told["event"] = what.name.lower()
    return msgspec.json.encode(told).decode()
