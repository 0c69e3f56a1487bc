"""Commands that make networks and change their documents: create, define, edit."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import BinaryIO

import click
from msgspec.structs import replace

from vmherd.api.aio import Host
from vmherd.cli.command import with_host
from vmherd.cli.document import text_at, text_of
from vmherd.cli.edit import edit
from vmherd.cli.network.form import network_options
from vmherd.cli.network.names import network_argument
from vmherd.cli.progress import working
from vmherd.errors import AlreadyExists, DocumentError
from vmherd.guest.network import NetworkSpec, addresses_of, free_range


@click.command("create")
@click.argument("name")
@network_options
@click.option("--no-autostart", is_flag=True, help="Do not start it with the host.")
@click.option("--print-xml", is_flag=True, help="Only print the document.")
@with_host
async def create_command(host: Host, name: str, spec: NetworkSpec, no_autostart: bool, print_xml: bool) -> None:
    """Make a network and start it, now and with the host.

    \b
    vmherd network create public
    vmherd network create lab --nat 10.0.5.0/24 --domain lab.test
    vmherd network create inside --isolated 10.0.6.0/24
    vmherd network create lan --bridge br0
    vmherd network create lan --direct eth0
    vmherd network create network.xml

    Guests reach out unless told otherwise, and get addresses and names.  Of a range the host takes the first
    address.  The last line is virsh's 'net-create': a network that a file describes, and that is gone when it stops.
    """
    if name == "-" or name.endswith(".xml") or "/" in name:
        network = await host.networks.create(text_at(name))
        click.echo(f"network {network.name} is active; it is gone when it stops")
        return
    if not print_xml and any(info.name == name for info in await host.networks.list()):
        raise AlreadyExists(
            f"there is a network {name!r} already", hint=f"choose another name, or 'vmherd network info {name}'"
        )
    spec = replace(spec, name=name)
    if spec.needs_addresses and not spec.addresses:
        spec = replace(spec, addresses=(await _free(host),))
    xml = spec.document()
    if print_xml:
        click.echo(xml, nl=False)
        return
    await _make(host, xml, autostart=not no_autostart)
    where = f" at {', '.join(addresses_of(xml))}" if spec.addresses else ""
    click.echo(f"network {name} is active{where}")


async def _free(host: Host) -> str:
    """A range that no network has; a route of the host's that is in the way is found at the start."""
    known = [await (await host.networks.find(info.uuid)).xml() for info in await host.networks.list()]
    return free_range(each for xml in known for each in addresses_of(xml))


async def _make(host: Host, xml: str, *, autostart: bool) -> None:
    """Define and start a network, or neither."""
    async with AsyncExitStack() as undo, working("Making the network"):
        network = await host.networks.define(xml)
        undo.push_async_callback(network.undefine)
        await network.start()
        undo.pop_all()
    if autostart:
        await network.set_autostart(True)


@click.command("define")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))
@with_host
async def define_command(host: Host, files: tuple[BinaryIO, ...]) -> None:
    """Keep networks described by libvirt XML files.

    The file "-" is standard input."""
    for file in files:
        network = await host.networks.define(text_of(file))
        click.echo(f"network {network.name} is defined")


@click.command("edit")
@network_argument
@with_host
async def edit_command(host: Host, name: str) -> None:
    """Edit the XML document of a network.

    The editor is $VISUAL or $EDITOR.  An active network sees the change when it starts the next time; 'vmherd
    network update' changes it at once."""
    network = await host.networks.find(name)

    async def replace_(text: str) -> None:
        from vmherd.conf.network import parse_network

        if parse_network(text).uuid != network.uuid:
            raise DocumentError(f"the UUID was {network.uuid} and must stay", place="network/uuid")
        await host.networks.define(text)

    await edit(f"network {network.name}", await network.xml(inactive=True), replace_)
