"""Memory modules: DIMMs, NVDIMMs and their virtio relatives.

Source: qemuBuildMemoryDeviceCommandLine and qemuBuildMemoryDeviceProps of libvirt.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import DimmAddress
from vmherd.conf.domain.memdev import MemoryDevice, MemoryModel
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import backing
from vmherd.hypervisors.qemu.command.backing import Piece
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device
from vmherd.hypervisors.qemu.command.launch import Launch
from vmherd.hypervisors.qemu.command.memory import cells

_DRIVERS = {
    MemoryModel.DIMM: "pc-dimm",
    MemoryModel.NVDIMM: "nvdimm",
    MemoryModel.VIRTIO_PMEM: "virtio-pmem-pci",
    MemoryModel.VIRTIO_MEM: "virtio-mem-pci",
}


def arguments(domain: Domain, caps: Capabilities, launch: Launch) -> list[str]:
    """What backs each module, and the module; one for SGX is part of the board."""
    args: list[str] = []
    for module in domain.devices.memories:
        piece = Piece.of_module(module, cells(domain))
        args += backing.objects(piece, domain, caps, launch)
        if module.model is not MemoryModel.SGX_EPC:
            filled = _fills_itself(piece, module, caps) and backing.is_preallocated(piece, domain, launch.memory)
            args += device(_module(domain, module) | {"prealloc": True if filled else None})
    return args


def _fills_itself(piece: Piece, module: MemoryDevice, caps: Capabilities) -> bool:
    return module.model is MemoryModel.VIRTIO_MEM and "virtio-mem-pci.prealloc" in caps and not piece.path


def _module(domain: Domain, module: MemoryDevice) -> Properties:
    target = module.target
    return {
        "driver": _DRIVERS[module.model],
        "node": target.node,
        "label-size": target.label.size if target.label else None,
        "block-size": target.block or None,
        "requested-size": target.requested or None,
        "uuid": module.uuid,
        "unarmed": True if target.readonly else None,
        "memdev": f"mem{alias(module)}",
        "memaddr": target.address.base if target.address else None,
        "id": alias(module),
        **_place(domain, module),
    }


def _place(domain: Domain, module: MemoryDevice) -> Properties:
    if isinstance(module.address, DimmAddress):
        return {"slot": module.address.slot, "addr": module.address.base or None}
    return bus(module, domain)
