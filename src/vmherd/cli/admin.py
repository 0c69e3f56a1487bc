"""The commands that manage a running daemon: its clients, its limits, its log."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Concatenate, ParamSpec

import click

from vmherd.cli.command import json_option
from vmherd.cli.table import show_facts, show_json, show_table
from vmherd.daemon.manage import Admin, ClientInfo
from vmherd.daemon.places import ADMIN, own_place

P = ParamSpec("P")

#: libvirt's name of the server for guests; the other one is that for managing.
_MAIN = "libvirtd"


def with_admin(function: Callable[Concatenate[Admin, P], Coroutine[None, None, None]]) -> Callable[P, None]:
    """Give a coroutine its connection to the admin socket."""

    @click.option(
        "--socket",
        "_path",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The daemon's admin socket.  [default: that of the system's daemon for root, else of the user's own]",
    )
    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        path = kwargs.pop("_path", None)
        assert path is None or isinstance(path, Path)

        async def connected() -> None:
            async with await Admin.open(path or own_place().folder / ADMIN) as admin:
                await function(admin, *args, **kwargs)

        asyncio.run(connected())

    return run


server_option = click.option("--server", default=_MAIN, show_default=True, help="Which server of the daemon.")


@click.group("admin")
def admin_command() -> None:
    """Manage a running daemon: its clients, its limits, its log.

    \b
    vmherd admin clients                   who is connected
    vmherd admin disconnect 3              and shall not be
    vmherd admin log --filters 1:wire      tell of every call from now on
    """


@admin_command.command("servers")
@with_admin
async def servers(admin: Admin) -> None:
    """List the servers of the daemon."""
    for name in await admin.servers():
        click.echo(name)


@admin_command.command("clients")
@server_option
@json_option
@with_admin
async def clients(admin: Admin, server: str, as_json: bool) -> None:
    """List who is connected."""
    found = await admin.clients(server)
    if as_json:
        show_json(found)
        return
    rows = [(str(each.number), each.transport, _who(each), _rights(each), _clock(each.since)) for each in found]
    show_table([">ID", "BY", "WHO", "RIGHTS", "SINCE"], rows)


def _who(client: ClientInfo) -> str:
    about = client.about
    if "unix_user_name" in about:
        return f"{about['unix_user_name']} (process {about['unix_process_id']})"
    return " ".join(str(about[name]) for name in ("tls_x509_dname", "sock_addr") if name in about)


def _rights(client: ClientInfo) -> str:
    return "look only" if client.about.get("readonly") else "as granted"


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


@admin_command.command("client")
@click.argument("number", type=int)
@server_option
@json_option
@with_admin
async def client(admin: Admin, number: int, server: str, as_json: bool) -> None:
    """Show what is known of a client."""
    found = await admin.client(server, number)
    if as_json:
        show_json(found)
    else:
        told = {name.replace("_", " "): str(value) for name, value in found.about.items()}
        show_facts([("transport", found.transport), ("since", _clock(found.since)), *told.items()])


@admin_command.command("disconnect")
@click.argument("numbers", metavar="NUMBER...", type=int, nargs=-1, required=True)
@server_option
@with_admin
async def disconnect(admin: Admin, numbers: tuple[int, ...], server: str) -> None:
    """Close the connections of clients."""
    for number in numbers:
        await admin.disconnect(server, number)
        click.echo(f"client {number} is disconnected")


@admin_command.command("limits")
@click.option("--clients", "most", type=click.IntRange(min=1), metavar="N", help="Clients at once.")
@click.option("--waiting", type=click.IntRange(min=1), metavar="N", help="Those that have not opened a connection yet.")
@server_option
@json_option
@with_admin
async def limits(admin: Admin, most: int | None, waiting: int | None, server: str, as_json: bool) -> None:
    """Show how many clients there may be and are, or change it until the daemon reads its settings anew."""
    wanted = {"nclients_max": most, "nclients_unauth_max": waiting}
    if told := {name: number for name, number in wanted.items() if number is not None}:
        await admin.set_limits(server, told)
    found = await admin.limits(server)
    if as_json:
        show_json(found)
    else:
        show_facts(
            [
                ("clients", f"{found['nclients']} of {found['nclients_max']}"),
                ("waiting", f"{found['nclients_unauth']} of {found['nclients_unauth_max']}"),
            ]
        )


@admin_command.command("log")
@click.option("--filters", metavar="WORDS", help='Levels of parts of the program: "1:wire 3:qemu"; "" for none.')
@click.option("--outputs", metavar="WORDS", help='Where it goes: "1:file:/var/log/vmherd.log 3:stderr".')
@with_admin
async def log(admin: Admin, filters: str | None, outputs: str | None) -> None:
    """Show what the daemon logs and where to, or change it.

    Levels are libvirt's: 1 debug, 2 info, 3 warning, 4 error.
    """
    if filters is not None:
        await admin.set_log_filters(filters)
    if outputs is not None:
        await admin.set_log_outputs(outputs)
    show_facts([("filters", await admin.log_filters()), ("outputs", await admin.log_outputs())])


@admin_command.command("timeout")
@click.argument("seconds", type=click.IntRange(min=0))
@with_admin
async def timeout(admin: Admin, seconds: int) -> None:
    """Have the daemon leave after SECONDS without clients and guests; 0: never."""
    await admin.stay(seconds)
    click.echo(f"the daemon leaves after {seconds} s without need" if seconds else "the daemon stays")


@admin_command.command("renew-tls")
@server_option
@with_admin
async def renew_tls(admin: Admin, server: str) -> None:
    """Have the daemon read its certificates anew."""
    await admin.renew_tls(server)
    click.echo("new clients see the new certificates")
