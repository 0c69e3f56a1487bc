"""Memory and what backs it.

Source: qemuValidateDomainDefMemory and qemuValidateDomainDefNuma of libvirt.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.launch import S390Pv, Sev
from vmherd.conf.domain.memdev import MemoryAccess
from vmherd.conf.domain.memory import AllocationMode, BackingSourceType
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import numa
from vmherd.hypervisors.qemu.command.memory import cells, main_backend

_ORDINARY_PAGE = 4096
_MOST = 1 << 63
_BACKING = "domain/memoryBacking"


def pages(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """Huge pages are filled at once, and have a file of their own."""
    backing = domain.memory_backing
    if backing is None or backing.hugepages is None:
        return
    if backing.allocation and backing.allocation.mode is AllocationMode.ONDEMAND:
        text = "huge pages are taken at the start, not on demand"
        yield Problem(f"{_BACKING}/allocation/@mode", text, "use mode='immediate', or remove <hugepages>")
    if backing.source and backing.source.type is BackingSourceType.ANONYMOUS:
        text = "huge pages come from a file system, so the memory is not anonymous"
        yield Problem(f"{_BACKING}/source/@type", text, "use type='memfd', or remove <source>")
    first = backing.hugepages.pages[0].size if backing.hugepages.pages else 0
    shared = backing.access is not None and backing.access.mode is MemoryAccess.SHARED
    if first != _ORDINARY_PAGE and shared and not cells(domain) and not main_backend(domain, caps):
        text = f"the memory of {domain.os.type.machine} can only be shared as that of a NUMA node"
        yield Problem(f"{_BACKING}/access/@mode", text, "add <numa> with one <cell> to <cpu>")


def descriptors(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """Memory in anonymous files (memfd)."""
    backing = domain.memory_backing
    if backing is None or backing.source is None or backing.source.type is not BackingSourceType.MEMFD:
        return
    if "memory-backend-memfd" not in caps:
        text = f"{caps.binary} has no memory of type memfd"
        yield Problem(f"{_BACKING}/source/@type", text, "use type='file'")
    elif backing.hugepages and "memory-backend-memfd.hugetlb" not in caps:
        text = f"{caps.binary} has no huge pages in memory of type memfd"
        yield Problem(f"{_BACKING}/source/@type", text, "remove <source>")


def nodes(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """NUMA nodes: sizes have an end, and one node has the CPUs."""
    found = cells(domain)
    for number, cell in enumerate(found, start=1):
        if cell.memory >= _MOST:
            place = f"domain/cpu/numa/cell[{number}]/@memory"
            yield Problem(place, f"{cell.memory} bytes are more than QEMU can count")
    if numa.has_performance(domain):
        if "numa.hmat" not in caps:
            text = f"{caps.binary} cannot tell the guest how fast its nodes are"
            yield Problem("domain/cpu/numa", text, "remove <interconnects> and <cache>")
        if not any(cell.cpus for cell in found):
            yield Problem("domain/cpu/numa", "no node has CPUs that could reach the others", "add cpus to a <cell>")


def secrets(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """Memory that the host cannot read."""
    place = "domain/launchSecurity"
    hint = "remove it, or use a host and QEMU that have it"
    match domain.launch_security:
        case Sev() as sev:
            if "sev-guest" not in caps:
                yield Problem(place, f"{caps.binary} has no AMD SEV", hint)
            elif sev.kernel_hashes is not None and "sev-guest-kernel-hashes" not in caps:
                text = f"{caps.binary} does not measure a kernel that it boots"
                yield Problem(f"{place}/@kernelHashes", text, "remove kernelHashes")
        case S390Pv():
            if not {"confidential-guest-support", "s390-pv-guest"} <= caps.flags:
                yield Problem(place, f"{caps.binary} has no IBM Secure Execution", hint)


RULES = (pages, descriptors, nodes, secrets)
