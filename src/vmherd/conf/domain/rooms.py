"""Guest memory: what follows from a document, and what contradicts itself, for pages, NUMA nodes, modules and IOMMU.

Source: virDomainDefPostParseMemtune, virDomainDefMemtuneValidate, virDomainMemoryDefValidate, virDomainIOMMUDefValidate
and virDomainNumaDefParseXML of libvirt; ACPI's SLIT and HMAT.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain.cpu import CpuNuma, NumaCell, Sibling
from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.iommu import IommuDriver, IommuModel
from vmherd.conf.domain.memdev import MemoryAccess, MemoryDevice, MemoryModel
from vmherd.conf.domain.problem import Problem, duplicates, numbered

_LOCAL, _UNREACHABLE = 10, 255
_CACHE_LEVELS = range(1, 4)
_LABEL = 128 << 10  # the least that NVDIMM's namespace specification allows
_HUGE = 2 << 20  # a transparent huge page, the least that a virtio-mem can take away


def complete(domain: Domain) -> None:
    """Fill in what a document implies, in place."""
    numa = domain.cpu.numa if domain.cpu else None
    if numa:
        _mirror_distances(numa)
    backing = domain.memory_backing
    if backing and backing.hugepages and not (numa and numa.cells):
        for page in backing.hugepages.pages:
            if page.nodeset == (0,):
                page.nodeset = None  # all the memory of a guest without nodes


def _mirror_distances(numa: CpuNuma) -> None:
    """A way back is as long as the way there unless the document says otherwise."""
    told = {(cell.id, each.id): each.value for cell in numa.cells for each in cell.distances}
    if not told:
        return
    known = {cell.id for cell in numa.cells}
    for (source, target), value in list(told.items()):
        if target in known:
            told.setdefault((target, source or 0), value)
            told.setdefault((source, source or 0), _LOCAL)
            told.setdefault((target, target), _LOCAL)
    for cell in numa.cells:
        mine = sorted((target, value) for (source, target), value in told.items() if source == cell.id)
        cell.distances = [Sibling(id=target, value=value) for target, value in mine]


def pages(domain: Domain) -> Iterator[Problem]:
    """One size of huge pages for each node, and one for the rest."""
    backing = domain.memory_backing
    told = backing.hugepages.pages if backing and backing.hugepages else []
    place = "domain/memoryBacking/hugepages/page"
    for number, page in numbered(told):
        if page.size == 0:
            yield Problem(f"{place}[{number}]/@size", "a page has a size", "write size='2' unit='MiB'")
    if sum(page.nodeset is None for page in told) > 1:
        text = "two sizes are for the whole guest"
        yield Problem(place, text, "give nodeset to all but one, and a guest with one node no nodeset")
    nodes = [(f"{place}[{number}]/@nodeset", node) for number, page in numbered(told) for node in page.nodeset or ()]
    yield from duplicates(nodes, "node {} has a page size already")
    known = {cell.id for cell in _cells(domain)}
    for where, node in nodes:
        if node not in known:
            yield Problem(where, f"there is no node {node}", "add <numa> to <cpu>, or leave nodeset out")


def _cells(domain: Domain) -> list[NumaCell]:
    return domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []


def nodes(domain: Domain) -> Iterator[Problem]:
    """Distances, speeds and caches are those of nodes that there are."""
    numa = domain.cpu.numa if domain.cpu else None
    if numa is None:
        return
    known = {cell.id for cell in numa.cells}
    last = max((cpu for cell in numa.cells for cpu in cell.cpus or ()), default=0)
    if last >= domain.vcpu.count:
        text = f"CPU {last} is in a node, and the guest has {domain.vcpu.count} CPUs, counted from 0"
        yield Problem("domain/cpu/numa", text, "correct the cpus of the nodes, or raise <vcpu>")
    for number, cell in numbered(numa.cells):
        place = f"domain/cpu/numa/cell[{number}]"
        yield from _distances(cell, known, f"{place}/distances")
        yield from _caches(cell, f"{place}/cache")
    yield from _interconnects(numa, known)


def _distances(cell: NumaCell, known: set[int | None], place: str) -> Iterator[Problem]:
    for number, each in numbered(cell.distances):
        where = f"{place}/sibling[{number}]"
        if each.id not in known:
            yield Problem(f"{where}/@id", f"there is no node {each.id}")
        if not _LOCAL <= each.value <= _UNREACHABLE or (each.value == _LOCAL) != (each.id == cell.id):
            text = f"{each.value} is no distance from node {cell.id} to node {each.id}"
            yield Problem(f"{where}/@value", text, f"a node is {_LOCAL} from itself, 11 to {_UNREACHABLE} from others")


def _caches(cell: NumaCell, place: str) -> Iterator[Problem]:
    levels = [(f"{place}[{number}]/@level", each.level) for number, each in numbered(cell.caches)]
    yield from duplicates(levels, "the node has a cache of level {} already")
    for where, level in levels:
        if level not in _CACHE_LEVELS:
            yield Problem(where, f"caches have levels 1 to 3, not {level}")


def _interconnects(numa: CpuNuma, known: set[int | None]) -> Iterator[Problem]:
    seen = []
    for number, each in numbered(numa.interconnects):
        place = f"domain/cpu/numa/interconnects/{type(each).__xml__.tag}[{number}]"
        for name, node in (("initiator", each.initiator), ("target", each.target)):
            if node not in known:
                yield Problem(f"{place}/@{name}", f"there is no node {node}")
        levels = {cache.level for cell in numa.cells if cell.id == each.target for cache in cell.caches}
        if each.cache and each.cache not in levels:
            text = f"node {each.target} has no cache of level {each.cache}"
            yield Problem(f"{place}/@cache", text, "add the <cache> to the <cell>")
        seen.append((place, (type(each).__name__, each.initiator, each.target, each.cache or 0, str(each.type))))
    yield from duplicates(seen, "this way has a value already", "remove one of the two")


def modules(domain: Domain) -> Iterator[Problem]:
    """What a memory module of each kind needs."""
    total = sum(module.target.size for module in domain.devices.memories)
    if domain.memory.size and total >= domain.memory.size:
        text = "the modules are as large as the whole memory, so that nothing is left to boot with"
        yield Problem("domain/memory", text, "raise <memory>, which counts the modules too")
    count = len(_cells(domain))
    for number, module in numbered(domain.devices.memories):
        place = f"domain/devices/memory[{number}]"
        if module.target.node is not None and module.target.node >= count:
            text = f"there is no node {module.target.node}: the guest has {count}"
            yield Problem(f"{place}/target/node", text, "add <numa> to <cpu>")
        if rule := _KINDS.get(module.model):
            yield from rule(domain, module, place)


def _nvdimm(domain: Domain, module: MemoryDevice, place: str) -> Iterator[Problem]:
    yield from _path(module, place)
    if module.discard:
        yield Problem(f"{place}/@discard", "the memory of an NVDIMM is to be kept", "remove discard")
    if domain.os.type.arch in ("ppc64", "ppc64le") and module.target.label is None:
        yield Problem(f"{place}/target/label", "an NVDIMM of pSeries has a label", "add <label><size unit='KiB'>128")
    label = module.target.label.size if module.target.label else _LABEL
    if not _LABEL <= label < module.target.size:
        text = f"{label >> 10} KiB are no size of a label here"
        yield Problem(f"{place}/target/label/size", text, "use 128 KiB at least, and less than the NVDIMM has")


def _path(module: MemoryDevice, place: str) -> Iterator[Problem]:
    if module.source is None or not module.source.path:
        text = f"a module of model {str(module.model)!r} is a file or device of the host"
        yield Problem(f"{place}/source/path", text, "add <source><path>/...</path></source>")


def _virtio_pmem(_: Domain, module: MemoryDevice, place: str) -> Iterator[Problem]:
    yield from _path(module, place)
    if module.access is not MemoryAccess.SHARED:
        yield Problem(f"{place}/@access", "what the guest writes is to reach the file", "add access='shared'")
    if module.target.node is not None:
        yield Problem(f"{place}/target/node", "a virtio-pmem is part of no node", "remove <node>")


def _virtio_mem(_: Domain, module: MemoryDevice, place: str) -> Iterator[Problem]:
    target = module.target
    block = target.block or _HUGE
    requested = target.requested or 0
    if requested > target.size:
        yield Problem(f"{place}/target/requested", "it is more than <size>", "lower it, or raise <size>")
    if block & (block - 1):
        yield Problem(f"{place}/target/block", f"{block >> 10} KiB are no power of two", "use 2 MiB, 4 MiB, ...")
    elif block < _HUGE:
        yield Problem(f"{place}/target/block", "blocks are huge pages at least", f"use {_HUGE >> 10} KiB or more")
    if requested % block:
        text = f"it is not a whole number of blocks of {block >> 10} KiB"
        yield Problem(f"{place}/target/requested", text, "round it")


_KINDS = {
    MemoryModel.NVDIMM: _nvdimm,
    MemoryModel.VIRTIO_PMEM: _virtio_pmem,
    MemoryModel.VIRTIO_MEM: _virtio_mem,
}


def iommu(domain: Domain) -> Iterator[Problem]:
    """Only Intel's has options, only virtio's a place of its own."""
    each = domain.devices.iommu
    if each is None:
        return
    place = "domain/devices/iommu"
    if each.model is not IommuModel.INTEL and each.driver not in (None, IommuDriver()):
        yield Problem(f"{place}/driver", f"model {str(each.model)!r} has no options", "remove <driver>")
    if each.model is not IommuModel.VIRTIO and each.address is not None:
        text = f"model {str(each.model)!r} is part of the board and has no address"
        yield Problem(f"{place}/address", text, "remove <address>")


RULES = (pages, nodes, modules, iommu)
