"""The command that shows what happens to guests, as it happens."""

from __future__ import annotations

import asyncio
import time
from enum import IntEnum

import click
import msgspec

from vmherd.api.aio import Host
from vmherd.cli.command import _names, json_option, with_host
from vmherd.events import DomainEvent, GraphicsAddress, LifecycleEvent

_KINDS = {kind.kind(): kind for kind in DomainEvent.__subclasses__()}
#: What is said of an event besides its own fields.
_COMMON = ("uuid", "name", "seq", "time")


@click.command("events")
@click.argument("name", metavar="[GUEST]", required=False, shell_complete=_names)
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


def _line(event: DomainEvent) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.time))
    return f"{when}  {event.name}  {_told(event)}"


def _told(event: DomainEvent) -> str:
    if isinstance(event, LifecycleEvent):
        return f"{event.event.name.lower()} ({event.detail_name})"
    fields = [(field, getattr(event, field)) for field in event.__struct_fields__ if field not in _COMMON]
    return " ".join([event.kind(), *(f"{field}={_word(value)}" for field, value in fields if value not in (None, ""))])


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
