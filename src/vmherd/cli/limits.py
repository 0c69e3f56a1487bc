"""Commands for what a guest may take of its host, named like virsh's: memtune, schedinfo, blkiotune, ..."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import click

from vmherd.api.aio import Host
from vmherd.api.aio.tuning import Tuning
from vmherd.cli.command import guest_argument, json_option, with_host
from vmherd.cli.scope import scope_options
from vmherd.cli.size import SIZE
from vmherd.cli.table import show_facts, show_json
from vmherd.driver import params as named
from vmherd.driver.params import UNLIMITED_KIB, Kind, Params, Value
from vmherd.driver.types import Scope

_KIB = 1024
_MODES = ("strict", "preferred", "interleave", "restrictive")


class Limit(click.ParamType[int]):
    """A size like 2G, or "unlimited", in KiB as libvirt counts limits."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        return UNLIMITED_KIB if value == "unlimited" else SIZE.convert(value, param, ctx) // _KIB


_limit = Limit()


def _show(told: Params, *, as_json: bool) -> None:
    if as_json:
        show_json(told)
    else:
        show_facts((name, _word(name, value)) for name, value in told.items())


def _word(name: str, value: Value) -> str:
    if isinstance(value, bool):
        return "enabled" if value else "disabled"
    if name == "numa_mode":
        return _MODES[int(value)]
    return "unlimited" if value == UNLIMITED_KIB else str(value) or "-"


Get = Callable[[Tuning, Scope], Awaitable[Params]]
Set = Callable[[Tuning, Params, Scope], Awaitable[None]]


async def _get_or_set(host: Host, name: str, scope: Scope, given: Params, get: Get, put: Set, as_json: bool) -> None:
    """Set what was given; show everything where nothing was."""
    tuning = (await host.domain(name)).tuning
    if given:
        await put(tuning, given, scope)
        click.echo(f"{name} is changed")
    else:
        _show(await get(tuning, scope), as_json=as_json)


def _told(values: dict[str, int | str | None]) -> Params:
    return {name: value for name, value in values.items() if value is not None}


@click.command("memtune")
@guest_argument
@click.option("--hard-limit", type=_limit, help="The most memory, such as 2G, or 'unlimited'.")
@click.option("--soft-limit", type=_limit, help="The memory it is left with when the host has too little.")
@click.option("--swap-hard-limit", type=_limit, help="The most memory and swap together.")
@scope_options
@json_option
@with_host
async def memtune_command(host: Host, /, name: str, scope: Scope, as_json: bool, **limits: int | None) -> None:
    """Show or set how much of the host's memory a guest may take.

    Sizes are shown in KiB.
    """
    get, put = _pair(Tuning.memory_params, Tuning.set_memory_params)
    await _get_or_set(host, name, scope, _told({**limits}), get, put, as_json)


def _pair(get: Callable[..., Awaitable[Params]], put: Callable[..., Awaitable[None]]) -> tuple[Get, Set]:
    """Methods that ask and set, taking what they reach as the last argument."""
    return (
        lambda tuning, scope: get(tuning, scope=scope),
        lambda tuning, given, scope: put(tuning, given, scope=scope),
    )


@click.command("blkiotune")
@guest_argument
@click.option("--weight", type=int, help="Its part of disk access, from 10 to 1000.")
@click.option("--device-weights", "device_weight", metavar="DEVICE,WEIGHT,...", help="The same for single disks.")
@click.option("--device-read-iops-sec", metavar="DEVICE,NUMBER,...", help="The most reads in a second.")
@click.option("--device-write-iops-sec", metavar="DEVICE,NUMBER,...", help="The most writes in a second.")
@click.option("--device-read-bytes-sec", metavar="DEVICE,BYTES,...", help="The most bytes read in a second.")
@click.option("--device-write-bytes-sec", metavar="DEVICE,BYTES,...", help="The most bytes written in a second.")
@scope_options
@json_option
@with_host
async def blkiotune_command(host: Host, /, name: str, scope: Scope, as_json: bool, **limits: int | str | None) -> None:
    """Show or set how much a guest may use the host's disks.

    They are named like /dev/sda; 0 ends a limit.
    """
    get, put = _pair(Tuning.blkio_params, Tuning.set_blkio_params)
    await _get_or_set(host, name, scope, _told(limits), get, put, as_json)


