"""Commands that change networks in vm-bhyve's words: address, nat, private, vlan, add, remove.

What libvirt can change while a network is active is changed at once; for the rest it has to start anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from vmherd.api.aio import Host
from vmherd.api.aio import Network as NetworkHandle
from vmherd.cli.command import with_host
from vmherd.cli.network.guests import everywhere
from vmherd.cli.network.names import network_argument
from vmherd.driver.network import UpdateCommand, UpdateSection
from vmherd.errors import InvalidArgument, InvalidState

if TYPE_CHECKING:
    from vmherd.conf.network import Network


async def _redefine(host: Host, name: str, change: Callable[[Network], None]) -> None:
    """Change the definition of a network, and say so."""
    from vmherd.conf.network import parse_network, render_network

    handle = await host.networks.find(name)
    info = await handle.info()
    if not info.persistent:
        raise InvalidState(f"network {handle.name} has no definition", hint="it is gone when it stops: define it first")
    network = parse_network(await handle.xml(inactive=True))
    change(network)
    await host.networks.define(render_network(network))
    later = "; it has effect when it starts the next time" if info.active else ""
    click.echo(f"network {handle.name} is changed{later}")


@click.command("address")
@network_argument
@click.argument("address", metavar="ADDRESS|none")
@click.argument("word", type=click.Choice(["delete"]), required=False)
@click.option("--no-dhcp", is_flag=True, help="Give guests no addresses of its range.")
@with_host
async def address_command(host: Host, name: str, address: str, word: str | None, no_dhcp: bool) -> None:
    """Give a network an address of the host, or take it away.

    \b
    vmherd network address lab 10.0.7.1/24
    vmherd network address lab fd00:7::/64
    vmherd network address lab 10.0.7.1/24 delete
    vmherd network address lab none

    It takes the place of the one that the network has of the same family."""
    from vmherd.guest.network import host_address, ip_of

    def change(network: Network) -> None:
        if address == "none":
            network.ips = []
            return
        own = host_address(address)
        others = [ip for ip in network.ips if ip.version != own.version]
        known = [f"{ip.address}/{ip.bits}" for ip in network.ips]
        if word == "delete" and str(own) not in known:
            raise InvalidArgument(f"network {name} has no address {own}", hint=f"it has: {', '.join(known) or 'none'}")
        network.ips = others if word == "delete" else [*others, ip_of(address, dhcp=not no_dhcp)]

    await _redefine(host, name, change)


@click.command("nat")
@network_argument
@click.argument("state", type=click.Choice(["on", "off"]))
@with_host
async def nat_command(host: Host, name: str, state: str) -> None:
    """Translate the addresses of a network's guests outside, or not.

    Without it the network is isolated: guests reach the host and each other."""
    from vmherd.conf.network.forward import Forward, ForwardMode

    def change(network: Network) -> None:
        if network.mode not in (ForwardMode.NAT, ForwardMode.NONE):
            raise InvalidState(
                f"network {name} is of the mode {network.mode}", hint="'vmherd network edit' changes that"
            )
        if state == "off":
            network.forward = None
        elif network.mode is ForwardMode.NONE:
            network.forward = Forward(mode=ForwardMode.NAT)

    await _redefine(host, name, change)


@click.command("private")
@network_argument
@click.argument("state", type=click.Choice(["on", "off"]))
@with_host
async def private_command(host: Host, name: str, state: str) -> None:
    """Keep the guests of a network from reaching each other, or not."""
    from vmherd.conf.network.shared import Isolation

    def change(network: Network) -> None:
        network.port = Isolation(isolated=True) if state == "on" else None

    await _redefine(host, name, change)


@click.command("vlan")
@network_argument
@click.argument("number", metavar="ID", type=click.IntRange(0, 4094))
@with_host
async def vlan_command(host: Host, name: str, number: int) -> None:
    """Put the guests of a network into a VLAN; 0: into none."""
    from vmherd.conf.network.shared import NetworkVlan, NetworkVlanTag

    def change(network: Network) -> None:
        network.vlan = NetworkVlan(tags=[NetworkVlanTag(id=number)]) if number else None

    await _redefine(host, name, change)


@click.command("add")
@network_argument
@click.argument("card")
@with_host
async def add_command(host: Host, name: str, card: str) -> None:
    """Let the guests of a network use a card of the host, too.

    Of one made with --direct: each guest's card is on one of them."""
    await _card(await host.networks.find(name), UpdateCommand.ADD_LAST, card)
    click.echo(f"guests of {name} can use {card}")


@click.command("remove")
@network_argument
@click.argument("card")
@with_host
async def remove_command(host: Host, name: str, card: str) -> None:
    """Let the guests of a network use a card of the host no more."""
    await _card(await host.networks.find(name), UpdateCommand.DELETE, card)
    click.echo(f"guests of {name} cannot use {card} any more")


async def _card(network: NetworkHandle, command: UpdateCommand, card: str) -> None:
    from vmherd.conf.network.forward import ForwardInterface
    from vmherd.util.xmlmodel import render

    xml = render(ForwardInterface(dev=card))
    await network.update(command, UpdateSection.FORWARD_INTERFACE, xml, scope=await everywhere(network))
