"""The command that changes a part of a network, as virsh's net-update."""

from __future__ import annotations

import click

from vmherd.api.aio import Host
from vmherd.cli.command import with_host
from vmherd.cli.document import text_at
from vmherd.cli.network.names import network_argument
from vmherd.cli.scope import scope_options
from vmherd.driver.network import UpdateCommand, UpdateSection
from vmherd.driver.types import Scope

_COMMANDS = {
    "add": UpdateCommand.ADD_LAST,
    "add-first": UpdateCommand.ADD_FIRST,
    "add-last": UpdateCommand.ADD_LAST,
    "delete": UpdateCommand.DELETE,
    "modify": UpdateCommand.MODIFY,
}
_SECTIONS = {section.name.lower().replace("_", "-"): section for section in UpdateSection}


@click.command("update")
@network_argument
@click.argument("command", type=click.Choice([*_COMMANDS]))
@click.argument("section", metavar="SECTION", type=click.Choice([*_SECTIONS]))
@click.argument("xml", metavar="XML|FILE")
@click.option("--parent-index", type=int, default=-1, help="Which <ip> it is in.  [default: the one that fits]")
@scope_options
@with_host
async def update_command(
    host: Host, name: str, command: str, section: str, xml: str, parent_index: int, scope: Scope
) -> None:
    """Change a part of a network, also while it is active.

    \b
    vmherd network update lab add ip-dhcp-host "<host mac='52:54:00:aa:00:01' ip='10.0.5.20'/>" --live --config
    vmherd network update lab add dns-host host.xml

    SECTION is one of bridge, domain, ip, ip-dhcp-host, ip-dhcp-range, forward, forward-interface, forward-pf,
    portgroup, dns-host, dns-txt and dns-srv."""
    text = xml if xml.lstrip().startswith("<") else text_at(xml)
    network = await host.networks.find(name)
    await network.update(_COMMANDS[command], _SECTIONS[section], text, parent=parent_index, scope=scope)
    click.echo(f"network {network.name} is changed")
