"""What QEMU chooses itself, learned from it: the PTY of each character device, the place of each memory module.

Source: qemuProcessFindCharDevicePTYs and qemuDomainUpdateMemoryDeviceInfo of libvirt
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import DimmAddress
from vmherd.conf.domain.chardev import Channel, ChardevSource, ChardevType, Console, Parallel, Serial
from vmherd.conf.domain.memdev import MemoryDevice, MemoryModel, MemoryPlace
from vmherd.hypervisors.qemu.monitor import Monitor

_VIRTIO = (MemoryModel.VIRTIO_MEM, MemoryModel.VIRTIO_PMEM)


async def ptys(domain: Domain, monitor: Monitor) -> None:
    """Note the PTY of each character device that has one."""
    if not any(device.type is ChardevType.PTY for device in _chardevs(domain)):
        return
    files = {c["label"]: c["filename"] for c in await monitor.execute("query-chardev")}
    for device in _chardevs(domain):
        name = files.get(f"char{device.alias.name}", "") if device.alias else ""
        if name.startswith("pty:"):
            device.sources = [ChardevSource(path=name.removeprefix("pty:"))]
            if isinstance(device, Console):
                device.tty = device.sources[0].path


def _chardevs(domain: Domain) -> Iterator[Serial | Parallel | Console | Channel]:
    devices = domain.devices
    yield from devices.serials
    yield from devices.parallels
    yield from devices.channels
    yield from devices.consoles


async def modules(domain: Domain, monitor: Monitor) -> None:
    """Note where in the guest's memory each module is, and how much of a virtio-mem the guest has taken."""
    memories = [each for each in domain.devices.memories if each.model is not MemoryModel.SGX_EPC]
    if not memories:
        return
    told = {found["data"].get("id"): found["data"] for found in await monitor.execute("query-memory-devices")}
    for module in memories:
        found = told.get(module.alias.name if module.alias else None)
        if found is not None:
            _note_module(module, found.get("addr", found.get("memaddr")), found.get("slot"), found.get("size"))


def _note_module(module: MemoryDevice, base: int | None, slot: int | None, size: int | None) -> None:
    if isinstance(module.address, DimmAddress):
        module.address.base = base
        module.address.slot = module.address.slot if slot is None else slot
    elif module.model in _VIRTIO and base is not None:
        module.target.address = MemoryPlace(base=base)
    if module.model is MemoryModel.VIRTIO_MEM:
        module.target.current = size
