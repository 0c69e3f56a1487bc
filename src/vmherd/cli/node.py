"""The commands about the host's hardware, named like virsh's: nodeinfo, nodecpustats, freecell, sysinfo, ..."""

from __future__ import annotations

import asyncio

import click

from vmherd.api.aio import Host
from vmherd.cli.command import json_option, with_host
from vmherd.cli.size import SIZE
from vmherd.cli.table import show_facts, show_json, show_table, size
from vmherd.driver.host import HostCpuTimes, SuspendTarget
from vmherd.errors import InvalidArgument, NotSupported


@click.command("nodeinfo")
@json_option
@with_host
async def nodeinfo_command(host: Host, as_json: bool) -> None:
    """Show the host's processors and memory."""
    found = await host.hardware.info()
    if as_json:
        show_json(found)
        return
    shape = f"{found.nodes} x {found.sockets} x {found.cores} x {found.threads}"
    facts = {"CPU model": found.model, "CPUs": str(found.cpus), "frequency": f"{found.mhz} MHz" if found.mhz else ""}
    show_facts([*facts.items(), ("nodes x sockets x cores x threads", shape), ("memory", size(found.memory))])


@click.command("nodecpumap")
@json_option
@with_host
async def nodecpumap_command(host: Host, as_json: bool) -> None:
    """Show which of the host's CPUs are online."""
    found = await host.hardware.cpu_map()
    if as_json:
        show_json(found)
    else:
        online = ",".join(map(str, found.online))
        show_facts([("present", str(found.present)), ("online", f"{len(found.online)}: {online}")])


@click.command("nodecpustats")
@click.option("--cpu", type=click.IntRange(min=0), help="Only this CPU.")
@click.option("--percent", is_flag=True, help="What share of the next second they spend.")
@json_option
@with_host
async def nodecpustats_command(host: Host, cpu: int | None, percent: bool, as_json: bool) -> None:
    """Show what the host's CPUs do.

    In seconds since the host was started."""
    found = await host.hardware.cpu_times(cpu)
    if percent:
        await asyncio.sleep(1)
        found = _share(found, await host.hardware.cpu_times(cpu))
    if as_json:
        show_json(found)
    else:
        unit = "%" if percent else "s"
        show_facts((name, f"{value:.1f} {unit}") for name, value in _told(found).items())


def _told(times: HostCpuTimes) -> dict[str, float]:
    found = {name: getattr(times, name) for name in times.__struct_fields__}
    return {name: value for name, value in found.items() if value is not None}


def _share(before: HostCpuTimes, after: HostCpuTimes) -> HostCpuTimes:
    """Percent of the time that passed between the two."""
    earlier = _told(before)
    spent = {name: value - earlier.get(name, 0.0) for name, value in _told(after).items()}
    total = sum(spent.values()) or 1.0
    return HostCpuTimes(**{name: 100 * value / total for name, value in spent.items()})


@click.command("nodememstats")
@click.option("--cell", type=click.IntRange(min=0), help="Only this NUMA node.")
@json_option
@with_host
async def nodememstats_command(host: Host, cell: int | None, as_json: bool) -> None:
    """Show how the host's memory is used."""
    found = await host.hardware.memory(cell)
    if as_json:
        show_json(found)
    else:
        facts = [("total", found.total), ("free", found.free), ("buffers", found.buffers), ("cached", found.cached)]
        show_facts((name, size(value)) for name, value in facts if value is not None)


@click.command("freecell")
@click.option("--cell", type=click.IntRange(min=0), help="Only this NUMA node.")
@json_option
@with_host
async def freecell_command(host: Host, cell: int | None, as_json: bool) -> None:
    """Show the memory that nobody uses.

    Of each NUMA node, and of all."""
    first = cell or 0
    found = await host.hardware.cells_free_memory(first, None if cell is None else 1)
    if as_json:
        show_json(dict(enumerate(found, first)))
    else:
        rows = [(str(number), size(value)) for number, value in enumerate(found, first)]
        show_table(["NODE", ">FREE"], [*rows, *([("all", size(sum(found)))] if cell is None else [])])


