"""What the options before a subcommand choose, for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])


class Settings:
    """``uri`` is the host to talk to, "" for the default one; ``direct`` keeps daemons out of it."""

    def __init__(self) -> None:
        self.uri = ""
        self.debug = False
        self.direct = False


def uri_option(function: F) -> F:
    """The option ``-c``, which may stand before a subcommand or after it."""
    return click.option(
        "-c",
        "--uri",
        metavar="URI",
        expose_value=False,
        callback=_choose,
        help="The host: qemu:///session, qemu:///system, test:///default, ...  [default: $VMHERD_DEFAULT_URI, "
        "else qemu:///system for root and qemu:///session for everyone else]",
    )(function)


def _choose(ctx: click.Context, _: click.Parameter, uri: str | None) -> None:
    if uri:
        ctx.ensure_object(Settings).uri = uri
