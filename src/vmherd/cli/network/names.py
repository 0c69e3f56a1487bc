"""Networks as arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from vmherd.api.aio import Host
from vmherd.cli.command import completing

F = TypeVar("F", bound=Callable[..., object])


async def known_networks(host: Host) -> list[tuple[str, str]]:
    """Every network with what the shell shows beside it."""
    return [(info.name, "active" if info.active else "inactive") for info in await host.networks.list()]


def network_argument(function: F) -> F:
    """One network, by name or UUID, as ``name``."""
    return click.argument("name", metavar="NETWORK", shell_complete=completing(known_networks))(function)


def networks_argument(function: F) -> F:
    """Networks by name or UUID, as ``names``."""
    return click.argument(
        "names", metavar="NETWORK...", nargs=-1, required=True, shell_complete=completing(known_networks)
    )(function)
