"""Commands that ask the agent in a guest, under virsh's names."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from vmherd.api.aio import Host
from vmherd.cli.command import guest_argument, json_option, with_host
from vmherd.cli.table import show_facts, show_json, show_table
from vmherd.driver.agent import AddressSource, AgentTimeout, GuestInfo

_SECOND = 1_000_000_000
_SOURCES = click.Choice([source.name.lower() for source in AddressSource])


def _source(word: str) -> AddressSource:
    return AddressSource[word.upper()]


@click.command("guestinfo")
@guest_argument
@click.option("--user", "groups", flag_value=GuestInfo.USERS, multiple=True, help="Who is logged in.")
@click.option("--os", "groups", flag_value=GuestInfo.OS, multiple=True, help="The operating system.")
@click.option("--timezone", "groups", flag_value=GuestInfo.TIMEZONE, multiple=True, help="The time zone.")
@click.option("--hostname", "groups", flag_value=GuestInfo.HOSTNAME, multiple=True, help="The name.")
@click.option("--filesystem", "groups", flag_value=GuestInfo.FILESYSTEM, multiple=True, help="What is mounted.")
@click.option("--disk", "groups", flag_value=GuestInfo.DISKS, multiple=True, help="The disks.")
@click.option("--interface", "groups", flag_value=GuestInfo.INTERFACES, multiple=True, help="The network.")
@json_option
@with_host
async def guestinfo_command(host: Host, name: str, groups: tuple[GuestInfo, ...], as_json: bool) -> None:
    """Show what a guest's agent tells of its inside.  That is everything, unless some of it is named."""
    wanted = GuestInfo(sum(groups)) if groups else None
    found = await (await host.domain(name)).agent.info(wanted)
    if as_json:
        show_json(found)
    else:
        show_facts((key, str(value)) for key, value in found.items())


@click.command("domhostname")
@guest_argument
@click.option("--source", type=click.Choice(["lease", "agent"]), help="Who tells.")
@with_host
async def domhostname_command(host: Host, name: str, source: str | None) -> None:
    """Print the name that a guest has given itself."""
    click.echo(await (await host.domain(name)).control.hostname(_source(source) if source else None))


@click.command("domifaddr")
@guest_argument
@click.option("--source", type=_SOURCES, default="agent", show_default=True, help="Who tells.")
@json_option
@with_host
async def domifaddr_command(host: Host, name: str, source: str, as_json: bool) -> None:
    """Show the addresses of a guest's network interfaces."""
    found = await (await host.domain(name)).control.addresses(_source(source))
    if as_json:
        show_json(found)
        return
    rows = [
        (each.name, each.mac, f"{address.address}/{address.prefix}") for each in found for address in each.addresses
    ]
    show_table(("Name", "MAC address", "Address"), rows)


@click.command("domfsinfo")
@guest_argument
@json_option
@with_host
async def domfsinfo_command(host: Host, name: str, as_json: bool) -> None:
    """Show what a guest has mounted.  The disks are named as in its document."""
    found = await (await host.domain(name)).agent.filesystems()
    if as_json:
        show_json(found)
    else:
        rows = [(each.mountpoint, each.name, each.type, " ".join(each.disks)) for each in found]
        show_table(("Mountpoint", "Name", "Type", "Disks"), rows)


@click.command("domfsfreeze")
@guest_argument
@click.option("--mountpoint", "mountpoints", multiple=True, help="Only this one; may be given several times.")
@with_host
async def domfsfreeze_command(host: Host, name: str, mountpoints: tuple[str, ...]) -> None:
    """Flush a guest's file systems, and hold all writes.  'vmherd domfsthaw' lets them go on."""
    click.echo(f"{await (await host.domain(name)).agent.freeze(mountpoints)} file systems are frozen")


@click.command("domfsthaw")
@guest_argument
@with_host
async def domfsthaw_command(host: Host, name: str) -> None:
    """Let a guest write to its file systems again."""
    click.echo(f"{await (await host.domain(name)).agent.thaw()} file systems were frozen")


@click.command("domfstrim")
@guest_argument
@click.option("--minimum", type=click.IntRange(min=0), default=0, metavar="BYTES", help="Ignore smaller free ranges.")
@with_host
async def domfstrim_command(host: Host, name: str, minimum: int) -> None:
    """Have a guest give back the storage it does not use."""
    await (await host.domain(name)).agent.trim(minimum=minimum)
    click.echo(f"{name} gave back what it does not use")


