"""Commands that switch pools: start, stop, refresh, build, delete, undefine, autostart."""

from __future__ import annotations

import click

from vmherd.api.aio import Host, Pool
from vmherd.cli.command import each, with_host
from vmherd.cli.pool.names import pools_argument
from vmherd.cli.progress import working


async def _pools(host: Host, names: tuple[str, ...]) -> list[Pool]:
    """Those with these names or UUIDs; nothing is done where one is wrong."""
    return [await host.pools.find(name) for name in names]


overwrite_option = click.option(
    "--overwrite/--no-overwrite", default=None, help="Make a file system or partition table, even where there is one."
)


@click.command("start")
@pools_argument
@click.option("--build", is_flag=True, help="Make what they need before, such as a folder.")
@overwrite_option
@with_host
async def start_command(host: Host, names: tuple[str, ...], build: bool, overwrite: bool | None) -> int:
    """Make the volumes of pools available."""

    async def start(pool: Pool) -> str:
        await pool.start(build=build, overwrite=overwrite)
        return f"pool {pool.name} is active"

    async with working("Starting"):
        return await each(await _pools(host, names), start)


@click.command("stop")
@pools_argument
@with_host
async def stop_command(host: Host, names: tuple[str, ...]) -> int:
    """Make the volumes of pools unavailable; nothing in them is lost."""

    async def stop(pool: Pool) -> str:
        await pool.stop()
        return f"pool {pool.name} is not active any more"

    return await each(await _pools(host, names), stop)


@click.command("refresh")
@pools_argument
@with_host
async def refresh_command(host: Host, names: tuple[str, ...]) -> int:
    """Look again which volumes there are in pools."""

    async def refresh(pool: Pool) -> str:
        await pool.refresh()
        return f"pool {pool.name} has {len(await pool.volumes())} volumes"

    async with working("Looking"):
        return await each(await _pools(host, names), refresh)


@click.command("autostart")
@pools_argument
@click.option("--disable", is_flag=True, help="No more.")
@with_host
async def autostart_command(host: Host, names: tuple[str, ...], disable: bool) -> int:
    """Start pools together with the host, or no more."""

    async def switch(pool: Pool) -> str:
        await pool.set_autostart(not disable)
        return f"pool {pool.name} {'does not start' if disable else 'starts'} with the host"

    return await each(await _pools(host, names), switch)


@click.command("build")
@pools_argument
@overwrite_option
@with_host
async def build_command(host: Host, names: tuple[str, ...], overwrite: bool | None) -> int:
    """Make what inactive pools need, such as a folder or a file system.

    A file system or a partition table is made only with --overwrite, or --no-overwrite where none is there yet."""

    async def build(pool: Pool) -> str:
        await pool.build(overwrite=overwrite)
        return f"pool {pool.name} is built"

    async with working("Building"):
        return await each(await _pools(host, names), build)


@click.command("delete")
@pools_argument
@with_host
async def delete_command(host: Host, names: tuple[str, ...]) -> int:
    """Remove what was built for inactive pools.

    A folder must be empty.  The pool stays defined: 'vmherd pool undefine' forgets it."""

    async def delete(pool: Pool) -> str:
        await pool.delete()
        return f"what was built for pool {pool.name} is removed"

    return await each(await _pools(host, names), delete)


@click.command("undefine")
@pools_argument
@with_host
async def undefine_command(host: Host, names: tuple[str, ...]) -> int:
    """Forget inactive pools; their volumes stay where they are."""

    async def undefine(pool: Pool) -> str:
        await pool.undefine()
        return f"pool {pool.name} is not defined any more"

    return await each(await _pools(host, names), undefine)
