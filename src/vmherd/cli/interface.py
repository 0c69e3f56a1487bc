"""The commands about the host's own network interfaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, TypeVar

import click

from vmherd.api.aio import Host, HostInterface
from vmherd.cli.command import completing, each, json_option, with_host
from vmherd.cli.document import text_of
from vmherd.cli.edit import edit
from vmherd.cli.progress import working
from vmherd.cli.table import show_json, show_table
from vmherd.errors import DocumentError, InvalidArgument

F = TypeVar("F", bound=Callable[..., object])


async def _known(host: Host) -> list[tuple[str, str]]:
    return [(info.name, info.mac) for info in await host.interfaces.list()]


def _one(function: F) -> F:
    """One interface, by name or MAC address, as ``name``."""
    return click.argument("name", metavar="INTERFACE", shell_complete=completing(_known))(function)


def _some(function: F) -> F:
    """Interfaces, as ``names``."""
    argument = click.argument(
        "names", metavar="INTERFACE...", nargs=-1, required=True, shell_complete=completing(_known)
    )
    return argument(function)


async def _find(host: Host, key: str) -> HostInterface:
    return await (host.interfaces.by_mac(key) if key.count(":") == 5 else host.interfaces.find(key))


@click.group("interface")
def interface_command() -> None:
    """Show and configure the host's own network interfaces.

    \b
    vmherd interface list
    vmherd interface begin                     from here on, changes can be taken back
    vmherd interface bridge eth0 br0           a bridge for guests, with the host's addresses
    vmherd interface commit                    or rollback
    """


@interface_command.command("list")
@click.option("--active", is_flag=True, help="Only those that are active.")
@click.option("--inactive", is_flag=True, help="Only those that are not.")
@click.option("--all", "_all", is_flag=True, expose_value=False, hidden=True)  # what virsh users type; the default here
@json_option
@with_host
async def list_(host: Host, active: bool, inactive: bool, as_json: bool) -> None:
    """List the interfaces, active or just configured."""
    found = [info for info in await host.interfaces.list() if active is inactive or info.active is active]
    if as_json:
        show_json(found)
        return
    show_table(
        ("NAME", "STATE", "MAC"),
        [(info.name, "active" if info.active else "inactive", info.mac or "-") for info in found],
        colours=["green" if info.active else "bright_black" for info in found],
    )


@interface_command.command("dumpxml")
@_one
@click.option("--inactive", is_flag=True, help="As it is configured, in place of how it is now.")
@with_host
async def dumpxml(host: Host, name: str, inactive: bool) -> None:
    """Print the XML document of an interface."""
    xml = await (await _find(host, name)).xml(inactive=inactive)
    click.echo(xml, nl=not xml.endswith("\n"))


@interface_command.command("mac")
@_one
@with_host
async def mac(host: Host, name: str) -> None:
    """Print the MAC address of an interface."""
    click.echo((await (await _find(host, name)).info()).mac)


@interface_command.command("name")
@click.argument("address", metavar="MAC")
@with_host
async def name_(host: Host, address: str) -> None:
    """Print the name of the interface with a MAC address."""
    click.echo((await host.interfaces.by_mac(address)).name)


@interface_command.command("start")
@_some
@with_host
async def start(host: Host, names: tuple[str, ...]) -> int:
    """Bring interfaces up as they are configured."""

    async def up(interface: HostInterface) -> str:
        await interface.start()
        return f"{interface.name} is active"

    async with working("Starting"):
        return await each([await _find(host, name) for name in names], up)


@interface_command.command("stop")
@_some
@with_host
async def stop(host: Host, names: tuple[str, ...]) -> int:
    """Take interfaces down."""

    async def down(interface: HostInterface) -> str:
        await interface.stop()
        return f"{interface.name} is not active any more"

    return await each([await _find(host, name) for name in names], down)


@interface_command.command("define")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))
@with_host
async def define(host: Host, files: tuple[BinaryIO, ...]) -> None:
    """Configure interfaces as libvirt XML files describe them.

    It has effect when they start.  The file "-" is standard input."""
    for file in files:
        click.echo(f"{(await host.interfaces.define(text_of(file))).name} is configured")


@interface_command.command("undefine")
@_some
@with_host
async def undefine(host: Host, names: tuple[str, ...]) -> int:
    """Forget how interfaces are configured."""

    async def forget(interface: HostInterface) -> str:
        await interface.undefine()
        return f"{interface.name} is not configured any more"

    return await each([await _find(host, name) for name in names], forget)


@interface_command.command("edit")
@_one
@with_host
async def edit_(host: Host, name: str) -> None:
    """Edit how an interface is configured.

    The editor is $VISUAL or $EDITOR.  It has effect when the interface starts the next time."""
    interface = await _find(host, name)

    async def replace(text: str) -> None:
        from vmherd.conf.interface import parse_interface

        if parse_interface(text).name != interface.name:
            raise DocumentError(f"the name was {interface.name} and must stay", place="interface/@name")
        await host.interfaces.define(text)

    await edit(f"interface {interface.name}", await interface.xml(inactive=True), replace)


@interface_command.command("bridge")
@_one
@click.argument("bridge")
@click.option("--no-stp", is_flag=True, help="Without a spanning tree.")
@click.option("--delay", type=click.IntRange(min=0), default=0, metavar="SECONDS", help="How long new ports wait.")
@click.option("--no-start", is_flag=True, help="Only configure it.")
@with_host
async def bridge_(host: Host, name: str, bridge: str, no_stp: bool, delay: int, no_start: bool) -> None:
    """Make a bridge with an interface in it, which takes over its addresses.

    Guests on such a bridge are in the host's own network: 'vmherd network create lan --bridge BRIDGE'."""
    from vmherd.conf.interface import Bridge, Interface, InterfaceType, Member, parse_interface
    from vmherd.util.xmlmodel import render

    interface = await _find(host, name)
    if any(info.name == bridge for info in await host.interfaces.list()):
        raise InvalidArgument(f"there is an interface {bridge!r} already", hint="choose another name for the bridge")
    below = parse_interface(await interface.xml(inactive=True))
    if below.type is InterfaceType.BRIDGE:
        raise InvalidArgument(f"{name} is a bridge already")
    port = Member(type=below.type, name=below.name, mac=below.mac, vlan=below.vlan, bond=below.bond)
    over = Bridge(stp=not no_stp, delay=str(delay), interfaces=[port])
    above = Interface(type=InterfaceType.BRIDGE, name=bridge, start=below.start, mtu=below.mtu, bridge=over)
    above.protocols = below.protocols
    made = await host.interfaces.define(render(above))
    if not no_start:
        async with working("Starting"):
            await made.start()
    click.echo(f"{name} is in bridge {bridge}")


