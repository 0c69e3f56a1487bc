"""The options that describe a guest, the same for every command that makes one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from vmherd.cli.command import completing
from vmherd.cli.network.names import known_networks
from vmherd.cli.size import SIZE
from vmherd.guest.spec import GuestSpec

F = TypeVar("F", bound=Callable[..., Any])

#: A file that must be there; click says so if it is not.
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_OPTIONS = (
    click.option("-m", "--memory", type=SIZE, default="512M", show_default=True, help="Memory, such as 512M or 2G."),
    click.option("--cpus", type=click.IntRange(min=1), default=1, show_default=True, help="Virtual CPUs."),
    click.option("--disk", "disks", type=FILE, multiple=True, help="A disk image that exists.  May be repeated."),
    click.option("--cdrom", type=FILE, help="A CD-ROM image."),
    click.option("--initrd", type=FILE, help="The initial RAM disk of a Linux kernel."),
    click.option("--cmdline", default="", help="The command line of a Linux kernel."),
    click.option("--no-network", is_flag=True, help="No card."),
    click.option("--vnc", is_flag=True, help="A screen, for VNC viewers on this host."),
)


def spec_options(*words: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options that make a GuestSpec, which the function gets as ``spec``; its name stays empty.

    ``words`` are more of them for the option --network.
    """
    return functools.partial(_with_spec, wanted=(*_OPTIONS, _network(*words)))


def _network(*words: str) -> Callable[[F], F]:
    return click.option(
        *words,
        "--network",
        "networks",
        metavar="NETWORK",
        multiple=True,
        shell_complete=completing(known_networks),
        help="A card on this network; may be repeated.  [default: one on a user-mode network]",
    )


def _with_spec(function: Callable[..., Any], wanted: Sequence[Callable[[Any], Any]]) -> Callable[..., Any]:

    @functools.wraps(function)
    def run(**options: Any) -> Any:
        if options["networks"] and options["no_network"]:
            raise click.UsageError("--network and --no-network exclude each other")
        spec = GuestSpec(
            name="",
            memory=options.pop("memory"),
            cpus=options.pop("cpus"),
            initrd=options.pop("initrd"),
            cmdline=options.pop("cmdline"),
            disks=options.pop("disks"),
            cdrom=options.pop("cdrom"),
            network=not options.pop("no_network"),
            networks=options.pop("networks"),
            vnc=options.pop("vnc"),
        )
        return function(spec=spec, **options)

    for option in reversed(wanted):
        run = option(run)
    return run
