"""What backs a piece of the guest's memory on the host: a QEMU object, and the threads that fill it.

Source: qemuBuildMemoryBackendProps, qemuBuildMemoryGetPagesize and qemuBuildThreadContextProps of libvirt; QEMU's
qapi/qom.json (MemoryBackendProperties).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.cpu import NumaCell
from vmherd.conf.domain.memdev import MemoryAccess, MemoryDevice, MemoryModel
from vmherd.conf.domain.memory import AllocationMode, BackingSourceType, MemoryBacking
from vmherd.conf.domain.vcpu import NumaMode, Placement
from vmherd.errors import HostError
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command.device import Properties, alias, option
from vmherd.hypervisors.qemu.command.launch import Launch
from vmherd.hypervisors.qemu.host.hostmemory import HostMemory

_POLICIES = {NumaMode.STRICT: "bind", NumaMode.PREFERRED: "preferred", NumaMode.INTERLEAVE: "interleave"}


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of memory: the board's own, a NUMA node's, or a module's.

    ``file`` is the name of its file where it is in one; ``node`` the guest's NUMA node it belongs to; ``board`` says
    that it is all the memory of a guest without nodes.
    """

    name: str
    file: str
    size: int
    node: int | None = None
    access: MemoryAccess | None = None
    discard: bool | None = None
    module: MemoryDevice | None = None
    board: bool = False

    @staticmethod
    def of_cell(cell: NumaCell) -> Piece:
        name = f"ram-node{cell.id}"
        return Piece(name=name, file=name, size=cell.memory, node=cell.id, access=cell.mem_access, discard=cell.discard)

    @staticmethod
    def of_module(module: MemoryDevice, cells: list[NumaCell]) -> Piece:
        """What the module leaves open is as for the rest of its node."""
        target = module.target
        cell = next((each for each in cells if each.id == target.node), None) if target.node is not None else None
        return Piece(
            name=f"mem{alias(module)}",
            file=alias(module),
            size=target.size,
            node=target.node,
            access=module.access or (cell.mem_access if cell else None),
            discard=cell.discard if module.discard is None and cell else module.discard,
            module=module,
        )

    @property
    def path(self) -> str | None:
        """The file or device of the host that the module is."""
        return self.module.source.path if self.module and self.module.source else None


def objects(piece: Piece, domain: Domain, caps: Capabilities, launch: Launch) -> list[str]:
    """The object that backs ``piece``, after the threads that fill it.  Raises HostError for what the host lacks."""
    nodes = _host_nodes(piece, domain, launch.memory)
    backend = _backend(piece, domain, caps, launch.memory) | _binding(piece, domain, nodes)
    if not (nodes and backend.get("prealloc") and "thread-context" in caps and _may_run_on(nodes, domain, launch)):
        return option("-object", backend)
    threads = f"tc-{piece.name}"
    context: Properties = {"qom-type": "thread-context", "id": threads, "node-affinity": list(nodes)}
    return option("-object", context) + option("-object", backend | {"prealloc-context": threads})


def _backend(piece: Piece, domain: Domain, caps: Capabilities, host: HostMemory) -> Properties:
    backing = domain.memory_backing or MemoryBacking()
    properties: Properties = {"id": piece.name, "size": piece.size, **_kind(piece, domain, host)}
    properties["share"] = _is_shared(piece, domain)
    if piece.board and properties["qom-type"] in ("memory-backend-file", "memory-backend-memfd"):
        known = "memory-backend-file.x-use-canonical-path-for-ramblock-id" in caps
        # Otherwise the name of the memory in a migration would not be that of a guest without backend.
        properties["x-use-canonical-path-for-ramblock-id"] = False if known else None
    if _is_preallocated_by_device(piece, caps):
        properties["reserve"] = False if "memory-backend-file.reserve" in caps else None
    elif is_preallocated(piece, domain, host):
        threads = backing.allocation.threads if backing.allocation else None
        properties |= {"prealloc": True, "prealloc-threads": threads or None}
    return properties


def _kind(piece: Piece, domain: Domain, host: HostMemory) -> Properties:
    """The type of the object, with what only it has."""
    backing = domain.memory_backing or MemoryBacking()
    source = backing.source.type if backing.source else None
    page = page_size(piece, domain, host)
    if piece.module and piece.module.model is MemoryModel.SGX_EPC:
        return {"qom-type": "memory-backend-epc"}
    if source is BackingSourceType.MEMFD and not piece.path:
        huge: Properties = {"hugetlb": True, "hugetlbsize": page} if page else {}
        return {"qom-type": "memory-backend-memfd", **huge}
    if not (page or piece.path or source is BackingSourceType.FILE or _is_shared(piece, domain) is not None):
        return {"qom-type": "memory-backend-ram"}
    path = piece.path or str(host.huge_folder(page) if page else host.files / piece.file)
    discard = backing.discard or None if piece.discard is None else piece.discard
    origin = piece.module.source if piece.module else None
    return {
        "qom-type": "memory-backend-file",
        "mem-path": path,
        "align": origin.alignsize if origin else None,
        "pmem": (origin.pmem or None) if origin else None,
        "discard-data": discard,
    }


