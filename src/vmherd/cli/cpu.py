"""The commands about CPUs: models, features, the host's own, comparisons, baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import click

from vmherd.api.aio import Host
from vmherd.cli.command import json_option, with_host
from vmherd.cli.document import text_of
from vmherd.cli.table import show_facts, show_json, show_table
from vmherd.driver.types import CpuInfo

_USABLE = {True: "yes", False: "no", None: "-"}


@click.group("cpu")
def cpu_command() -> None:
    """Show CPU models and features, compare and combine CPUs.

    \b
    vmherd cpu host                            what guests get with <cpu mode='host-model'/>
    vmherd cpu compare guest.xml               whether this host can run a guest with such a CPU
    vmherd cpu baseline hostA.xml hostB.xml    a CPU for guests that move between hosts
    """


@cpu_command.command("models")
@click.argument("arch", default="")
@json_option
@with_host
async def models(host: Host, arch: str, as_json: bool) -> None:
    """List the CPU models that guests may name.

    ARCH is the guests' architecture, such as aarch64; by default the host's.  A model is usable if guests can have
    all of it here, and if not, LACKS says what is missing.
    """
    found = await host.cpu_models(arch)
    if as_json:
        show_json(found)
    else:
        rows = [(each.name, _USABLE[each.usable], ", ".join(each.lacks)) for each in found]
        show_table(["MODEL", "USABLE", "LACKS"], rows)


@cpu_command.command("features")
@click.argument("model")
@json_option
@with_host
async def features(host: Host, model: str, as_json: bool) -> None:
    """List the features of a CPU model."""
    found = await host.cpu_features(model)
    if as_json:
        show_json(found)
    else:
        for name in found:
            click.echo(name)


@cpu_command.command("host")
@json_option
@with_host
async def show_host(host: Host, as_json: bool) -> None:
    """Show what the host's CPU is, and what its guests get of it.

    They get it with <cpu mode='host-model'/>; what has a "-" before it they do not get.
    """
    found = await host.cpu()
    if as_json:
        show_json(found)
    else:
        told = [("processor", found.processor), ("guests get", found.guest)]
        show_facts([("architecture", found.arch), *((name, _told(cpu)) for name, cpu in told if cpu)])


def _told(cpu: CpuInfo) -> str:
    """The model and its maker, then the features in a line of their own."""
    features = [name if policy == "require" else f"-{name}" for name, policy in cpu.features.items()]
    return "\n".join([f"{cpu.model}, made by {cpu.vendor}" if cpu.vendor else cpu.model, " ".join(features)]).strip()


@cpu_command.command("compare")
@click.argument("file", type=click.File("rb"))
@json_option
@with_host
async def compare(host: Host, file: BinaryIO, as_json: bool) -> int:
    """Tell whether this host can run guests with the CPU of a document.

    FILE is a <cpu>, a domain, or the capabilities of a host; "-" is standard input.  The exit code is 1 if it cannot.
    """
    found = await host.compare_cpu(text_of(file))
    if as_json:
        show_json(found)
    else:
        click.echo(_WORDS[found.result])
        if found.lacks:
            click.echo(f"it lacks: {', '.join(found.lacks)}")
    return 1 if found.result == "incompatible" else 0


_WORDS = {
    "incompatible": "This host cannot run guests with that CPU.",
    "identical": "This host has that CPU, and nothing more.",
    "superset": "This host has that CPU, and more.",
}


@cpu_command.command("baseline")
@click.argument("files", type=click.File("rb"), nargs=-1, required=True, metavar="FILE...")
@click.option("--expand", is_flag=True, help="List the features of the model, too.")
@click.option("--migratable", is_flag=True, help="Leave out what keeps guests from moving.")
@json_option
@with_host
async def baseline(host: Host, files: Sequence[BinaryIO], expand: bool, migratable: bool, as_json: bool) -> None:
    """Print the best CPU that the hosts of all documents can give their guests.

    Each FILE is a <cpu>, a domain, or the capabilities of a host.
    """
    xml = await host.baseline_cpu([text_of(file) for file in files], expand=expand, migratable=migratable)
    if as_json:
        from vmherd.conf.domain.cpu import Cpu
        from vmherd.util.xmlmodel import parse

        show_json(parse(Cpu, xml))
    else:
        click.echo(xml, nl=False)
