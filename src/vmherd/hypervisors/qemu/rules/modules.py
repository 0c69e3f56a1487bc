"""Memory modules: what QEMU has of them, and where they fit.

Source: qemuValidateDomainDeviceDefMemory and qemuDomainDefValidateMemoryHotplug of libvirt.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.address import DimmAddress, PciAddress
from vmherd.conf.domain.memdev import MemoryDevice, MemoryModel
from vmherd.conf.domain.problem import duplicates, numbered
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command.memory import cells
from vmherd.hypervisors.qemu.memory import SLOTTED

_PLACE = "domain/devices/memory"
_NODES = "add <numa> to <cpu>, with at least one <cell>"
#: Capabilities by kind of module.
_NEEDED = {
    MemoryModel.DIMM: "pc-dimm",
    MemoryModel.NVDIMM: "nvdimm",
    MemoryModel.VIRTIO_PMEM: "virtio-pmem-pci",
    MemoryModel.VIRTIO_MEM: "virtio-mem-pci",
    MemoryModel.SGX_EPC: "sgx-epc",
}


def known(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """Kinds of modules and their options that this binary has."""
    for number, module in numbered(domain.devices.memories):
        place = f"{_PLACE}[{number}]"
        if _NEEDED[module.model] not in caps:
            text = f"{caps.binary} has no memory of model {str(module.model)!r}"
            yield Problem(f"{place}/@model", text, "remove it, or use a QEMU and a host that have it")
        if module.source and module.source.pmem and "memory-backend-file.pmem" not in caps:
            yield Problem(f"{place}/source/pmem", f"{caps.binary} does not know persistent memory", "remove <pmem/>")
        if module.target.readonly and "nvdimm.unarmed" not in caps:
            text = f"{caps.binary} has no read-only NVDIMMs"
            yield Problem(f"{place}/target/readonly", text, "remove <readonly/>")


def room(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """There is room set aside for modules; nothing of this depends on the binary."""
    del caps
    modules = [module for module in domain.devices.memories if module.model is not MemoryModel.SGX_EPC]
    if domain.max_memory is None:
        if modules:
            text = "modules need room that is set aside for them"
            yield Problem("domain/maxMemory", text, "add <maxMemory slots='16' unit='GiB'>64</maxMemory>")
        return
    if not cells(domain) and not machine.is_ppc64(domain):
        yield Problem("domain/maxMemory", "memory is added to a NUMA node, and there is none", _NODES)
    slotted = sum(module.model in SLOTTED for module in modules)
    if slotted > domain.max_memory.slots:
        text = f"{slotted} modules do not fit into {domain.max_memory.slots} slots"
        yield Problem("domain/maxMemory/@slots", text, "raise slots")


def places(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """Modules in slots, and virtio devices on PCI."""
    del caps
    slots, bases = [], []
    for number, module in numbered(domain.devices.memories):
        place = f"{_PLACE}[{number}]"
        yield from _place(domain, module, place)
        if isinstance(module.address, DimmAddress):
            slots.append((f"{place}/address/@slot", module.address.slot))
            if module.address.base:
                bases.append((f"{place}/address/@base", module.address.base))
    yield from duplicates(slots, "slot {} is taken by another module")
    yield from duplicates(bases, "another module is at {} already", show=hex)


def _place(domain: Domain, module: MemoryDevice, place: str) -> Iterator[Problem]:
    address, wanted = module.address, "dimm"
    if module.model in SLOTTED:
        fits = address is None or isinstance(address, DimmAddress)
        if cells(domain) and module.target.node is None:
            yield Problem(f"{place}/target/node", "the module belongs to no NUMA node", "add <node>0</node>")
        count = domain.max_memory.slots if domain.max_memory else 0
        if isinstance(address, DimmAddress) and domain.max_memory and address.slot >= count:
            text = f"there is no slot {address.slot}: there are {count}, counted from 0"
            yield Problem(f"{place}/address/@slot", text, "raise the slots of <maxMemory>")
    elif module.model is MemoryModel.SGX_EPC:
        fits, wanted = address is None, ""
    else:
        fits, wanted = address is None or isinstance(address, PciAddress), "pci"
    if not fits:
        text = f"memory of model {str(module.model)!r} has another kind of address"
        yield Problem(f"{place}/address/@type", text, f"use type='{wanted}'" if wanted else "remove <address>")


RULES = (known, room, places)
