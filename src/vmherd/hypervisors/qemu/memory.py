"""Sizes and places of the guest's memory: what is rounded up, and which slot a module is in.

Source: qemuDomainAlignMemorySizes, qemuDomainNVDimmAlignSizePseries and qemuDomainAssignMemorySlots of libvirt.
"""

from __future__ import annotations

from uuid import uuid4

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import DimmAddress
from vmherd.conf.domain.cpu import NumaCell
from vmherd.conf.domain.memdev import MemoryDevice, MemoryModel
from vmherd.errors import DocumentError
from vmherd.hypervisors.qemu import machine

_MIB = 1 << 20
_LIMIT = (1 << 63) - 1 >> 10 << 10  # virMemoryMaxValue, in whole KiB
_LABEL = "a whole number of 256 MiB, and the label beside it"
#: Modules that sit in a slot of the board.
SLOTTED = (MemoryModel.DIMM, MemoryModel.NVDIMM)
#: Smallest block of a virtio-mem: a transparent huge page of x86.
BLOCK = 2 * _MIB


def complete(domain: Domain, *, new: bool) -> None:
    """Fill in what the document leaves open about modules, in place."""
    for module in domain.devices.memories:
        if module.model is MemoryModel.VIRTIO_MEM:
            module.target.block = module.target.block or BLOCK
        if machine.is_ppc64(domain) and module.model is MemoryModel.NVDIMM:
            module.uuid = module.uuid or str(uuid4())
            if new:
                _align_for_pseries(module)
    _assign_slots(domain)
    _assign_cpus(domain)


def _assign_cpus(domain: Domain) -> None:
    """CPUs that are in no node are in the first one.  Source: qemuDomainDefNumaCPUsRectify of libvirt"""
    cells = domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []
    taken = {cpu for cell in cells[1:] for cpu in cell.cpus or ()}
    if cells:
        rest = set(range(domain.vcpu.count)) - taken
        cells[0].cpus = tuple(sorted(rest | set(cells[0].cpus or ()))) or None


def _assign_slots(domain: Domain) -> None:
    modules = [module for module in domain.devices.memories if module.model in SLOTTED]
    taken = {module.address.slot for module in modules if isinstance(module.address, DimmAddress)}
    slots = range(domain.max_memory.slots if domain.max_memory else 0)
    free = (slot for slot in slots if slot not in taken)
    for module in modules:
        if module.address is None and (slot := next(free, None)) is not None:
            module.address = DimmAddress(slot=slot)


def align(domain: Domain) -> None:
    """Round sizes up to what QEMU takes, in place, for a guest that starts anew; a running one keeps its sizes.

    Raises DocumentError for sizes that would grow beyond what can be counted.
    """
    full = domain.current_memory == domain.memory.size
    step = 256 * _MIB if machine.is_ppc64(domain) else _MIB
    modules = domain.devices.memories
    initial = domain.memory.size - sum(module.target.size for module in modules)
    cells = domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []
    if cells:
        initial = sum(_align_cell(cell, step) for cell in cells)
    initial = _rounded(initial, step, "domain/memory")
    if domain.max_memory:
        domain.max_memory.size = _rounded(domain.max_memory.size, step, "domain/maxMemory")
    for number, module in enumerate(modules, start=1):
        align_module(domain, module, f"domain/devices/memory[{number}]/target/size")
    domain.memory.size = initial + sum(module.target.size for module in modules)
    if full:
        domain.current_memory = domain.memory.size


def _align_cell(cell: NumaCell, step: int) -> int:
    cell.memory = _rounded(cell.memory, step, f"domain/cpu/numa/cell[{(cell.id or 0) + 1}]/@memory")
    return cell.memory


def align_module(domain: Domain, module: MemoryDevice, place: str = "memory/target/size") -> None:
    """A DIMM is a whole number of 2 MiB, as are the huge pages that guests map it with."""
    if machine.is_ppc64(domain) and module.model is MemoryModel.NVDIMM:
        _align_for_pseries(module)
        return
    step = 256 * _MIB if machine.is_ppc64(domain) else 2 * _MIB
    module.target.size = _rounded(module.target.size, step, place)


def _align_for_pseries(module: MemoryDevice) -> None:
    """Without its label an NVDIMM of pSeries is a whole number of 256 MiB; rounding up could exceed the file."""
    label = module.target.label.size if module.target.label else 0
    step = 256 * _MIB
    usable = (module.target.size - label) // step * step
    if usable <= 0:
        text = f"{module.target.size >> 20} MiB are too small for an NVDIMM of pSeries"
        raise DocumentError(text, place="domain/devices/memory/target/size", hint=f"make it {_LABEL}")
    module.target.size = usable + label


def _rounded(size: int, step: int, place: str) -> int:
    found = -(-size // step) * step
    if found > _LIMIT:
        raise DocumentError(f"{size} bytes, rounded up to {step >> 20} MiB, are more than can be counted", place=place)
    return found