def _is_shared(piece: Piece, domain: Domain) -> bool | None:
    general = domain.memory_backing.access if domain.memory_backing else None
    access = piece.access or (general.mode if general else None)
    return None if access is None else access is MemoryAccess.SHARED


def page_size(piece: Piece, domain: Domain, host: HostMemory) -> int | None:
    """The size of the huge pages it is made of; None for ordinary pages.

    The module's own word counts first, then that for its node, then that for all.
    """
    own = piece.module.source.pagesize if piece.module and piece.module.source else None
    backing = domain.memory_backing
    if own is None and (backing is None or backing.hugepages is None):
        return None
    pages = backing.hugepages.pages if backing and backing.hugepages else []
    special = next((page for page in pages if page.nodeset and piece.node in page.nodeset), None)
    general = next((page for page in pages if not page.nodeset), None)
    if own is None and pages:
        chosen = special or general
        if chosen is None:
            return None
        own = chosen.size
    size = own or host.default_page()
    return None if size == host.page else size


def is_preallocated(piece: Piece, domain: Domain, host: HostMemory) -> bool:
    """Whether memory is filled before the guest runs.

    A file that stands for a module is, but real persistent memory would only wear off, and virtio-pmem needs it not.
    """
    allocation = domain.memory_backing.allocation if domain.memory_backing else None
    if allocation and allocation.mode is AllocationMode.IMMEDIATE:
        return True
    module = piece.module
    if module and module.model is MemoryModel.SGX_EPC:
        return True
    if piece.path:
        pmem = bool(module and module.source and module.source.pmem)
        return not pmem and not (module and module.model is MemoryModel.VIRTIO_PMEM)
    return page_size(piece, domain, host) is not None


def _is_preallocated_by_device(piece: Piece, caps: Capabilities) -> bool:
    """A virtio-mem fills only the blocks that are plugged, where QEMU can do that."""
    return bool(piece.module and piece.module.model is MemoryModel.VIRTIO_MEM and "virtio-mem-pci.prealloc" in caps)


def _host_nodes(piece: Piece, domain: Domain, host: HostMemory) -> tuple[int, ...]:
    """The host's NUMA nodes the memory comes from; none: it does not matter."""
    if piece.module and piece.module.source and piece.module.source.nodemask:
        return host.require_nodes(piece.module.source.nodemask)
    tune = domain.numatune
    if tune is None:
        return ()
    special = next((each for each in tune.memnodes if each.cellid == piece.node), None)
    if tune.memory and tune.memory.placement is Placement.AUTO:
        if not host.auto_nodes:
            raise HostError(
                "nothing here advises on which NUMA nodes a guest belongs",
                hint="name them: <memory nodeset='0'/> in <numatune>, and no placement='auto'",
            )
        return host.require_nodes(host.auto_nodes)
    told = special.nodeset if special else tune.memory.nodeset if tune.memory else None
    return host.require_nodes(told or ())


def _binding(piece: Piece, domain: Domain, nodes: tuple[int, ...]) -> Properties:
    """How strictly memory comes from these nodes; "restrictive" is up to control groups alone."""
    tune = domain.numatune
    special = next((each for each in tune.memnodes if each.cellid == piece.node), None) if tune else None
    general = tune.memory if tune else None
    mode = (special.mode if special else general.mode if general else None) or NumaMode.STRICT
    if not nodes or mode is NumaMode.RESTRICTIVE:
        return {}
    return {"host-nodes": list(nodes), "policy": _POLICIES[mode]}


def _may_run_on(nodes: tuple[int, ...], domain: Domain, launch: Launch) -> bool:
    """Whether threads of a pinned QEMU could be moved to CPUs of these nodes."""
    pin = domain.cputune.emulatorpin if domain.cputune else None
    cpus = set((pin.cpuset if pin else domain.vcpu.cpuset) or ())
    ours = {node for node, members in launch.memory.nodes.items() if cpus & members}
    return not cpus or not ours or not ours.isdisjoint(nodes)


def folders(domain: Domain, host: HostMemory) -> set[Path]:
    """The folders that must be there for memory in files and in huge pages."""
    cells = domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []
    pieces = [Piece.of_cell(cell) for cell in cells] or [Piece(name="", file="", size=0, board=True)]
    pieces += [Piece.of_module(module, cells) for module in domain.devices.memories]
    found = set()
    for piece in pieces:
        if _kind(piece, domain, host)["qom-type"] == "memory-backend-file" and not piece.path:
            page = page_size(piece, domain, host)
            found.add(host.huge_folder(page) if page else host.files)
    return found
