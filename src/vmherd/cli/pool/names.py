"""Pools as arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from vmherd.api.aio import Host
from vmherd.cli.command import completing

F = TypeVar("F", bound=Callable[..., object])


async def known_pools(host: Host) -> list[tuple[str, str]]:
    """Every pool with what the shell shows beside it."""
    return [(info.name, info.state.name.lower()) for info in await host.pools.list()]


def pool_argument(function: F) -> F:
    """One pool, by name or UUID, as ``name``."""
    return click.argument("name", metavar="POOL", shell_complete=completing(known_pools))(function)


def pools_argument(function: F) -> F:
    """Pools by name or UUID, as ``names``."""
    return click.argument("names", metavar="POOL...", nargs=-1, required=True, shell_complete=completing(known_pools))(
        function
    )