@click.command("domtime")
@guest_argument
@click.option("--now", is_flag=True, help="Set it to this machine's.")
@click.option("--sync", is_flag=True, help="Have the guest read its hardware clock.")
@click.option("--time", "seconds", type=click.IntRange(min=0), metavar="SECONDS", help="Set it, counted from 1970.")
@click.option("--pretty", is_flag=True, help="Print a date in place of seconds.")
@with_host
async def domtime_command(host: Host, name: str, now: bool, sync: bool, seconds: int | None, pretty: bool) -> None:
    """Print or set a guest's clock."""
    if now + sync + (seconds is not None) > 1:
        raise click.UsageError("--now, --sync and --time exclude each other")
    agent = (await host.domain(name)).agent
    if sync:
        await agent.set_time(None)
    elif now or seconds is not None:
        await agent.set_time(time.time_ns() if seconds is None else seconds * _SECOND)
    else:
        told = await agent.time() // _SECOND
        click.echo(datetime.fromtimestamp(told, UTC).isoformat(" ") if pretty else told)


@click.command("set-user-password")
@guest_argument
@click.argument("user")
@click.argument("password", required=False)
@click.option("--encrypted", is_flag=True, help="It is given as it stands in the guest's shadow file.")
@with_host
async def set_user_password_command(host: Host, name: str, user: str, password: str | None, encrypted: bool) -> None:
    """Give a user of a guest a password.  Without PASSWORD it is asked for."""
    if password is None:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    await (await host.domain(name)).agent.set_password(user, str(password), encrypted=encrypted)
    click.echo(f"{user} has a new password in {name}")


@click.command("guestvcpus")
@guest_argument
@click.option("--cpulist", metavar="LIST", help="Which, such as 1-3.")
@click.option("--enable/--disable", "online", default=None, help="Have the guest use them, or do without.")
@with_host
async def guestvcpus_command(host: Host, name: str, cpulist: str | None, online: bool | None) -> None:
    """Show or switch the vCPUs that a guest uses."""
    if (cpulist is None) is not (online is None):
        raise click.UsageError("--cpulist goes with --enable or --disable")
    agent = (await host.domain(name)).agent
    if cpulist is None or online is None:
        show_facts((key, str(value)) for key, value in (await agent.vcpus()).items())
    else:
        await agent.set_vcpus(cpulist, online=online)


@click.command("get-user-sshkeys")
@guest_argument
@click.argument("user")
@with_host
async def get_user_sshkeys_command(host: Host, name: str, user: str) -> None:
    """Print the SSH keys that let in as a user of a guest."""
    for key in await (await host.domain(name)).agent.ssh_keys(user):
        click.echo(key)


@click.command("set-user-sshkeys")
@guest_argument
@click.argument("user")
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Keys, one per line.")
@click.option("--reset", is_flag=True, help="Let in no others; without --file: nobody.")
@click.option("--remove", is_flag=True, help="Let these in no more.")
@with_host
async def set_user_sshkeys_command(
    host: Host, name: str, user: str, file: Path | None, reset: bool, remove: bool
) -> None:
    """Say which SSH keys let in as a user of a guest.  Those of a file do too, or with --reset only those."""
    if reset and remove:
        raise click.UsageError("--reset and --remove exclude each other")
    if file is None and not reset:
        raise click.UsageError("--file says which keys")
    keys = _keys_in(file) if file else []
    agent = (await host.domain(name)).agent
    if remove:
        await agent.remove_ssh_keys(user, keys)
    else:
        await agent.set_ssh_keys(user, keys, append=not reset)


def _keys_in(file: Path) -> list[str]:
    lines = [line.strip() for line in file.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@click.command("qemu-agent-command")
@guest_argument
@click.argument("command")
@click.option("--timeout", type=int, help="Seconds to wait for the answer.")
@click.option("--async", "nowait", is_flag=True, help="Do not wait for the answer.")
@click.option("--block", is_flag=True, help="Wait as long as it takes.")
@with_host
async def qemu_agent_command_command(
    host: Host, name: str, command: str, timeout: int | None, nowait: bool, block: bool
) -> None:
    """Send the agent in a guest a command.  It is JSON, such as '{"execute": "guest-ping"}'."""
    if nowait + block + (timeout is not None) > 1:
        raise click.UsageError("--timeout, --async and --block exclude each other")
    chosen = AgentTimeout.DEFAULT if timeout is None else timeout
    if nowait or block:
        chosen = AgentTimeout.NOWAIT if nowait else AgentTimeout.BLOCK
    click.echo(await (await host.domain(name)).agent.command(command, timeout=chosen))


@click.command("guest-agent-timeout")
@guest_argument
@click.option("--timeout", type=int, required=True, help="Seconds; -2: as long as it takes, -1: five, 0: do not wait.")
@with_host
async def guest_agent_timeout_command(host: Host, name: str, timeout: int) -> None:
    """Say how long a guest's agent gets for its answers."""
    await (await host.domain(name)).agent.set_timeout(timeout)
