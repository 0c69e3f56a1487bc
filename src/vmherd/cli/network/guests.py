"""Commands about who is on a network: leases, reserve, ports."""

from __future__ import annotations

import time

import click

from vmherd.api.aio import Host, Network
from vmherd.cli.command import completing, json_option, with_host
from vmherd.cli.document import text_at
from vmherd.cli.network.names import known_networks, network_argument
from vmherd.cli.table import show_json, show_table
from vmherd.driver.network import Lease, UpdateCommand, UpdateSection
from vmherd.driver.types import Scope
from vmherd.errors import InvalidArgument


@click.command("leases")
@click.argument("name", metavar="[NETWORK]", required=False, shell_complete=completing(known_networks))
@click.option("--mac", metavar="MAC", default="", help="Only those of this card.")
@json_option
@with_host
async def leases_command(host: Host, name: str | None, mac: str, as_json: bool) -> None:
    """List the addresses that guests were given.

    Of one network, or of all that are active."""
    names = [name] if name else [info.uuid for info in await host.networks.list() if info.active]
    networks = [await host.networks.find(each) for each in names]
    found = [(network.name, lease) for network in networks for lease in await network.leases(mac)]
    if as_json:
        show_json([{"network": network, **_told(lease)} for network, lease in found])
    else:
        show_table(("NETWORK", "ADDRESS", "MAC", "NAME", "UNTIL", "CLIENT ID"), [_row(*each) for each in found])


def _told(lease: Lease) -> dict[str, object]:
    import msgspec

    told: dict[str, object] = msgspec.to_builtins(lease)
    return told


def _row(network: str, lease: Lease) -> tuple[str, ...]:
    until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(lease.expiry)) if lease.expiry else "for ever"
    address = f"{lease.address}/{lease.prefix}"
    return network, address, lease.mac or "-", lease.hostname or "-", until, lease.client_id or "-"


@click.command("reserve")
@network_argument
@click.argument("mac")
@click.argument("address", metavar="[ADDRESS]", required=False)
@click.option("--name", "hostname", metavar="NAME", help="The name the guest gets, and is found by.")
@click.option("--remove", is_flag=True, help="No more.")
@with_host
async def reserve_command(
    host: Host, name: str, mac: str, address: str | None, hostname: str | None, remove: bool
) -> None:
    """Always give a guest's card the same address, or no more.

    \b
    vmherd network reserve lab 52:54:00:aa:00:01 10.0.5.20 --name web

    It is so at once, and after each start of the network."""
    if not (address or remove):
        raise click.UsageError("say which address")
    from vmherd.conf.network.ip import DhcpHost
    from vmherd.util.xmlmodel import render

    network = await host.networks.find(name)
    xml = render(DhcpHost(mac=mac, ip=address, name=hostname))
    command = UpdateCommand.DELETE if remove else UpdateCommand.ADD_LAST
    await network.update(command, UpdateSection.IP_DHCP_HOST, xml, scope=await everywhere(network))
    click.echo(f"{mac} gets {'any address' if remove else address} in {network.name}")


async def everywhere(network: Network) -> Scope:
    """All there is of a network: how it runs, and how it starts next time."""
    info = await network.info()
    return Scope(live=info.active, config=info.persistent)


@click.command("ports")
@network_argument
@json_option
@with_host
async def ports_command(host: Host, name: str, as_json: bool) -> None:
    """List the ports of a network: the places of guests' cards."""
    found = await (await host.networks.find(name)).ports.list()
    if as_json:
        show_json(found)
        return
    names = {info.uuid: info.name for info in await host.domains()}
    rows = [(info.uuid, names.get(info.owner, info.owner), info.mac or "-", info.device or "-") for info in found]
    show_table(("UUID", "GUEST", "MAC", "DEVICE"), rows)


@click.command("port-dumpxml")
@network_argument
@click.argument("uuid")
@with_host
async def port_dumpxml_command(host: Host, name: str, uuid: str) -> None:
    """Print the XML document of a port."""
    xml = await (await host.networks.find(name)).ports.xml(uuid)
    click.echo(xml, nl=not xml.endswith("\n"))


@click.command("port-create")
@network_argument
@click.argument("file", metavar="FILE")
@with_host
async def port_create_command(host: Host, name: str, file: str) -> None:
    """Make a port, for a card that another program makes.

    A <networkport> document describes it.  Prints its UUID."""
    click.echo((await (await host.networks.find(name)).ports.create(text_at(file))).uuid)


@click.command("port-delete")
@network_argument
@click.argument("uuids", metavar="UUID...", nargs=-1)
@with_host
async def port_delete_command(host: Host, name: str, uuids: tuple[str, ...]) -> None:
    """Remove ports of a network."""
    if not uuids:
        raise InvalidArgument("say which ports", hint=f"'vmherd network ports {name}' shows them")
    network = await host.networks.find(name)
    for uuid in uuids:
        await network.ports.delete(uuid)
        click.echo(f"port {uuid} is gone")
