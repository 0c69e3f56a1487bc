"""Commands that show guests: list, info, dumpxml."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click
import msgspec

from vmherd.api.aio import Domain, Host
from vmherd.cli.command import guest_argument, json_option, with_host
from vmherd.cli.table import colour, duration, show_facts, show_json, show_table, size
from vmherd.driver.types import DomainInfo


@click.command("list")
@click.option("--running", "running", is_flag=True, help="Only those that run.")
@click.option("--all", "_all", is_flag=True, expose_value=False, hidden=True)  # what virsh users type; the default here
@click.option("--name", "only_names", is_flag=True, help="Only the names, one per line.")
@click.option(
    "--with-managed-save/--without-managed-save", "saved", default=None, help="Only those that were saved; or not."
)
@json_option
@with_host
async def list_command(host: Host, running: bool, only_names: bool, saved: bool | None, as_json: bool) -> None:
    """List the guests, running or not."""
    found = [info for info in await host.domains() if info.active or not running]
    found = [info for info in found if saved in (None, info.managed_save)]
    if as_json:
        show_json([_summary(info) for info in found])
    elif only_names:
        click.echo("".join(f"{info.name}\n" for info in found), nl=False)
    elif found:
        _show_list(found)
    else:
        click.echo("No guests yet.  'vmherd run' boots one now, 'vmherd create' makes one to keep.", err=True)


def _show_list(found: list[DomainInfo]) -> None:
    show_table(
        ("NAME", "STATE", ">ID", ">CPUS", ">MEMORY", "AUTOSTART", "TITLE"),
        (
            (
                info.name,
                "saved" if info.managed_save and not info.active else info.state.label,
                "-" if info.id is None else str(info.id),
                str(info.vcpus),
                size(info.memory),
                "yes" if info.autostart else "no",
                info.title,
            )
            for info in found
        ),
        colours=[colour(info.state) for info in found],
    )


def _summary(info: DomainInfo) -> dict[str, object]:
    """JSON of a guest: the words in place of libvirt's numbers."""
    told: dict[str, object] = msgspec.to_builtins(info)
    return told | {"state": info.state.label, "reason": info.reason_name}


@click.command("info")
@guest_argument
@json_option
@with_host
async def info_command(host: Host, name: str, as_json: bool) -> None:
    """Show what a guest is and how it does."""
    domain = await host.domain(name)
    if as_json:
        devices = [{"kind": kind, "what": what} for kind, what in _devices(await domain.xml())]
        show_json(_summary(await domain.info()) | {"devices": devices})
    else:
        await show_info(domain)


async def show_info(domain: Domain) -> None:
    """What a person wants to know of a guest."""
    job = await domain.job()
    doing = f"{job.operation}, for {duration(time.time() - job.started)}" if job else ""
    show_facts([*_facts(await domain.info()), ("job", doing), *_devices(await domain.xml())])


def _facts(info: DomainInfo) -> Iterator[tuple[str, str]]:
    yield "name", info.name
    yield "uuid", info.uuid
    yield "title", info.title
    yield "state", _state(info)
    yield "cpus", str(info.vcpus)
    yield "memory", _memory(info)
    if info.active:
        yield "id", str(info.id)
        yield "process", str(info.pid or "")
        yield "cpu time", duration(info.cpu_time)
    yield "persistent", "yes" if info.persistent else "no: it is gone when it stops"
    yield "autostart", "yes" if info.autostart else "no"
    yield "saved", "yes: it goes on from there when it starts" if info.managed_save else ""


def _state(info: DomainInfo) -> str:
    said = f"{info.state.label} ({info.reason_name})"
    if info.since:
        said += f" for {duration(max(0.0, time.time() - info.since))}"
    return said if info.responding else f"{said}, but its hypervisor does not answer"


def _memory(info: DomainInfo) -> str:
    most = size(info.max_memory)
    return most if info.memory == info.max_memory else f"{size(info.memory)} of {most}"


def _devices(xml: str) -> list[tuple[str, str]]:
    """What a person wants to know of the devices: what they are connected to."""
    from vmherd.cli.devices import described
    from vmherd.conf.domain import parse_domain

    return list(described(parse_domain(xml)))


@click.command("dumpxml")
@guest_argument
@click.option("--inactive", is_flag=True, help="What it starts with next time, in place of what runs now.")
@click.option("--security-info", "secure", is_flag=True, help="With the passwords in it.")
@json_option
@with_host
async def dumpxml_command(host: Host, name: str, inactive: bool, secure: bool, as_json: bool) -> None:
    """Print the XML document of a guest."""
    xml = await (await host.domain(name)).xml(inactive=inactive, secure=secure)
    if as_json:
        from vmherd.conf.domain import parse_domain

        show_json(parse_domain(xml))
    else:
        click.echo(xml, nl=not xml.endswith("\n"))
