"""The commands about network cards, named like virsh's: domiflist, domifstat, domif-getlink."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from vmherd.api.aio import Domain, Host
from vmherd.cli.command import guest_argument, json_option, with_host
from vmherd.cli.table import show_json, show_table
from vmherd.errors import InvalidArgument

if TYPE_CHECKING:
    from vmherd.conf.domain.net import Interface

card_argument = click.argument("card", metavar="CARD")


@click.command("domiflist")
@guest_argument
@click.option("--inactive", is_flag=True, help="Those it starts with next time.")
@json_option
@with_host
async def domiflist_command(host: Host, name: str, inactive: bool, as_json: bool) -> None:
    """List the network cards of a guest."""
    found = [_row(card) for card in await _cards(await host.domain(name), inactive=inactive)]
    if as_json:
        show_json([dict(zip(("interface", "type", "source", "model", "mac"), row, strict=True)) for row in found])
    else:
        show_table(("INTERFACE", "TYPE", "SOURCE", "MODEL", "MAC"), found)


async def _cards(domain: Domain, *, inactive: bool = False) -> list[Interface]:
    from vmherd.conf.domain import parse_domain

    return parse_domain(await domain.xml(inactive=inactive)).devices.interfaces


def _row(card: Interface) -> tuple[str, str, str, str, str]:
    source = card.source
    where = (source.network or source.bridge or source.dev) if source else None
    device = card.target.dev if card.target else None
    model, mac = card.model.type if card.model else None, card.mac.address if card.mac else None
    return device or "-", str(card.type), where or "-", model or "-", mac or "-"


@click.command("domifstat")
@guest_argument
@card_argument
@json_option
@with_host
async def domifstat_command(host: Host, name: str, card: str, as_json: bool) -> None:
    """Show the counters of a network card.

    As the guest sees them.  CARD is its device on the host or its MAC address; 'vmherd domiflist' shows both."""
    found = await (await host.domain(name)).cards.stats(card)
    if as_json:
        show_json(found)
    else:
        counters = msgspec.to_builtins(found).items()
        click.echo("".join(f"{card} {name} {value}\n" for name, value in counters), nl=False)


@click.command("domif-getlink")
@guest_argument
@card_argument
@click.option("--config", "inactive", is_flag=True, help="As it starts next time.")
@with_host
async def domif_getlink_command(host: Host, name: str, card: str, inactive: bool) -> None:
    """Show whether a network card's cable is plugged in."""
    for each in await _cards(await host.domain(name), inactive=inactive):
        if card in (each.target and each.target.dev, each.mac and each.mac.address):
            click.echo(f"{card} {each.link.state if each.link else 'up'}")
            return
    raise InvalidArgument(f"{name} has no network card {card}", hint=f"'vmherd domiflist {name}' shows them")
