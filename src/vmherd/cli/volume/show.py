"""Commands that show volumes: list, info, path, key, pool, dumpxml."""

from __future__ import annotations

import click

from vmherd.api.aio import Host
from vmherd.cli.command import completing, json_option, with_host
from vmherd.cli.pool.names import known_pools
from vmherd.cli.table import show_facts, show_json, show_table, size
from vmherd.cli.volume.names import Place, summary, volume_argument
from vmherd.driver.storage import VolumeInfo


@click.command("list")
@click.argument("name", metavar="[POOL]", required=False, shell_complete=completing(known_pools))
@click.option("--pool", "told", metavar="POOL", help="The same as POOL.", shell_complete=completing(known_pools))
@click.option("--details", is_flag=True, hidden=True, expose_value=False)  # what virsh users type; they are shown
@click.option("--name", "only_names", is_flag=True, help="Only POOL/NAME, one per line.")
@json_option
@with_host
async def list_command(host: Host, name: str | None, told: str | None, only_names: bool, as_json: bool) -> None:
    """List the volumes of a pool, or of all that are active."""
    found = await _volumes(host, name or told)
    if as_json:
        show_json([summary(info) for info in found])
    elif only_names:
        click.echo("".join(f"{info.pool}/{info.name}\n" for info in found), nl=False)
    else:
        show_table(("VOLUME", "FORMAT", ">CAPACITY", ">USED", "PATH"), [_row(info) for info in found])


async def _volumes(host: Host, name: str | None) -> list[VolumeInfo]:
    if name:
        return await (await host.pools.find(name)).volumes()
    found: list[VolumeInfo] = []
    for info in await host.pools.list():
        if info.active:
            found += await (await host.pools.find(info.uuid)).volumes()
    return found


def _row(info: VolumeInfo) -> tuple[str, ...]:
    kind = info.format or info.kind.name.lower()
    return f"{info.pool}/{info.name}", kind, size(info.capacity), size(info.allocation), info.path


@click.command("info")
@volume_argument
@json_option
@with_host
async def info_command(host: Host, place: Place, as_json: bool) -> None:
    """Show what a volume is, and how large.

    Capacity is what a guest sees, used what the host has given for it."""
    info = await (await place.find(host)).info()
    if as_json:
        show_json(summary(info))
        return
    show_facts(
        [
            ("name", info.name),
            ("pool", info.pool),
            ("path", info.path),
            ("key", info.key if info.key != info.path else ""),
            ("kind", info.kind.name.lower()),
            ("format", info.format),
            ("capacity", size(info.capacity)),
            ("used", size(info.allocation)),
            ("length", size(info.physical)),
        ]
    )


@click.command("path")
@volume_argument
@with_host
async def path_command(host: Host, place: Place) -> None:
    """Print where a volume is on the host."""
    click.echo((await place.find(host)).path)


@click.command("key")
@volume_argument
@with_host
async def key_command(host: Host, place: Place) -> None:
    """Print the key of a volume, which no other one has."""
    click.echo((await place.find(host)).key)


@click.command("pool")
@volume_argument
@with_host
async def pool_command(host: Host, place: Place) -> None:
    """Print the name of the pool that a volume is in."""
    click.echo((await place.find(host)).pool)


@click.command("dumpxml")
@volume_argument
@with_host
async def dumpxml_command(host: Host, place: Place) -> None:
    """Print the XML document of a volume."""
    xml = await (await place.find(host)).xml()
    click.echo(xml, nl=not xml.endswith("\n"))
