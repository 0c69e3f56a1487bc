"""The guest's NUMA nodes: their CPUs and memory, how far they are from each other, how fast and cached.

Source: qemuBuildNumaCommandLine and qemuBuildNumaHMATCommandLine of libvirt; "-numa" in QEMU's manual.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain
from vmherd.conf.domain.cpu import CacheAssociativity, CachePolicy, CpuNuma, Latency, MemoryRate, NumaCell
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import backing
from vmherd.hypervisors.qemu.command.backing import Piece
from vmherd.hypervisors.qemu.command.launch import Launch
from vmherd.util.xmlmodel import format_cpus

_LOCAL, _REMOTE = 10, 20  # distances of ACPI's SLIT where a document tells none
_HIERARCHY = ("memory", "first-level", "second-level", "third-level")
_ASSOCIATIVITY = {
    CacheAssociativity.NONE: "none",
    CacheAssociativity.DIRECT: "direct",
    CacheAssociativity.FULL: "complex",
}
_POLICY = {
    CachePolicy.NONE: "none",
    CachePolicy.WRITEBACK: "write-back",
    CachePolicy.WRITETHROUGH: "write-through",
}


def arguments(domain: Domain, caps: Capabilities, launch: Launch) -> list[str]:
    """A backend and a node for each NUMA node, then what lies between them."""
    numa = domain.cpu.numa if domain.cpu else None
    if numa is None:
        return []
    if domain.numatune:
        for told in (domain.numatune.memory, *domain.numatune.memnodes):
            launch.memory.require_nodes((told.nodeset if told else None) or ())
    args: list[str] = []
    for cell in numa.cells:
        args += backing.objects(Piece.of_cell(cell), domain, caps, launch) if cell.memory else []
        args += ["-numa", _node(numa, cell)]
    for words in (*_distances(numa), *_performance(numa)):
        args += ["-numa", words]
    return args


def has_performance(domain: Domain) -> bool:
    """Whether the guest is told how fast its nodes reach each other (ACPI's HMAT)."""
    numa = domain.cpu.numa if domain.cpu else None
    return numa is not None and (bool(numa.interconnects) or any(cell.caches for cell in numa.cells))


def _node(numa: CpuNuma, cell: NumaCell) -> str:
    words = [f"node,nodeid={cell.id}"]
    words += [f"cpus={span}" for span in format_cpus(cell.cpus).split(",")] if cell.cpus else []
    if numa.interconnects or any(each.caches for each in numa.cells):
        words.append(f"initiator={_initiator(numa, cell)}")
    words += [f"memdev=ram-node{cell.id}"] if cell.memory else []
    return ",".join(words)


def _initiator(numa: CpuNuma, cell: NumaCell) -> int | None:
    """The node whose CPUs reach this one fastest: itself where it has CPUs.

    Source: virDomainNumaGetNodeInitiator of libvirt; HMAT in the ACPI specification.
    """
    if cell.cpus:
        return cell.id
    ways = [each for each in numa.interconnects if each.target == cell.id]
    latencies = [each for each in ways if isinstance(each, Latency)]
    if latencies:
        return min(latencies, key=lambda each: each.value).initiator
    if ways:
        return max(ways, key=lambda each: each.value).initiator
    return next((each.id for each in numa.cells if each.cpus), None)


def _distances(numa: CpuNuma) -> Iterator[str]:
    """All of them, once one is told."""
    if not any(cell.distances for cell in numa.cells):
        return
    for source in numa.cells:
        told = {each.id: each.value for each in source.distances}
        for target in numa.cells:
            usual = _LOCAL if source is target else _REMOTE
            yield f"dist,src={source.id},dst={target.id},val={told.get(target.id or 0, usual)}"


def _performance(numa: CpuNuma) -> Iterator[str]:
    for each in numa.interconnects:
        way = f"initiator={each.initiator},target={each.target},hierarchy={_HIERARCHY[each.cache or 0]}"
        if isinstance(each, MemoryRate):
            yield f"hmat-lb,{way},data-type={each.type}-bandwidth,bandwidth={each.value >> 10}K"
        else:
            yield f"hmat-lb,{way},data-type={each.type}-latency,latency={each.value}"
    for cell in numa.cells:
        for cache in cell.caches:
            kind = f"associativity={_ASSOCIATIVITY[cache.associativity]},policy={_POLICY[cache.policy]}"
            line = f",line={cache.line.value}" if cache.line.value else ""
            size = cache.size.value >> 10
            yield f"hmat-cache,node-id={cell.id},size={size}K,level={cache.level},{kind}{line}"
