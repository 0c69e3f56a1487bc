"""Commands that show networks: list, info, dumpxml."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
import msgspec

from vmherd.api.aio import Host
from vmherd.cli.command import json_option, with_host
from vmherd.cli.network.names import network_argument
from vmherd.cli.table import show_facts, show_json, show_table
from vmherd.driver.network import NetworkInfo

if TYPE_CHECKING:
    from vmherd.conf.network import Network


@click.command("list")
@click.option("--active", is_flag=True, help="Only those that are active.")
@click.option("--inactive", is_flag=True, help="Only those that are not.")
@click.option("--all", "_all", is_flag=True, expose_value=False, hidden=True)  # what virsh users type; the default here
@click.option("--name", "only_names", is_flag=True, help="Only the names, one per line.")
@json_option
@with_host
async def list_command(host: Host, active: bool, inactive: bool, only_names: bool, as_json: bool) -> None:
    """List the networks, active or not."""
    found = [info for info in await host.networks.list() if active is inactive or info.active is active]
    if only_names:
        click.echo("".join(f"{info.name}\n" for info in found), nl=False)
        return
    addresses = await asyncio.gather(*(_addresses(host, info) for info in found))
    if as_json:
        show_json([_summary(info, known) for info, known in zip(found, addresses, strict=True)])
        return
    show_table(
        ("NAME", "STATE", "MODE", "BRIDGE", "ADDRESS", "AUTOSTART"),
        [_row(info, known) for info, known in zip(found, addresses, strict=True)],
        colours=["green" if info.active else "bright_black" for info in found],
    )


async def _addresses(host: Host, info: NetworkInfo) -> list[str]:
    from vmherd.guest.network import addresses_of

    return addresses_of(await (await host.networks.find(info.uuid)).xml())


def _row(info: NetworkInfo, addresses: list[str]) -> tuple[str, ...]:
    state = "active" if info.active else "inactive"
    autostart = "yes" if info.autostart else "no"
    return info.name, state, _mode(info), info.bridge or "-", " ".join(addresses) or "-", autostart


def _mode(info: NetworkInfo) -> str:
    """How guests get out; over a card that they share with the host it is "direct"."""
    return "direct" if info.forward == "bridge" and not info.bridge else info.forward or "isolated"


def _summary(info: NetworkInfo, addresses: list[str]) -> dict[str, object]:
    told: dict[str, object] = msgspec.to_builtins(info)
    return told | {"addresses": addresses}


@click.command("info")
@network_argument
@json_option
@with_host
async def info_command(host: Host, name: str, as_json: bool) -> None:
    """Show what a network is, and who is on it."""
    from vmherd.conf.network import parse_network
    from vmherd.guest.network import addresses_of

    network = await host.networks.find(name)
    info, xml = await network.info(), await network.xml()
    if as_json:
        show_json(_summary(info, addresses_of(xml)))
        return
    show_facts(
        [
            ("name", info.name),
            ("uuid", info.uuid),
            ("state", "active" if info.active else "inactive"),
            ("persistent", "yes" if info.persistent else "no: it is gone when it stops"),
            ("autostart", "yes" if info.autostart else "no"),
            ("mode", _mode(info)),
            ("bridge", info.bridge),
            ("addresses", "\n".join(addresses_of(xml))),
            *_facts(parse_network(xml)),
            ("ports", str(len(await network.ports.list())) if info.active else ""),
            ("leases", str(len(await network.leases())) if info.active else ""),
        ]
    )


def _facts(network: Network) -> list[tuple[str, str]]:
    """What else a person wants to know of one."""
    ranges = [f"{each.start} - {each.end}" for ip in network.ips if ip.dhcp for each in ip.dhcp.ranges]
    cards = [card.dev for card in network.forward.cards] if network.forward else []
    return [
        ("dhcp", "\n".join(ranges)),
        ("goes out by", " ".join(cards)),
        ("domain", (network.domain.name if network.domain else "") or ""),
        ("mtu", str((network.mtu and network.mtu.size) or "")),
        ("vlan", " ".join(str(tag.id) for tag in network.vlan.tags) if network.vlan else ""),
        ("private", "yes" if network.port and network.port.isolated else ""),
    ]


@click.command("dumpxml")
@network_argument
@click.option("--inactive", is_flag=True, help="What it starts with next time, in place of what is so now.")
@with_host
async def dumpxml_command(host: Host, name: str, inactive: bool) -> None:
    """Print the XML document of a network."""
    xml = await (await host.networks.find(name)).xml(inactive=inactive)
    click.echo(xml, nl=not xml.endswith("\n"))
