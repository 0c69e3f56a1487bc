"""The balloon: how much memory a guest is left with, and how often it tells what it does with it.

Source: balloon and qom-set of virtio-balloon in QEMU's QMP reference; qemuMonitorJSONSetBalloon of libvirt.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.memballoon import Memballoon, MemballoonModel
from vmherd.conf.domain.memdev import MemoryModel
from vmherd.errors import InvalidState
from vmherd.hypervisors.qemu.monitor import Monitor, Refused

_NONE = "DeviceNotActive"


async def ask(monitor: Monitor, domain: Domain) -> None:
    """Ask the guest to have as much as its document says; InvalidState without a balloon."""
    # Of modules the balloon counts DIMMs only (get_current_ram_size in QEMU's virtio-balloon.c).
    others = sum(module.target.size for module in domain.devices.memories if module.model is not MemoryModel.DIMM)
    size = (domain.current_memory or domain.memory.size) - others
    try:
        await monitor.execute("balloon", {"value": max(size, 0)})
    except Refused as refusal:
        if refusal.kind != _NONE:
            raise
        text = "Unable to change memory of active domain without the balloon device and guest OS balloon driver"
        raise InvalidState(text, hint="add <memballoon model='virtio'/>") from None


async def set_period(monitor: Monitor, domain: Domain, seconds: int) -> None:
    """Let the guest tell what it does with its memory that often; 0 for never."""
    path = _path(domain.devices.memballoon)
    await monitor.execute("qom-set", {"path": path, "property": "guest-stats-polling-interval", "value": seconds})


def _path(balloon: Memballoon | None) -> str:
    if balloon is None or balloon.model is MemballoonModel.NONE or balloon.alias is None:
        raise InvalidState("Memory balloon model must be virtio to set the collection period")
    return f"/machine/peripheral/{balloon.alias.name}"