@click.command("freepages")
@click.argument("page_sizes", metavar="SIZE...", type=SIZE, nargs=-1, required=True)
@click.option("--cell", type=click.IntRange(min=0), default=0, show_default=True, help="The NUMA node.")
@json_option
@with_host
async def freepages_command(host: Host, page_sizes: tuple[int, ...], cell: int, as_json: bool) -> None:
    """Show the pages of memory that nobody uses.

    SIZE is that of pages, such as 4K or 2M.
    """
    found = (await host.hardware.free_pages(page_sizes, first=cell))[0]
    if as_json:
        show_json(dict(zip(page_sizes, found, strict=True)))
    else:
        show_table([">SIZE", ">FREE"], [(size(page), str(each)) for page, each in zip(page_sizes, found, strict=True)])


@click.command("allocpages")
@click.argument("page_size", metavar="SIZE", type=SIZE)
@click.argument("count", type=click.IntRange(min=0))
@click.option("--cell", type=click.IntRange(min=0), help="From this NUMA node.")
@click.option("--add", is_flag=True, help="In addition to those there are.")
@with_host
async def allocpages_command(host: Host, page_size: int, count: int, cell: int | None, add: bool) -> None:
    """Keep huge pages for guests.

    COUNT pages of a SIZE, such as 2M.  They belong to guests with <hugepages/> then, and to nobody else.  0 gives
    them back.
    """
    await host.hardware.allocate_pages({page_size: count}, first=cell, count=1, add=add)


@click.command("node-memory-tune")
@click.option("--shm-pages-to-scan", type=click.IntRange(min=0), help="Pages to look at before each sleep.")
@click.option("--shm-sleep-millisecs", type=click.IntRange(min=0), help="Length of each sleep.")
@click.option("--shm-merge-across-nodes", type=click.IntRange(0, 1), help="Whether to merge across NUMA nodes.")
@json_option
@with_host
async def node_memory_tune_command(host: Host, /, as_json: bool, **wanted: int | None) -> None:
    """Show or change how the host merges equal pages of memory.

    The kernel calls that KSM: kernel samepage merging."""
    changes = {name: value for name, value in wanted.items() if value is not None}
    if changes:
        await host.hardware.set_memory_parameters(changes)
        return
    found = await host.hardware.memory_parameters()
    if as_json:
        show_json(found)
    else:
        show_facts((name, str(value)) for name, value in found.items())


@click.command("nodesuspend")
@click.argument("target", type=click.Choice([target.name.lower() for target in SuspendTarget]))
@click.argument("seconds", type=click.IntRange(min=60))
@with_host
async def nodesuspend_command(host: Host, target: str, seconds: int) -> None:
    """Put the host to sleep for a while.

    Its guests sleep with it.  It wakes up by itself after SECONDS, at least 60."""
    await host.hardware.suspend(SuspendTarget[target.upper()], seconds)


@click.command("sysinfo")
@with_host
async def sysinfo_command(host: Host) -> None:
    """Print what the host's firmware tells of it.

    The document is libvirt's <sysinfo>."""
    click.echo(await host.hardware.sysinfo(), nl=False)


@click.command("hostname")
@with_host
async def hostname_command(host: Host) -> None:
    """Print the host's name."""
    click.echo(await host.hostname())


@click.command("uri")
@with_host
async def uri_command(host: Host) -> None:
    """Print the URI of the connection."""
    click.echo(host.uri)


@click.command("maxvcpus")
@click.argument("domain_type", metavar="[TYPE]", default="")
@with_host
async def maxvcpus_command(host: Host, domain_type: str) -> None:
    """Print how many vCPUs a guest may have.

    TYPE is kvm or qemu, by default the best that works here.
    """
    click.echo(await _most_vcpus(host, domain_type))


async def _most_vcpus(host: Host, domain_type: str) -> int:
    """What the machine type allows, where the driver tells of those."""
    from vmherd.conf.domaincaps import DomainCapabilities
    from vmherd.util.xmlmodel import parse

    try:
        found = parse(DomainCapabilities, await host.domain_capabilities(domain_type=domain_type))
    except (NotSupported, InvalidArgument):
        return await host.max_vcpus(domain_type)
    return found.vcpu.max if found.vcpu else await host.max_vcpus(domain_type)
