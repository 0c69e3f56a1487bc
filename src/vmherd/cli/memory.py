"""Commands for a guest's memory, named like virsh's: setmem, setmaxmem, dommemstat."""

from __future__ import annotations

import click
from msgspec.structs import asdict

from vmherd.api.aio import Host
from vmherd.cli.command import guest_argument, json_option, with_host
from vmherd.cli.scope import scope_options
from vmherd.cli.size import SIZE
from vmherd.cli.table import show_facts, show_json
from vmherd.cli.table import size as told
from vmherd.driver.types import Scope

_size = click.argument("size", type=SIZE)
#: What is counted and not measured in bytes.
_COUNTS = ("major_faults", "minor_faults", "hugetlb_allocations", "hugetlb_failures", "last_update")


@click.command("setmem")
@guest_argument
@_size
@scope_options
@with_host
async def setmem_command(host: Host, name: str, size: int, scope: Scope) -> None:
    """Ask a guest to do with SIZE of memory, such as 512M.

    Its balloon driver has to follow; 'vmherd info' shows how much it has.
    """
    await (await host.domain(name)).tuning.set_memory(size, scope=scope)
    click.echo(f"{name} is to have {told(size)}")


@click.command("setmaxmem")
@guest_argument
@_size
@scope_options
@with_host
async def setmaxmem_command(host: Host, name: str, size: int, scope: Scope) -> None:
    """Set how much memory a guest boots with, such as 2G."""
    await (await host.domain(name)).tuning.set_max_memory(size, scope=scope)
    click.echo(f"{name} boots with {told(size)}")


@click.command("dommemstat")
@guest_argument
@click.option("--period", type=click.IntRange(min=0), help="Ask the guest every so many seconds; 0: never.")
@scope_options
@json_option
@with_host
async def dommemstat_command(host: Host, name: str, period: int | None, scope: Scope, as_json: bool) -> None:
    """Show what a running guest says of its memory, or set how often it is asked."""
    tuning = (await host.domain(name)).tuning
    if period is not None:
        await tuning.set_memory_stats_period(period, scope=scope)
        click.echo(f"{name} is asked every {period} s" if period else f"{name} is no longer asked")
        return
    stats = await tuning.memory_stats()
    if as_json:
        show_json(stats)
        return
    known = {word: value for word, value in asdict(stats).items() if value is not None}
    show_facts(
        (word.replace("_", " "), str(value) if word in _COUNTS else told(value)) for word, value in known.items()
    )
