"""The commands about disks, named like virsh's: domblklist, domblkinfo, domblkstat, blockresize, blkdeviotune, ..."""

from __future__ import annotations

import click

from vmherd.api.aio import Domain, Host
from vmherd.cli.command import guest_argument, json_option, with_host
from vmherd.cli.scope import scope_options
from vmherd.cli.size import SIZE
from vmherd.cli.table import show_facts, show_json, show_table, size
from vmherd.driver.params import BLOCK_IO_TUNE, Kind, Params
from vmherd.driver.types import Scope
from vmherd.errors import InvalidArgument

disk_argument = click.argument("disk", metavar="DISK")


@click.command("domblklist")
@guest_argument
@click.option("--inactive", is_flag=True, help="Those it starts with next time.")
@click.option("--details", is_flag=True, help="Also the type of storage, and what kind of device it is.")
@json_option
@with_host
async def domblklist_command(host: Host, name: str, inactive: bool, details: bool, as_json: bool) -> None:
    """List the disks of a guest."""
    found = await _disks(await host.domain(name), inactive=inactive)
    if as_json:
        show_json([dict(zip(("type", "device", "target", "source"), disk, strict=True)) for disk in found])
    elif details:
        show_table(("TYPE", "DEVICE", "TARGET", "SOURCE"), found)
    else:
        show_table(("TARGET", "SOURCE"), [disk[2:] for disk in found])


async def _disks(domain: Domain, *, inactive: bool = False) -> list[tuple[str, str, str, str]]:
    """Type of storage, device, target and source of each disk; "-" for an empty drive."""
    from vmherd.conf.domain import parse_domain

    found = []
    for disk in parse_domain(await domain.xml(inactive=inactive)).devices.disks:
        source = disk.source
        where = (source.file or source.dev or source.dir or source.name or source.volume) if source else None
        found.append((str(disk.type), str(disk.device), disk.target.dev, where or "-"))
    return found


@click.command("domblkinfo")
@guest_argument
@click.argument("disk", metavar="[DISK]", default="")
@click.option("--all", "everything", is_flag=True, help="All disks.")
@click.option("--human", is_flag=True, help="Sizes as people read them.")
@json_option
@with_host
async def domblkinfo_command(host: Host, name: str, disk: str, everything: bool, human: bool, as_json: bool) -> None:
    """Show how large disks are.

    Capacity is what the guest sees, allocation what of it takes room on the host, physical how large the file or
    device is that has it."""
    domain = await host.domain(name)
    if bool(disk) == everything:
        raise InvalidArgument("say which disk", hint="give its target, such as vda, or --all")
    targets = [disk] if disk else [each[2] for each in await _disks(domain) if each[3] != "-"]
    found = {target: await domain.blocks.info(target) for target in targets}
    if as_json:
        show_json(found)
        return
    word = size if human else str
    rows = [(target, word(i.capacity), word(i.allocation), word(i.physical)) for target, i in found.items()]
    if everything:
        show_table(("TARGET", ">CAPACITY", ">ALLOCATION", ">PHYSICAL"), rows)
    else:
        show_facts(zip(("Capacity:", "Allocation:", "Physical:"), rows[0][1:], strict=True))


@click.command("domblkstat")
@guest_argument
@click.argument("disk", metavar="[DISK]", default="")
@json_option
@with_host
async def domblkstat_command(host: Host, name: str, disk: str, as_json: bool) -> None:
    """Show the counters of a disk, or of all added up.  Times are nanoseconds."""
    found = await (await host.domain(name)).blocks.stats(disk)
    if as_json:
        show_json(found)
    else:
        prefix = f"{disk} " if disk else ""
        click.echo("".join(f"{prefix}{name} {value}\n" for name, value in found.items()), nl=False)


@click.command("domblkerror")
@guest_argument
@json_option
@with_host
async def domblkerror_command(host: Host, name: str, as_json: bool) -> None:
    """Show which disks fail, and how."""
    found = await (await host.domain(name)).blocks.errors()
    words = {disk: _ERRORS[int(error)] for disk, error in found.items()}
    if as_json:
        show_json(words)
    elif words:
        click.echo("".join(f"{disk}: {word}\n" for disk, word in words.items()), nl=False)
    else:
        click.echo("No errors found")


_ERRORS = ("no error", "unspecified error", "no space")


@click.command("blockresize")
@guest_argument
@disk_argument
@click.argument("new_size", metavar="SIZE", type=SIZE)
@with_host
async def blockresize_command(host: Host, name: str, disk: str, new_size: int) -> None:
    """Resize a disk of a running guest.

    The guest sees it at once; its file systems are its own to resize."""
    await (await host.domain(name)).blocks.resize(disk, new_size)
    click.echo(f"{disk} of {name} has {size(new_size)}")


def _limits(function: click.decorators.FC) -> click.decorators.FC:
    """An option for each limit, by libvirt's name with dashes."""
    for limit, kind in reversed(list(BLOCK_IO_TUNE.items())):
        word, name = (click.STRING, "NAME") if kind is Kind.STRING else (click.IntRange(min=0), "NUMBER")
        function = click.option(f"--{limit.replace('_', '-')}", limit, type=word, metavar=name)(function)
    return function


@click.command("blkdeviotune")
@guest_argument
@disk_argument
@_limits
@scope_options
@json_option
@with_host
async def blkdeviotune_command(
    host: Host, /, name: str, disk: str, scope: Scope, as_json: bool, **limits: int | str | None
) -> None:
    """Show or set how fast a disk may be.

    In bytes and operations per second; the ones that end in "max" are for bursts, which last as many seconds as
    the ones that end in "max-length" say.  0 is no limit.  Disks with the same group name share their limits."""
    blocks = (await host.domain(name)).blocks
    wanted: Params = {limit: value for limit, value in limits.items() if value is not None}
    if wanted:
        await blocks.set_iotune(disk, wanted, scope=scope)
        return
    found = await blocks.iotune(disk, scope=scope)
    if as_json:
        show_json(found)
    else:
        show_facts((limit, str(value)) for limit, value in found.items())


@click.command("domblkthreshold")
@guest_argument
@disk_argument
@click.argument("threshold", metavar="SIZE", type=SIZE)
@with_host
async def domblkthreshold_command(host: Host, name: str, disk: str, threshold: int) -> None:
    """Have an event once a disk has grown so far.

    It comes when the guest writes beyond that byte of the storage, and once; 'vmherd events' shows it.
    DISK may be an image below: vda[3]."""
    await (await host.domain(name)).blocks.set_threshold(disk, threshold)
