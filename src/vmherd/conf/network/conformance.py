"""Networks and their ports as conformance cases ask for them."""

from __future__ import annotations

from vmherd.conf.network.network import Network
from vmherd.conf.network.port import parse_port
from vmherd.conf.network.rules import parse_network, render_network
from vmherd.conf.network.update import Command, Section, update
from vmherd.conformance import Case
from vmherd.util.xmlmodel import render


def networks(case: Case) -> str:
    """A network read and written."""
    return _written(case, parse_network(case.input))


def updates(case: Case) -> str:
    """A network with one of its sections updated."""
    command, section = (
        kind[case.params[name].replace("-", "_").upper()] for kind, name in ((Command, "command"), (Section, "section"))
    )
    network = parse_network(case.input)
    return _written(case, update(network, command, section, case.params["parent_index"], case.aux["update"]))


def ports(case: Case) -> str:
    """A network port read and written."""
    return render(parse_port(case.input))


def _written(case: Case, network: Network) -> str:
    return render_network(network, inactive="inactive" in case.flags)
