"""Commands that make and forget guests: create, define, undefine, destroy."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import BinaryIO

import click
from msgspec.structs import replace

from vmherd.api.aio import Domain, Host
from vmherd.cli.command import chosen, each, guest_argument, guests_argument, somebody_there, with_host
from vmherd.cli.document import text_of
from vmherd.cli.size import SIZE
from vmherd.cli.spec import FILE, spec_options
from vmherd.conf.domain import parse_domain, render
from vmherd.errors import AlreadyExists, InvalidArgument, NotSupported
from vmherd.guest.image import make_disk
from vmherd.guest.spec import GuestSpec, best_platform


@click.command("create")
@click.argument("name")
@click.option("-s", "--size", type=SIZE, help="Make an empty disk of that size, such as 20G.")
@click.option("--kernel", type=FILE, help="Boot this Linux kernel in place of a disk.")
@click.option("--start", is_flag=True, help="Boot it, too.")
@click.option("--dry-run", is_flag=True, help="Only print the XML document it would have.")
@spec_options("-n")
@with_host
async def create_command(
    host: Host, name: str, spec: GuestSpec, size: int | None, kernel: Path | None, start: bool, dry_run: bool
) -> None:
    """Make a new guest and keep it.

    \b
    vmherd create web --size 20G --cdrom debian.iso --vnc --start
    vmherd create old --disk old.qcow2 -m 2G -n public

    To boot a guest from an XML document that is gone when it stops, as 'virsh create' does:
    vmherd run --rm -d FILE.
    """
    if not (size or kernel or spec.disks or spec.cdrom):
        raise click.UsageError("say what it boots: --size for a new disk, --disk, --cdrom or --kernel")
    _check_name(name)
    platform = best_platform(await host.capabilities())
    disk = await host.images_folder() / name / "disk0.qcow2" if size else None
    xml = render(replace(spec, name=name, kernel=kernel, new_disk=disk).document(platform))
    if dry_run:
        click.echo(xml, nl=False)
        return
    await _refuse_taken(host, name)
    async with AsyncExitStack() as undo:
        if disk and size:
            await make_disk(disk, size)
            undo.callback(_remove, [disk])
        domain = await host.define(xml)
        undo.pop_all()
    click.echo(f"{name} is defined")
    if start:
        await domain.start()
        click.echo(f"{name} is running")


def _check_name(name: str) -> None:
    """A guest's name is also that of the folder with its disks."""
    if name.endswith(".xml") or Path(name).name != name or name.startswith("."):
        raise InvalidArgument(
            f"{name!r} cannot be the name of a guest",
            hint="choose a plain word; 'vmherd define' keeps a guest that an XML file describes",
        )


async def _refuse_taken(host: Host, name: str) -> None:
    """Before a disk is made for it."""
    if any(info.name == name for info in await host.domains()):
        raise AlreadyExists(
            f"there is a guest {name!r} already", hint=f"choose another name, or 'vmherd destroy {name}'"
        )


def _remove(disks: list[Path]) -> None:
    """Remove disks, and their folder once nothing else is in it."""
    for disk in disks:
        disk.unlink(missing_ok=True)
        with suppress(OSError):
            disk.parent.rmdir()


@click.command("define")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))
@with_host
async def define_command(host: Host, files: tuple[BinaryIO, ...]) -> None:
    """Keep guests described by libvirt XML files.

    The file "-" is standard input.  A guest that has the same name and UUID gets the new description, and boots
    with it the next time.
    """
    for file in files:
        domain = await host.define(text_of(file))
        click.echo(f"{domain.name} is defined")


@click.command("undefine")
@guests_argument
@click.option("--nvram/--keep-nvram", default=None, help="Remove a guest's UEFI variables, too; or keep them.")
@click.option("--managed-save", is_flag=True, help="Forget where a guest was saved, too.")
@with_host
async def undefine_command(
    host: Host, names: tuple[str, ...], everyone: bool, nvram: bool | None, managed_save: bool
) -> int:
    """Forget guests; their disks stay.  One that runs is forgotten when it stops."""

    async def undefine(domain: Domain) -> str:
        await domain.undefine(keep_nvram=None if nvram is None else not nvram, managed_save=managed_save)
        return f"{domain.name} is undefined"

    return await each(await chosen(host, names, everyone, active=None), undefine)


@click.command("destroy")
@guest_argument
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@with_host
async def destroy_command(host: Host, name: str, yes: bool) -> None:
    """Delete a guest, and the disks that 'vmherd create' made for it.

    Its other disks stay.  What virsh calls destroy is 'vmherd poweroff'.
    """
    domain = await host.domain(name)
    info = await domain.info()
    disks = await _own_disks(host, domain)
    if not yes:
        _confirm(domain.name, info.active, disks)
    if info.active:
        await domain.poweroff()
    _remove(disks)
    if info.persistent:
        await domain.undefine(keep_nvram=False, managed_save=True)
    click.echo(f"{domain.name} is deleted")


async def _own_disks(host: Host, domain: Domain) -> list[Path]:
    """Disks in the folder that is this guest's alone; a link in it is not followed."""
    try:
        folder = await host.images_folder() / domain.name
    except NotSupported:
        return []  # a driver whose guests have none
    document = parse_domain(await domain.xml(inactive=True))
    paths = [Path(disk.source.file) for disk in document.devices.disks if disk.source and disk.source.file]
    return [path for path in paths if path.parent == folder]


def _confirm(name: str, active: bool, disks: list[Path]) -> None:
    what = [f"This deletes the guest {name!r}", *(f"  and its disk {disk}" for disk in disks)]
    if active:
        what.append(f"It is running.  To only switch it off: vmherd poweroff {name}")
    click.echo("\n".join(what), err=True)
    if not somebody_there():
        raise click.UsageError("nobody is there to ask: give --yes to delete it")
    click.confirm("Delete it?", abort=True, err=True)
