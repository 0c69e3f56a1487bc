"""domstats: the counters of guests, many at once."""

from __future__ import annotations

from collections.abc import Callable

import click

from vmherd.api.aio import Host
from vmherd.cli.command import F, guests_argument, json_option, with_host
from vmherd.cli.failure import complain
from vmherd.cli.table import show_json
from vmherd.driver.blocks import DomainStats, StatsFilter, StatsGroup
from vmherd.errors import NotResponding


def _switches(kind: type[StatsGroup] | type[StatsFilter], name: str, prefix: str, text: str) -> Callable[[F], F]:
    """A switch for each member; those that are given come as the sequence ``name``."""

    def add(function: F) -> F:
        for member in reversed(kind):
            word = str(member.name).lower().replace("_", "-")
            option = click.option(
                f"--{prefix}{word}", name, multiple=True, flag_value=str(member.name), help=text.format(word)
            )
            function = option(function)
        return function

    return add


@click.command("domstats")
@guests_argument
@_switches(StatsGroup, "groups", "", "The group {!r}.")
@_switches(StatsFilter, "only", "list-", "Guests that are {}.")
@click.option("--backing", is_flag=True, help="Also the images below the disks.")
@click.option("--enforce", is_flag=True, help="Fail if a group is not supported.")
@click.option("--nowait", is_flag=True, help="Ask no guest that is in the middle of something.")
@click.option("--raw", is_flag=True, expose_value=False, hidden=True)  # what virsh users type; always so here
@json_option
@with_host
async def domstats_command(
    host: Host,
    names: tuple[str, ...],
    everyone: bool,
    groups: tuple[str, ...],
    only: tuple[str, ...],
    backing: bool,
    enforce: bool,
    nowait: bool,
    as_json: bool,
) -> int:
    """Show the counters of guests.

    Of all of them if none is named, and all groups of counters if none is chosen.  Names and units are libvirt's:
    times are nanoseconds, memory is KiB, all else bytes.
    """
    uuids = [(await host.domain(name)).uuid for name in names] if names and not everyone else None
    found = await host.stats(
        uuids,
        sum(StatsGroup[name] for name in set(groups)),
        only=sum(StatsFilter[name] for name in set(only)),
        backing=backing,
        enforce=enforce,
        nowait=nowait,
    )
    if as_json:
        show_json(found)
    else:
        click.echo("\n".join(map(_lines, found)), nl=False)
    silent = [stats.name for stats in found if not stats.responding]
    if silent:
        complain(NotResponding(f"no answer from {', '.join(silent)}", hint="their QEMU is stopped or overloaded"))
    return int(bool(silent))


def _lines(stats: DomainStats) -> str:
    """As virsh prints them."""
    values = ((name, _word(value)) for name, value in stats.params.items())
    return f"Domain: {stats.name!r}\n" + "".join(f"  {name}={value}\n" for name, value in values)


def _word(value: float | bool | str) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
