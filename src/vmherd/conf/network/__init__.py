"""Virtual networks and the ports of guests on them.

network = parse_network(text)     completed as libvirt does
render_network(network)           text again; inactive=True as it is stored
changed = update(network, Command.ADD_LAST, Section.DNS_TXT, -1, "<txt name='a' value='b'/>")
complete(changed)                 refuses what contradicts itself
port = parse_port(text)           a <networkport>
"""

from vmherd.conf.network.network import Network
from vmherd.conf.network.port import NetworkPort, parse_port
from vmherd.conf.network.rules import complete, parse_network, render_network
from vmherd.conf.network.update import Command, Section, update
from vmherd.util.xmlmodel import render

__all__ = [
    "Command",
    "Network",
    "NetworkPort",
    "Section",
    "complete",
    "parse_network",
    "parse_port",
    "render",
    "render_network",
    "update",
]
