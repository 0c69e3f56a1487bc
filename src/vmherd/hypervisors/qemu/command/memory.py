"""How much memory the guest has, and what backs it when it has no NUMA nodes.

Source: qemuBuildMemCommandLine of libvirt.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.cpu import NumaCell
from vmherd.conf.domain.memdev import MemoryModel
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import backing
from vmherd.hypervisors.qemu.command.backing import Piece
from vmherd.hypervisors.qemu.command.device import alias
from vmherd.hypervisors.qemu.command.launch import Launch

_KIB = 1 << 10
_MIB = 1 << 20


def cells(domain: Domain) -> list[NumaCell]:
    """The guest's NUMA nodes."""
    return domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []


def initial(domain: Domain) -> int:
    """The memory that the guest boots with: all but its modules."""
    return domain.memory.size - sum(module.target.size for module in domain.devices.memories)


def main_backend(domain: Domain, caps: Capabilities) -> str:
    """The name of the one backend of a guest without NUMA nodes, "" where there is none."""
    found = caps.machine(domain.os.type.machine)
    return found.default_ram if found and not cells(domain) else ""


def memory(domain: Domain, caps: Capabilities, launch: Launch) -> list[str]:
    """The size, and without NUMA nodes what backs it."""
    args = ["-m", _size(domain)]
    if name := main_backend(domain, caps):
        piece = Piece(name=name, file=name, size=initial(domain), board=True)
        return args + backing.objects(piece, domain, caps, launch)
    return args if cells(domain) else args + _nameless(domain, launch)


def _size(domain: Domain) -> str:
    if domain.max_memory is None:
        return str(initial(domain) // _MIB)
    most = domain.max_memory
    return f"size={initial(domain) // _KIB}k,slots={most.slots},maxmem={most.size // _KIB}k"


def _nameless(domain: Domain, launch: Launch) -> list[str]:
    """Memory in files for a machine that has no name for its memory.  Source: qemuBuildMemPathStr of libvirt"""
    host = launch.memory
    piece = Piece(name="ram", file="ram", size=initial(domain), board=True)
    if not (found := backing.folders(domain, host)):
        return []
    path = found.pop() if backing.page_size(piece, domain, host) else host.files / piece.file
    filled = ["-mem-prealloc"] if backing.is_preallocated(piece, domain, host) else []
    return [*filled, "-mem-path", str(path)]


def machine_words(domain: Domain, caps: Capabilities) -> list[str]:
    """What ``-machine`` says about memory."""
    modules = domain.devices.memories
    words = ["mem-merge=off"] if domain.memory_backing and domain.memory_backing.nosharepages else []
    words += ["nvdimm=on"] if any(each.model is MemoryModel.NVDIMM for each in modules) else []
    enclaves = [each for each in modules if each.model is MemoryModel.SGX_EPC]
    for number, each in enumerate(enclaves):
        words.append(f"sgx-epc.{number}.memdev=mem{alias(each)}")
        if each.target.node is not None:
            words.append(f"sgx-epc.{number}.node={each.target.node}")
    if name := main_backend(domain, caps):
        words.append(f"memory-backend={name}")
    return words