@interface_command.command("unbridge")
@click.argument("name", metavar="BRIDGE", shell_complete=completing(_known))
@click.option("--no-start", is_flag=True, help="Only configure the interface that was in it.")
@with_host
async def unbridge(host: Host, name: str, no_start: bool) -> None:
    """Remove a bridge; the interface in it gets its addresses back."""
    from vmherd.conf.interface import Interface, parse_interface
    from vmherd.util.xmlmodel import render

    found = await _find(host, name)
    above = parse_interface(await found.xml(inactive=True))
    if above.bridge is None or len(above.bridge.interfaces) != 1:
        raise InvalidArgument(f"{name} is no bridge with one interface in it")
    (port,) = above.bridge.interfaces
    below = Interface(type=port.type, name=port.name or "", start=above.start, mtu=above.mtu, mac=port.mac)
    below.vlan, below.bond, below.protocols = port.vlan, port.bond, above.protocols
    async with working("Stopping"):
        if (await found.info()).active:
            await found.stop()
        await found.undefine()
        made = await host.interfaces.define(render(below))
        if not no_start:
            await made.start()
    click.echo(f"{made.name} is in no bridge any more")


@interface_command.command("begin")
@with_host
async def begin(host: Host) -> None:
    """Note how all interfaces are configured, so that changes can be taken back."""
    await host.interfaces.begin()
    click.echo("changes can be taken back: 'vmherd interface rollback', or kept: 'vmherd interface commit'")


@interface_command.command("commit")
@with_host
async def commit(host: Host) -> None:
    """Keep what was changed since 'begin'."""
    await host.interfaces.commit()
    click.echo("the changes are kept")


@interface_command.command("rollback")
@with_host
async def rollback(host: Host) -> None:
    """Configure everything as it was at 'begin'."""
    async with working("Going back"):
        await host.interfaces.rollback()
    click.echo("everything is as it was")
