"""The command that shows what happens to guests, as it happens."""

from __future__ import annotations

import asyncio
import time

import click
import msgspec

from vmherd.api.aio import Host
from vmherd.cli.command import _names, json_option, with_host
from vmherd.events import DomainEvent


@click.command("events")
@click.argument("name", metavar="[GUEST]", required=False, shell_complete=_names)
@click.option("-n", "--count", type=click.IntRange(min=1), help="End after that many.")
@click.option("-t", "--timeout", type=float, help="End after that many seconds.")
@json_option
@with_host
async def events_command(host: Host, name: str | None, count: int | None, timeout: float | None, as_json: bool) -> None:
    """Watch what happens to guests.

    It goes on until Ctrl-C.  With --json it prints one object per line.
    """
    only = (await host.domain(name)).uuid if name else None
    try:
        async with asyncio.timeout(timeout):
            async for event in host.events():
                if only in (None, event.uuid):
                    click.echo(_json(event) if as_json else _line(event))
                    count = count - 1 if count else None
                    if count == 0:
                        return
    except TimeoutError:
        return


def _line(event: DomainEvent) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.time))
    return f"{when}  {event.name}  {event.event.name.lower()} ({event.detail_name})"


def _json(event: DomainEvent) -> str:
    told = msgspec.to_builtins(event) | {"event": event.event.name.lower(), "detail": event.detail_name}
    return msgspec.json.encode(told).decode()
