"""Guest memory that other processes can map, as those that play a device (vhost-user) need it.

Source: qemuValidateDomainDefVhostUserRequireSharedMemory of libvirt
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.memdev import MemoryAccess
from vmherd.hypervisors.qemu.command.memory import cells

_HINT = "add <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"


def required(domain: Domain, who: str) -> Iterator[Problem]:
    """The problem that the memory is private, if it is; ``who`` needs it shared."""
    access = domain.memory_backing.access if domain.memory_backing else None
    usual = access.mode if access else None
    modes = [cell.mem_access or usual for cell in cells(domain)] or [usual]
    if any(mode is not MemoryAccess.SHARED for mode in modes):
        text = f"{who} is served by a process that reads the guest's memory, which is not shared"
        yield Problem("domain/memoryBacking", text, _HINT)
