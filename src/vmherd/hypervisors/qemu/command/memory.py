"""The guest's memory: how much, in which nodes, and what backs it on the host.

Source: qemuBuildMemCommandLine, qemuBuildNumaCommandLine and qemuBuildMemoryBackendProps of libvirt; QEMU's
qapi/qom.json (MemoryBackendProperties).
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.cpu import NumaCell
from vmherd.conf.domain.memdev import MemoryAccess
from vmherd.conf.domain.memory import AllocationMode, BackingSourceType, MemoryBacking
from vmherd.conf.domain.vcpu import NumaMode, Placement
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command.device import Properties, option
from vmherd.hypervisors.qemu.command.launch import Launch
from vmherd.util.xmlmodel import format_cpus

_KIB = 1 << 10
_MIB = 1 << 20
_POLICIES = {NumaMode.STRICT: "bind", NumaMode.PREFERRED: "preferred", NumaMode.INTERLEAVE: "interleave"}


def cells(domain: Domain) -> list[NumaCell]:
    """The guest's NUMA nodes."""
    return domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []


def main_backend(domain: Domain, caps: Capabilities) -> str:
    """The name of the one backend of a guest without NUMA nodes, "" where there is none."""
    found = caps.machine(domain.os.type.machine)
    return found.default_ram if found and not cells(domain) else ""


def memory(domain: Domain, caps: Capabilities, launch: Launch) -> list[str]:
    """The size, and without NUMA nodes what backs it."""
    args = ["-m", _size(domain)]
    if name := main_backend(domain, caps):
        args += option("-object", _backend(domain, launch, name, _whole(domain.memory.size), None))
    return args


def _whole(size: int) -> int:
    """Whole MiB, as QEMU counts; nobody gets less than asked for."""
    return -(-size // _MIB) * _MIB


def _size(domain: Domain) -> str:
    size = sum(_whole(cell.memory) for cell in cells(domain)) or _whole(domain.memory.size)
    if domain.max_memory is None:
        return str(size // _MIB)
    most = _whole(domain.max_memory.size)
    return f"size={size // _KIB}k,slots={domain.max_memory.slots},maxmem={most // _KIB}k"


def numa(domain: Domain, launch: Launch) -> list[str]:
    """A backend and a node for each NUMA node of the guest."""
    args: list[str] = []
    found = cells(domain)
    for number, cell in enumerate(found):
        node = number if cell.id is None else cell.id
        name = f"ram-node{node}"
        args += option("-object", _backend(domain, launch, name, _whole(cell.memory), cell, node))
        cpus = "".join(f",cpus={span}" for span in format_cpus(cell.cpus).split(",")) if cell.cpus else ""
        args += ["-numa", f"node,nodeid={node}{cpus},memdev={name}"]
    for number, cell in enumerate(found):
        source = number if cell.id is None else cell.id
        for distance in cell.distances:
            args += ["-numa", f"dist,src={source},dst={distance.id},val={distance.value}"]
    return args


def _backend(
    domain: Domain, launch: Launch, name: str, size: int, cell: NumaCell | None, node: int | None = None
) -> Properties:
    backing = domain.memory_backing or MemoryBacking()
    access = (cell.mem_access if cell else None) or (backing.access.mode if backing.access else None)
    source = backing.source.type if backing.source else None
    if backing.hugepages:
        raise Unsupported("huge pages are not supported yet", place="domain/memoryBacking/hugepages")
    properties: Properties = {"id": name, "size": size}
    if source is BackingSourceType.MEMFD:
        properties["qom-type"] = "memory-backend-memfd"
    elif source is BackingSourceType.FILE or access is not None:
        properties |= {"qom-type": "memory-backend-file", "mem-path": str(launch.memory / name)}
    else:
        properties["qom-type"] = "memory-backend-ram"
    if cell is None and properties["qom-type"] != "memory-backend-ram":
        properties["x-use-canonical-path-for-ramblock-id"] = False
    if access is not None:
        properties["share"] = access is MemoryAccess.SHARED
    if backing.allocation and backing.allocation.mode is AllocationMode.IMMEDIATE:
        properties |= {"prealloc": True, "prealloc-threads": backing.allocation.threads}
    if (cell and cell.discard) or backing.discard:
        properties["discard-data"] = True if properties["qom-type"] == "memory-backend-file" else None
    return properties | _host_nodes(domain, launch, node)


def _host_nodes(domain: Domain, launch: Launch, node: int | None) -> Properties:
    """The host's NUMA nodes the memory comes from, and how strictly."""
    tune = domain.numatune
    if tune is None:
        return {}
    general = tune.memory
    special = next((each for each in tune.memnodes if each.cellid == node), None)
    if special is None and general is None:
        return {}
    mode = (special.mode if special else general.mode if general else None) or NumaMode.STRICT
    if general and general.placement is Placement.AUTO:
        nodes: tuple[int, ...] | None = launch.auto_nodes
    else:
        nodes = special.nodeset if special else general.nodeset if general else None
    if not nodes or mode is NumaMode.RESTRICTIVE:
        return {}
    return {"host-nodes": list(nodes), "policy": _POLICIES[mode]}
