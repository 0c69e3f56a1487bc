"""Commands that show pools: list, info, dumpxml."""

from __future__ import annotations

import click
import msgspec

from vmherd.api.aio import Host
from vmherd.cli.command import json_option, with_host
from vmherd.cli.pool.names import pool_argument
from vmherd.cli.table import show_facts, show_json, show_table, size
from vmherd.driver.storage import PoolInfo, PoolState

_COLOURS = {PoolState.RUNNING: "green", PoolState.INACTIVE: "bright_black"}


@click.command("list")
@click.option("--active", is_flag=True, help="Only those that are active.")
@click.option("--inactive", is_flag=True, help="Only those that are not.")
@click.option("--all", "_all", is_flag=True, expose_value=False, hidden=True)  # what virsh users type; the default here
@click.option("--name", "only_names", is_flag=True, help="Only the names, one per line.")
@click.option("--type", "types", metavar="TYPE", multiple=True, help="Only those of this type.")
@json_option
@with_host
async def list_command(
    host: Host, active: bool, inactive: bool, only_names: bool, types: tuple[str, ...], as_json: bool
) -> None:
    """List the pools, active or not."""
    found = [info for info in await host.pools.list() if active is inactive or info.active is active]
    found = [info for info in found if not types or info.type in types]
    if as_json:
        show_json([_summary(info) for info in found])
    elif only_names:
        click.echo("".join(f"{info.name}\n" for info in found), nl=False)
    else:
        show_table(
            ("NAME", "STATE", "TYPE", ">CAPACITY", ">USED", ">FREE", "AUTOSTART", "PATH"),
            [_row(info) for info in found],
            colours=[_COLOURS.get(info.state, "yellow") for info in found],
        )


def _row(info: PoolInfo) -> tuple[str, ...]:
    sizes = (info.capacity, info.allocation, info.available) if info.active else (None, None, None)
    state, autostart = info.state.name.lower(), "yes" if info.autostart else "no"
    return info.name, state, info.type, *map(size, sizes), autostart, info.path or "-"


def _summary(info: PoolInfo) -> dict[str, object]:
    """JSON of a pool: a word in place of libvirt's number."""
    told: dict[str, object] = msgspec.to_builtins(info)
    return told | {"state": info.state.name.lower()}


@click.command("info")
@pool_argument
@json_option
@with_host
async def info_command(host: Host, name: str, as_json: bool) -> None:
    """Show what a pool is, and how full."""
    pool = await host.pools.find(name)
    info = await pool.info()
    if as_json:
        show_json(_summary(info))
        return
    show_facts(
        [
            ("name", info.name),
            ("uuid", info.uuid),
            ("type", info.type),
            ("state", info.state.name.lower()),
            ("path", info.path),
            ("persistent", "yes" if info.persistent else "no: it is gone when it stops"),
            ("autostart", "yes" if info.autostart else "no"),
            ("capacity", size(info.capacity) if info.active else ""),
            ("used", size(info.allocation) if info.active else ""),
            ("free", size(info.available) if info.active else ""),
            ("volumes", str(len(await pool.volumes())) if info.active else ""),
        ]
    )


@click.command("dumpxml")
@pool_argument
@click.option("--inactive", is_flag=True, help="The definition, in place of what is so now.")
@with_host
async def dumpxml_command(host: Host, name: str, inactive: bool) -> None:
    """Print the XML document of a pool."""
    xml = await (await host.pools.find(name)).xml(inactive=inactive)
    click.echo(xml, nl=not xml.endswith("\n"))
