"""Commands that switch networks: start, stop, autostart, undefine, destroy."""

from __future__ import annotations

import click

from vmherd.api.aio import Host, Network
from vmherd.cli.command import each, somebody_there, with_host
from vmherd.cli.network.names import networks_argument
from vmherd.cli.progress import working
from vmherd.errors import InvalidArgument


async def _networks(host: Host, names: tuple[str, ...]) -> list[Network]:
    """Those with these names or UUIDs; nothing is done where one is wrong."""
    return [await host.networks.find(name) for name in names]


@click.command("start")
@networks_argument
@with_host
async def start_command(host: Host, names: tuple[str, ...]) -> int:
    """Start networks that are defined."""

    async def start(network: Network) -> str:
        await network.start()
        return f"network {network.name} is active"

    async with working("Starting"):
        return await each(await _networks(host, names), start)


@click.command("stop")
@networks_argument
@with_host
async def stop_command(host: Host, names: tuple[str, ...]) -> int:
    """Stop networks; guests that run keep cards without a network."""

    async def stop(network: Network) -> str:
        await network.stop()
        return f"network {network.name} is not active any more"

    async with working("Stopping"):
        return await each(await _networks(host, names), stop)


@click.command("autostart")
@networks_argument
@click.option("--disable", is_flag=True, help="No more.")
@with_host
async def autostart_command(host: Host, names: tuple[str, ...], disable: bool) -> int:
    """Start networks together with the host, or no more."""

    async def switch(network: Network) -> str:
        await network.set_autostart(not disable)
        return f"network {network.name} {'does not start' if disable else 'starts'} with the host"

    return await each(await _networks(host, names), switch)


@click.command("undefine")
@networks_argument
@with_host
async def undefine_command(host: Host, names: tuple[str, ...]) -> int:
    """Forget networks; those that are active go on until they stop."""

    async def undefine(network: Network) -> str:
        await network.undefine()
        return f"network {network.name} is not defined any more"

    return await each(await _networks(host, names), undefine)


@click.command("destroy")
@networks_argument
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@with_host
async def destroy_command(host: Host, names: tuple[str, ...], yes: bool) -> int:
    """Stop networks and forget them.

    What virsh calls 'net-destroy' is 'vmherd network stop'."""
    networks = await _networks(host, names)
    if not yes and not somebody_there():
        raise InvalidArgument("nobody is there to ask", hint="give --yes; 'vmherd network stop' keeps the definition")
    if not yes:
        click.confirm(f"Stop and forget {', '.join(network.name for network in networks)}?", abort=True)

    async def destroy(network: Network) -> str:
        info = await network.info()
        if info.active:
            await network.stop()
        if info.persistent:
            await network.undefine()
        return f"network {network.name} is gone"

    async with working("Stopping"):
        return await each(networks, destroy)
