"""Commands for a guest's vCPUs, named like virsh's: setvcpus, vcpupin, emulatorpin, ..."""

from __future__ import annotations

from collections.abc import Collection

import click

from vmherd.api.aio import Domain, Host
from vmherd.cli.command import guest_argument, json_option, with_host
from vmherd.cli.scope import scope_options
from vmherd.cli.table import duration, show_facts, show_json, show_table
from vmherd.driver.types import CURRENT, Scope
from vmherd.errors import InvalidState
from vmherd.util.xmlmodel.scalars import format_cpus, parse_cpus

_PARTS = (("config", Scope(config=True)), ("live", Scope(live=True)))


class CpuList(click.ParamType[tuple[int, ...]]):
    """``0-3,^2,8``: numbers of CPUs."""

    name = "cpus"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return parse_cpus(str(value))
        except ValueError:
            self.fail(f"{value!r} is no list of CPUs; write it like 0-3,^2,8", param, ctx)


CPUS = CpuList()


@click.command("setvcpus")
@guest_argument
@click.argument("count", type=click.IntRange(min=1))
@click.option("--maximum", is_flag=True, help="Set how many there may be; with --config.")
@click.option("--hotpluggable", is_flag=True, help="Let those that are added be unplugged later; with --config.")
@scope_options
@with_host
async def setvcpus_command(host: Host, name: str, count: int, maximum: bool, hotpluggable: bool, scope: Scope) -> None:
    """Give a guest more or fewer vCPUs.

    Those that were there when the guest started stay; others a running guest has to let go.
    """
    tuning = (await host.domain(name)).tuning
    await tuning.set_vcpu_count(count, maximum=maximum, hotpluggable=hotpluggable, scope=scope)
    click.echo(f"{name} {'may have' if maximum else 'has'} {count} vCPUs")


@click.command("setvcpu")
@guest_argument
@click.argument("vcpus", type=CPUS)
@click.option("--enable/--disable", default=None, help="Plug them in, or take them out.")
@scope_options
@with_host
async def setvcpu_command(host: Host, name: str, vcpus: tuple[int, ...], enable: bool | None, scope: Scope) -> None:
    """Plug single vCPUs into a guest, or take them out."""
    if enable is None:
        raise click.UsageError("say --enable or --disable")
    await (await host.domain(name)).tuning.set_vcpus(vcpus, enabled=enable, scope=scope)
    click.echo(f"{name} {'has' if enable else 'no longer has'} vCPU {format_cpus(vcpus)}")


@click.command("vcpucount")
@guest_argument
@click.option("--maximum", is_flag=True, help="How many there may be.")
@scope_options
@json_option
@with_host
async def vcpucount_command(host: Host, name: str, maximum: bool, scope: Scope, as_json: bool) -> None:
    """Print how many vCPUs a guest has.

    Without options it is everything that is known of it.
    """
    domain = await host.domain(name)
    if maximum or scope != CURRENT:
        click.echo(await domain.tuning.vcpu_count(maximum=maximum, scope=scope))
        return
    found = await _counts(domain)
    if as_json:
        show_json({f"{what}.{part}": count for (what, part), count in found.items()})
    else:
        show_facts((f"{what} {part}", str(count)) for (what, part), count in found.items())


async def _counts(domain: Domain) -> dict[tuple[str, str], int]:
    """The counts there are: one that is shut off has none live, a transient one none of a definition."""
    found = {}
    for what, maximum in (("maximum", True), ("current", False)):
        for part, scope in _PARTS:
            try:
                found[what, part] = await domain.tuning.vcpu_count(maximum=maximum, scope=scope)
            except InvalidState:
                continue
    return found


@click.command("vcpuinfo")
@guest_argument
@json_option
@with_host
async def vcpuinfo_command(host: Host, name: str, as_json: bool) -> None:
    """Show what the vCPUs of a running guest do."""
    found = await (await host.domain(name)).tuning.vcpu_info()
    if as_json:
        show_json(found)
        return
    rows = [
        (str(each.number), each.state.name.lower(), _cpu(each.cpu), duration(each.cpu_time), format_cpus(each.affinity))
        for each in found
    ]
    show_table((">vCPU", "State", ">CPU", ">CPU time", "May use"), rows)


def _cpu(number: int) -> str:
    return str(number) if number >= 0 else "-"


@click.command("vcpupin")
@guest_argument
@click.argument("vcpu", type=click.IntRange(min=0), required=False)
@click.argument("cpus", type=CPUS, required=False)
@scope_options
@json_option
@with_host
async def vcpupin_command(
    host: Host, name: str, vcpu: int | None, cpus: tuple[int, ...] | None, scope: Scope, as_json: bool
) -> None:
    """Show or set which of the host's CPUs vCPUs may use."""
    tuning = (await host.domain(name)).tuning
    if vcpu is not None and cpus is not None:
        await tuning.pin_vcpu(vcpu, cpus, scope=scope)
        click.echo(f"vCPU {vcpu} of {name} runs on {format_cpus(cpus)}")
        return
    pins = await tuning.vcpu_pins(scope=scope)
    show_pins({number: pin for number, pin in enumerate(pins) if vcpu in (None, number)}, "vCPU", as_json=as_json)


def show_pins(pins: dict[int, tuple[int, ...]], title: str, *, as_json: bool) -> None:
    """Which CPUs each of some threads may use."""
    if as_json:
        show_json({str(number): format_cpus(pin) for number, pin in pins.items()})
    else:
        show_table((f">{title}", "May use"), [(str(number), format_cpus(pin)) for number, pin in pins.items()])


@click.command("emulatorpin")
@guest_argument
@click.argument("cpus", type=CPUS, required=False)
@scope_options
@with_host
async def emulatorpin_command(host: Host, name: str, cpus: Collection[int] | None, scope: Scope) -> None:
    """Show or set which of the host's CPUs a guest's other threads may use."""
    tuning = (await host.domain(name)).tuning
    if cpus is None:
        click.echo(format_cpus(await tuning.emulator_pin(scope=scope)))
        return
    await tuning.pin_emulator(cpus, scope=scope)
    click.echo(f"the other threads of {name} run on {format_cpus(cpus)}")


@click.command("cpu-stats")
@guest_argument
@json_option
@with_host
async def cpu_stats_command(host: Host, name: str, as_json: bool) -> None:
    """Show how much of the host's CPUs a running guest used."""
    found = await (await host.domain(name)).tuning.cpu_stats()
    if as_json:
        show_json(found)
        return
    facts = [("total", found.total), ("user", found.user), ("system", found.system)]
    facts += [(f"CPU {number}", seconds) for number, seconds in enumerate(found.cpus)]
    show_facts((what, f"{seconds:.3f} s") for what, seconds in facts)
