"""Commands for a guest's I/O threads, named like virsh's: iothreadinfo, iothreadadd, ..."""

from __future__ import annotations

from collections.abc import Collection

import click

from vmherd.api.aio import Host
from vmherd.cli.command import guest_argument, json_option, with_host
from vmherd.cli.scope import scope_options
from vmherd.cli.vcpus import CPUS, show_pins
from vmherd.driver.types import Scope
from vmherd.util.xmlmodel.scalars import format_cpus

_number = click.argument("number", metavar="THREAD", type=click.IntRange(min=1))


@click.command("iothreadinfo")
@guest_argument
@scope_options
@json_option
@with_host
async def iothreadinfo_command(host: Host, name: str, scope: Scope, as_json: bool) -> None:
    """Show the I/O threads of a guest, and which of the host's CPUs they may use."""
    found = await (await host.domain(name)).tuning.iothreads(scope=scope)
    show_pins({each.number: each.affinity for each in found}, "Thread", as_json=as_json)


@click.command("iothreadadd")
@guest_argument
@_number
@scope_options
@with_host
async def iothreadadd_command(host: Host, name: str, number: int, scope: Scope) -> None:
    """Give a guest another I/O thread, for its disks to use."""
    await (await host.domain(name)).tuning.add_iothread(number, scope=scope)
    click.echo(f"{name} has I/O thread {number}")


@click.command("iothreaddel")
@guest_argument
@_number
@scope_options
@with_host
async def iothreaddel_command(host: Host, name: str, number: int, scope: Scope) -> None:
    """Take an I/O thread that no disk uses from a guest."""
    await (await host.domain(name)).tuning.remove_iothread(number, scope=scope)
    click.echo(f"{name} no longer has I/O thread {number}")


@click.command("iothreadpin")
@guest_argument
@_number
@click.argument("cpus", type=CPUS)
@scope_options
@with_host
async def iothreadpin_command(host: Host, name: str, number: int, cpus: Collection[int], scope: Scope) -> None:
    """Let an I/O thread of a guest run on CPUS of the host only."""
    await (await host.domain(name)).tuning.pin_iothread(number, cpus, scope=scope)
    click.echo(f"I/O thread {number} of {name} runs on {format_cpus(cpus)}")


@click.command("iothreadset")
@guest_argument
@_number
@click.option("--poll-max-ns", type=int, help="How long to poll at most, in nanoseconds; 0: never.")
@click.option("--poll-grow", type=int, help="How fast that grows while there is work.")
@click.option("--poll-shrink", type=int, help="How fast it falls while there is none.")
@click.option("--thread-pool-min", type=int, help="The least threads to work for it.")
@click.option("--thread-pool-max", type=int, help="The most threads to work for it.")
@scope_options
@with_host
async def iothreadset_command(host: Host, /, name: str, number: int, scope: Scope, **params: int | None) -> None:
    """Set how an I/O thread of a guest polls, and its pool of threads.

    How it polls lasts until the guest ends.
    """
    given: dict[str, int | float | bool | str] = {word: value for word, value in params.items() if value is not None}
    if not given:
        raise click.UsageError("say what to set")
    await (await host.domain(name)).tuning.set_iothread(number, given, scope=scope)
    click.echo(f"I/O thread {number} of {name} is changed")
