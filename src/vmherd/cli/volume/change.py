"""Commands that change volumes: resize, wipe, delete."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

import click

from vmherd.api.aio import Host, Volume
from vmherd.cli.command import each, somebody_there, with_host
from vmherd.cli.progress import following, working
from vmherd.cli.size import SIZE
from vmherd.cli.table import size
from vmherd.cli.volume.names import Place, volume_argument, volumes_argument
from vmherd.driver.storage import WipeAlgorithm
from vmherd.driver.types import JobInfo
from vmherd.errors import InvalidArgument, NotSupported


@click.command("resize")
@volume_argument
@click.argument("capacity", metavar="SIZE")
@click.option("--delta", is_flag=True, help="SIZE is how much more, or with --shrink less; the same as +SIZE.")
@click.option("--shrink", is_flag=True, help="Allow a smaller one: what is behind its end is lost.")
@click.option("--allocate", is_flag=True, help="Take the room on the disk at once.")
@with_host
async def resize_command(host: Host, place: Place, capacity: str, delta: bool, shrink: bool, allocate: bool) -> None:
    """Give a volume another size.

    \b
    vmherd volume resize images/disk1 40G
    vmherd volume resize images/disk1 +10G

    No guest may have it open: 'vmherd blockresize' resizes the disk of one that runs."""
    volume = await place.find(host)
    wanted = SIZE.convert(capacity.lstrip("+"), None, None)
    if delta or capacity.startswith("+"):
        now = (await volume.info()).capacity
        wanted = now - wanted if shrink else now + wanted
        if wanted <= 0:
            raise InvalidArgument(f"it has {size(now)} only")
    async with working(f"Resizing {volume.name}"):
        await volume.resize(wanted, shrink=shrink, allocate=allocate)
    click.echo(f"{volume.pool}/{volume.name} has {size(wanted)}")


@click.command("wipe")
@volumes_argument
@click.option(
    "--algorithm",
    type=click.Choice([each.name.lower() for each in WipeAlgorithm]),
    default="zero",
    show_default=True,
    help="How often, and with what.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@with_host
async def wipe_command(host: Host, places: list[Place], algorithm: str, yes: bool) -> int:
    """Overwrite what is in volumes."""
    volumes = [await place.find(host) for place in places]
    _confirm(volumes, "Overwrite everything in", yes)

    async def wipe(volume: Volume) -> str:
        await volume.wipe(WipeAlgorithm[algorithm.upper()])
        return f"{volume.pool}/{volume.name} is wiped"

    async with following(_job(host, volumes), "Wiping"):
        return await each(volumes, wipe)


@click.command("delete")
@volumes_argument
@click.option("--delete-snapshots", "snapshots", is_flag=True, help="With their snapshots, where they have some.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@with_host
async def delete_command(host: Host, places: list[Place], snapshots: bool, yes: bool) -> int:
    """Remove volumes."""
    volumes = [await place.find(host) for place in places]
    _confirm(volumes, "Delete", yes)

    async def delete(volume: Volume) -> str:
        await volume.delete(snapshots=snapshots)
        return f"{volume.pool}/{volume.name} is deleted"

    return await each(volumes, delete)


def _job(host: Host, volumes: list[Volume]) -> Callable[[], Awaitable[JobInfo | None]] | None:
    """The job of a single volume, which can be shown."""
    return functools.partial(job_of, host, volumes[0]) if len(volumes) == 1 else None


async def job_of(host: Host, volume: Volume) -> JobInfo | None:
    """What is being done to a volume; None where the other side cannot tell."""
    try:
        return await (await host.pools.find(volume.pool_uuid)).job(volume.name)
    except NotSupported:
        return None


def _confirm(volumes: list[Volume], what: str, yes: bool) -> None:
    """Ask a person, where one is there."""
    if yes:
        return
    names = ", ".join(f"{volume.pool}/{volume.name}" for volume in volumes)
    if not somebody_there():
        raise InvalidArgument(f"nobody is there to ask about {names}", hint="give --yes")
    click.confirm(f"{what} {names}?", abort=True)
