"""Commands that make and change pools: create, define, define-as, create-as, edit."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import BinaryIO

import click

from vmherd.api.aio import Host
from vmherd.cli.command import with_host
from vmherd.cli.document import text_at, text_of
from vmherd.cli.edit import edit
from vmherd.cli.pool.form import PoolForm, pool_options
from vmherd.cli.pool.names import pool_argument
from vmherd.cli.progress import working
from vmherd.errors import AlreadyExists, DocumentError
from vmherd.util.paths import absolute


@click.command("create")
@click.argument("name")
@click.argument("target", metavar="[FOLDER]", required=False)
@click.option("--type", "kind", default="dir", show_default=True, help="What it is made of: dir, fs, netfs, ...")
@pool_options
@click.option("--no-autostart", is_flag=True, help="Do not start it with the host.")
@click.option("--build/--no-build", default=None, help="Make what it needs before; by default a missing folder only.")
@with_host
async def create_command(
    host: Host, name: str, target: str | None, kind: str, form: PoolForm, no_autostart: bool, build: bool | None
) -> None:
    """Make a pool and start it, now and with the host.

    \b
    vmherd pool create images /srv/images
    vmherd pool create backup /mnt/backup --type netfs --source-host nas --source-path /export/backup
    vmherd pool create vg0 --type logical --source-name vg0
    vmherd pool create pool.xml

    The last one is virsh's 'pool-create': a pool that a file describes, and that is gone when it stops.
    """
    if _is_file(name, target):
        pool = await host.pools.create(text_at(name), build=bool(build))
        click.echo(f"pool {pool.name} is active; it is gone when it stops")
        return
    if any(info.name == name for info in await host.pools.list()):
        raise AlreadyExists(
            f"there is a pool {name!r} already", hint=f"choose another name, or 'vmherd pool info {name}'"
        )
    xml = form.document(name, kind, str(absolute(target)) if target else None)
    async with AsyncExitStack() as undo, working("Making the pool"):
        pool = await host.pools.define(xml)
        undo.push_async_callback(pool.undefine)
        await pool.start(build=kind == "dir" if build is None else build)
        undo.pop_all()
    if not no_autostart:
        await pool.set_autostart(True)
    click.echo(f"pool {name} is active")


def _is_file(name: str, target: str | None) -> bool:
    return target is None and (name == "-" or name.endswith(".xml") or "/" in name)


@click.command("define")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))
@with_host
async def define_command(host: Host, files: tuple[BinaryIO, ...]) -> None:
    """Keep pools described by libvirt XML files.

    The file "-" is standard input."""
    for file in files:
        pool = await host.pools.define(text_of(file))
        click.echo(f"pool {pool.name} is defined")


@click.command("define-as")
@click.argument("name")
@click.argument("kind", metavar="TYPE")
@click.option("--target", metavar="PATH", help="Where its volumes appear.")
@pool_options
@click.option("--print-xml", is_flag=True, help="Only print the document.")
@with_host
async def define_as_command(
    host: Host, name: str, kind: str, target: str | None, form: PoolForm, print_xml: bool
) -> None:
    """Keep a pool described by options."""
    xml = form.document(name, kind, target)
    if print_xml:
        click.echo(xml, nl=False)
        return
    await host.pools.define(xml)
    click.echo(f"pool {name} is defined")


@click.command("create-as")
@click.argument("name")
@click.argument("kind", metavar="TYPE")
@click.option("--target", metavar="PATH", help="Where its volumes appear.")
@pool_options
@click.option("--build", is_flag=True, help="Make what it needs before, such as a folder.")
@click.option("--print-xml", is_flag=True, help="Only print the document.")
@with_host
async def create_as_command(
    host: Host, name: str, kind: str, target: str | None, form: PoolForm, build: bool, print_xml: bool
) -> None:
    """Start a pool described by options, which is gone when it stops."""
    xml = form.document(name, kind, target)
    if print_xml:
        click.echo(xml, nl=False)
        return
    async with working("Starting the pool"):
        await host.pools.create(xml, build=build)
    click.echo(f"pool {name} is active; it is gone when it stops")


@click.command("edit")
@pool_argument
@with_host
async def edit_command(host: Host, name: str) -> None:
    """Edit the XML document of a pool.

    The editor is $VISUAL or $EDITOR.  An active pool sees the change when it starts the next time."""
    pool = await host.pools.find(name)

    async def replace(text: str) -> None:
        from vmherd.conf.storage import parse_pool

        if parse_pool(text).uuid != pool.uuid:
            raise DocumentError(f"the UUID was {pool.uuid} and must stay", place="pool/uuid")
        await host.pools.define(text)

    await edit(f"pool {pool.name}", await pool.xml(inactive=True), replace)
