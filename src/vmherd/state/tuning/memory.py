"""How much memory a document gives its guest.  Source: qemuDomainSetMemoryFlags of libvirt."""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.memballoon import BalloonStats, MemballoonModel
from vmherd.errors import InvalidArgument, InvalidState


def set_current(domain: Domain, size: int) -> None:
    if size > domain.memory.size:
        raise InvalidArgument("cannot set memory higher than max memory", hint="raise the maximum: setmaxmem --config")
    domain.current_memory = size


def set_maximum(domain: Domain, size: int) -> None:
    """Set what the guest boots with; it is not given more than that."""
    cells = domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []
    if cells:
        text = "initial memory size of a domain with NUMA nodes cannot be modified with this API"
        raise InvalidState(text, hint="change the sizes of its <cell> elements")
    if domain.max_memory and domain.max_memory.size < size:
        raise InvalidState("cannot set initial memory size greater than the maximum memory size")
    current = domain.current_memory or domain.memory.size
    domain.memory.size = size
    domain.current_memory = min(current, size)


def set_period(domain: Domain, seconds: int) -> None:
    """Set how often the guest's balloon driver is asked for statistics."""
    balloon = domain.devices.memballoon
    if balloon is None or balloon.model is MemballoonModel.NONE:
        raise InvalidState("Memory balloon model must be virtio to set the collection period")
    balloon.stats = BalloonStats(period=seconds) if seconds else None
