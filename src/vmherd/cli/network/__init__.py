"""The commands about networks."""

from __future__ import annotations

import click

from vmherd.cli.lazy import Entry, LazyGroup

_SECTIONS = {
    "Networks": {
        "list": Entry("network.show", "List the networks, active or not."),
        "info": Entry("network.show", "Show what a network is, and who is on it."),
        "create": Entry("network.make", "Make a network and start it, now and with the host."),
        "start": Entry("network.life", "Start networks that are defined."),
        "stop": Entry("network.life", "Stop networks; guests that run keep cards without a network."),
        "autostart": Entry("network.life", "Start networks together with the host, or no more."),
        "destroy": Entry("network.life", "Stop networks and forget them."),
        "undefine": Entry("network.life", "Forget networks; those that are active go on until they stop."),
    },
    "Who is on them": {
        "leases": Entry("network.guests", "List the addresses that guests were given."),
        "reserve": Entry("network.guests", "Always give a guest's card the same address, or no more."),
        "ports": Entry("network.guests", "List the ports of a network: the places of guests' cards."),
        "port-dumpxml": Entry("network.guests", "Print the XML document of a port."),
        "port-create": Entry("network.guests", "Make a port, for a card that another program makes."),
        "port-delete": Entry("network.guests", "Remove ports of a network."),
    },
    "Changing them": {
        "address": Entry("network.change", "Give a network an address of the host, or take it away."),
        "nat": Entry("network.change", "Translate the addresses of a network's guests outside, or not."),
        "private": Entry("network.change", "Keep the guests of a network from reaching each other, or not."),
        "vlan": Entry("network.change", "Put the guests of a network into a VLAN; 0: into none."),
        "add": Entry("network.change", "Let the guests of a network use a card of the host, too."),
        "remove": Entry("network.change", "Let the guests of a network use a card of the host no more."),
        "update": Entry("network.update", "Change a part of a network, also while it is active."),
    },
    "Documents": {
        "define": Entry("network.make", "Keep networks described by libvirt XML files."),
        "dumpxml": Entry("network.show", "Print the XML document of a network."),
        "edit": Entry("network.make", "Edit the XML document of a network."),
        "event": Entry("network.event", "Wait for something to happen to networks."),
    },
}


@click.group(cls=LazyGroup, name="network", sections=_SECTIONS)
def network_command() -> None:
    """Make, start and change virtual networks, which others call switches.

    \b
    vmherd network create public                   reaches out; addresses are chosen
    vmherd network create lab --nat 10.0.5.0/24    the same, with these addresses
    vmherd network create inside --isolated        guests reach each other, nothing else
    vmherd run --network lab                       a guest on it
    """
