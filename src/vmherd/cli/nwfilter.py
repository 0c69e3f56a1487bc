"""The commands about network filters, and the cards they are applied to."""

from __future__ import annotations

from typing import BinaryIO

import click

from vmherd.api.aio import Host
from vmherd.cli.command import completing, json_option, with_host
from vmherd.cli.document import text_at, text_of
from vmherd.cli.edit import edit
from vmherd.cli.table import show_json, show_table
from vmherd.errors import DocumentError


async def _known(host: Host) -> list[tuple[str, str]]:
    return [(info.name, "") for info in await host.filters.list()]


async def _bound(host: Host) -> list[tuple[str, str]]:
    return [(info.device, info.filter) for info in await host.filters.bindings.list()]


filter_argument = click.argument("name", metavar="FILTER", shell_complete=completing(_known))
device_argument = click.argument("device", metavar="DEVICE", shell_complete=completing(_bound))


@click.group("nwfilter")
def nwfilter_command() -> None:
    """Show and change network filters: what guests' cards may send and get.

    \b
    vmherd nwfilter list
    vmherd nwfilter dumpxml clean-traffic      what a card with <filterref filter='clean-traffic'/> gets
    vmherd nwfilter binding list               which cards have which filter now
    """


@nwfilter_command.command("list")
@json_option
@with_host
async def list_(host: Host, as_json: bool) -> None:
    """List the filters, the built-in ones too."""
    found = await host.filters.list()
    if as_json:
        show_json(found)
    else:
        show_table(("NAME", "UUID"), [(info.name, info.uuid) for info in found])


@nwfilter_command.command("dumpxml")
@filter_argument
@with_host
async def dumpxml(host: Host, name: str) -> None:
    """Print the XML document of a filter."""
    _print(await (await host.filters.find(name)).xml())


def _print(xml: str) -> None:
    click.echo(xml, nl=not xml.endswith("\n"))


@nwfilter_command.command("define")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))
@with_host
async def define(host: Host, files: tuple[BinaryIO, ...]) -> None:
    """Keep filters described by libvirt XML files.

    Cards that have the filter get its new rules at once; if these cannot be applied everywhere, nothing changes.  The
    file "-" is standard input."""
    for file in files:
        click.echo(f"filter {(await host.filters.define(text_of(file))).name} is defined")


@nwfilter_command.command("edit")
@filter_argument
@with_host
async def edit_(host: Host, name: str) -> None:
    """Edit the XML document of a filter.

    The editor is $VISUAL or $EDITOR.  Cards that have the filter get its new rules at once."""
    found = await host.filters.find(name)

    async def replace(text: str) -> None:
        from vmherd.conf.nwfilter import parse_filter

        if parse_filter(text).uuid != found.uuid:
            raise DocumentError(f"the UUID was {found.uuid} and must stay", place="filter/uuid")
        await host.filters.define(text)

    await edit(f"filter {found.name}", await found.xml(), replace)


@nwfilter_command.command("undefine")
@click.argument("names", metavar="FILTER...", nargs=-1, required=True, shell_complete=completing(_known))
@with_host
async def undefine(host: Host, names: tuple[str, ...]) -> None:
    """Forget filters that nothing uses."""
    for found in [await host.filters.find(name) for name in names]:
        await found.undefine()
        click.echo(f"filter {found.name} is not defined any more")


@nwfilter_command.group("binding")
def binding() -> None:
    """Show and change which cards have which filter.

    A binding is named by the network device at the host's end of the card."""


@binding.command("list")
@json_option
@with_host
async def binding_list(host: Host, as_json: bool) -> None:
    """List the cards that have filters."""
    found = await host.filters.bindings.list()
    if as_json:
        show_json(found)
        return
    names = {info.uuid: info.name for info in await host.domains()}
    rows = [(info.device, info.filter, info.mac or "-", names.get(info.owner, info.owner) or "-") for info in found]
    show_table(("DEVICE", "FILTER", "MAC", "GUEST"), rows)


@binding.command("dumpxml")
@device_argument
@with_host
async def binding_dumpxml(host: Host, device: str) -> None:
    """Print the XML document of a binding."""
    _print(await host.filters.bindings.xml(device))


@binding.command("create")
@click.argument("file")
@with_host
async def binding_create(host: Host, file: str) -> None:
    """Apply a filter to a card that another program made.

    A <filterbinding> document describes it."""
    info = await host.filters.bindings.create(text_at(file))
    click.echo(f"{info.device} has filter {info.filter}")


@binding.command("delete")
@click.argument("devices", metavar="DEVICE...", nargs=-1, required=True, shell_complete=completing(_bound))
@with_host
async def binding_delete(host: Host, devices: tuple[str, ...]) -> None:
    """Remove the rules of cards."""
    for device in devices:
        await host.filters.bindings.delete(device)
        click.echo(f"{device} has no filter any more")