@click.command("schedinfo")
@guest_argument
@click.argument("settings", metavar="[NAME=VALUE]...", nargs=-1)
@scope_options
@json_option
@with_host
async def schedinfo_command(host: Host, name: str, settings: Sequence[str], scope: Scope, as_json: bool) -> None:
    """Show or set how much of the host's CPU time a guest may take.

    Shares count against those of other guests; quotas are microseconds in each period, and -1 is no limit.
    """
    get, put = _pair(Tuning.scheduler_params, Tuning.set_scheduler_params)
    await _get_or_set(host, name, scope, dict(map(_setting, settings)), get, put, as_json)


def _setting(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    if name not in named.SCHEDULER:
        raise click.UsageError(f"there is no {name!r}; there are {', '.join(named.SCHEDULER)}")
    try:
        return name, int(value)
    except ValueError:
        raise click.UsageError(f"{text!r}: write it like {name}=1000") from None


@click.command("numatune")
@guest_argument
@click.option("--mode", type=click.Choice(_MODES), help="How strictly it is kept to.")
@click.option("--nodeset", metavar="NODES", help="The host's nodes, such as 0-1,3.")
@scope_options
@json_option
@with_host
async def numatune_command(
    host: Host, name: str, mode: str | None, nodeset: str | None, scope: Scope, as_json: bool
) -> None:
    """Show or set which NUMA nodes of the host a guest's memory comes from."""
    given = _told({"numa_mode": None if mode is None else _MODES.index(mode), "numa_nodeset": nodeset})
    await _get_or_set(host, name, scope, given, *_pair(Tuning.numa_params, Tuning.set_numa_params), as_json)


@click.command("domiftune")
@guest_argument
@click.argument("device", metavar="CARD")
@click.option("--inbound", metavar="AVERAGE[,PEAK[,BURST[,FLOOR]]]", help="What the guest receives; 0 ends the limit.")
@click.option("--outbound", metavar="AVERAGE[,PEAK[,BURST]]", help="What the guest sends.")
@scope_options
@json_option
@with_host
async def domiftune_command(
    host: Host, name: str, device: str, inbound: str | None, outbound: str | None, scope: Scope, as_json: bool
) -> None:
    """Show or set the bandwidth of a guest's network card, in KiB per second.

    CARD is its MAC address, or its device on the host.
    """
    tuning = (await host.domain(name)).tuning
    given = {**_rates("inbound", inbound), **_rates("outbound", outbound)}
    if given:
        await tuning.set_interface_params(device, given, scope=scope)
        click.echo(f"{name} is changed")
    else:
        _show(await tuning.interface_params(device, scope=scope), as_json=as_json)


def _rates(way: str, text: str | None) -> Params:
    names = [name for name in ("average", "peak", "burst", "floor") if f"{way}.{name}" in named.INTERFACE]
    words = text.split(",") if text else []
    try:
        return {f"{way}.{name}": int(word) for name, word in zip(names, words, strict=False) if word}
    except ValueError:
        raise click.UsageError(f"--{way} {text}: write it like 1000,2000,512") from None


def _events(text: str | None, enabled: bool) -> dict[str, bool]:
    found = {word.strip(): enabled for word in text.split(",")} if text else {}
    for word in found:
        if named.PERF.get(word) is not Kind.BOOLEAN:
            raise click.UsageError(f"there is no event {word!r}; there are {', '.join(named.PERF)}")
    return found


@click.command("perf")
@guest_argument
@click.option("--enable", metavar="EVENT,...", help="Count these events.")
@click.option("--disable", metavar="EVENT,...", help="Count them no more.")
@scope_options
@json_option
@with_host
async def perf_command(
    host: Host, name: str, enable: str | None, disable: str | None, scope: Scope, as_json: bool
) -> None:
    """Show or set which events of the host's CPUs are counted for a guest."""
    tuning = (await host.domain(name)).tuning
    switched = {**_events(enable, True), **_events(disable, False)}
    if switched:
        await tuning.set_perf_events(switched, scope=scope)
        click.echo(f"{name} is changed")
    else:
        _show(dict(await tuning.perf_events(scope=scope)), as_json=as_json)
