"""What this host is, for the capabilities documents of drivers that run guests on it: read from what Linux shows.

What the kernel does not tell is left out.  Source: virCapabilitiesInitNUMA, virCapabilitiesInitCaches and
virHostCPUGetInfo of libvirt; Documentation/ABI/testing/sysfs-devices-* of Linux
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from vmherd.conf.capabilities import (
    CacheBank,
    Host,
    HostCell,
    HostCpu,
    HostThread,
    HostTopology,
    PowerManagement,
    pretty,
)
from vmherd.conf.capabilities.cpu import PageSize
from vmherd.conf.capabilities.document import HostIommu
from vmherd.conf.capabilities.topology import CacheKind, CellCpus, Cells, HostCache, Pages
from vmherd.conf.domain.cpu import CpuTopology, Sibling
from vmherd.state.node import kernel

_KIB = 1024
_SHARED_LEVEL = 3  # caches below belong to one core, so nobody shares them out
_KINDS = {"Unified": CacheKind.BOTH, "Data": CacheKind.DATA, "Instruction": CacheKind.CODE}


def describe(root: Path = Path("/")) -> Host:
    """The host as the kernel shows it below ``root``; a driver adds what is its own to tell."""
    cells = list(_cells(root))
    sizes = [_page_size(), *(size for size, _ in _huge_pages(root / "sys/kernel/mm/hugepages"))]
    return Host(
        uuid=_uuid(root),
        cpu=HostCpu(
            arch=platform.machine(),
            topology=_shape(cells),
            page_sizes=[PageSize(size=size) for size in sizes],
        ),
        power_management=_sleep(root),
        iommu=HostIommu(support=any((root / "sys/kernel/iommu_groups").glob("*"))),
        topology=HostTopology(cells=Cells(num=len(cells), cells=cells)) if cells else None,
        cache=HostCache(banks=banks) if (banks := _banks(root)) else None,
    )


def _uuid(root: Path) -> str | None:
    """The machine's own id (machine-id(5)), which is a UUID without dashes."""
    try:
        return str(UUID(kernel.text(root / "etc/machine-id") or ""))
    except ValueError:
        return None


def _sleep(root: Path) -> PowerManagement | None:
    states, ways = kernel.text(root / "sys/power/state"), kernel.text(root / "sys/power/disk") or ""
    if states is None:
        return None
    to_disk = "disk" in states.split()
    return PowerManagement(
        suspend_mem="mem" in states.split(), suspend_disk=to_disk, suspend_hybrid=to_disk and "suspend" in ways
    )


def _cells(root: Path) -> Iterator[HostCell]:
    """The NUMA nodes that are online."""
    nodes = root / "sys/devices/system/node"
    online = kernel.numbers(nodes / "online")
    for number in online:
        node = nodes / f"node{number}"
        memory = _memory(node)
        far = (kernel.text(node / "distance") or "").split()
        threads = [_thread(root, cpu) for cpu in kernel.numbers(node / "cpulist")]
        yield HostCell(
            id=number,
            memory=memory,
            pages=list(_pages(node, memory or 0)),
            distances=[Sibling(id=other, value=int(value)) for other, value in zip(online, far, strict=False)],
            cpus=CellCpus(num=len(threads), cpus=threads),
        )


def _memory(node: Path) -> int | None:
    found = re.search(r"MemTotal:\s+(\d+) kB", kernel.text(node / "meminfo") or "")
    return int(found[1]) * _KIB if found else None


def _pages(node: Path, memory: int) -> Iterator[Pages]:
    """What huge pages leave is there in small ones."""
    huge = list(_huge_pages(node / "hugepages"))
    size = _page_size()
    yield Pages(size=size, count=max(memory - sum(each * count for each, count in huge), 0) // size)
    for each, count in huge:
        yield Pages(size=each, count=count)


def _huge_pages(folder: Path) -> list[tuple[int, int]]:
    """Sizes in bytes, rising, with how many there are."""
    return sorted(
        (int(each.name.removeprefix("hugepages-").removesuffix("kB")) * _KIB, kernel.number(each / "nr_hugepages") or 0)
        for each in folder.glob("hugepages-*kB")
    )


def _page_size() -> int:
    return os.sysconf("SC_PAGE_SIZE")


def _thread(root: Path, cpu: int) -> HostThread:
    place = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    return HostThread(
        id=cpu,
        socket_id=kernel.number(place / "physical_package_id"),
        die_id=kernel.number(place / "die_id") or 0,
        core_id=kernel.number(place / "core_id"),
        siblings=kernel.numbers(place / "thread_siblings_list") or None,
    )


def _shape(cells: list[HostCell]) -> CpuTopology | None:
    """Sockets of the largest node, and the most dies, cores and threads that one has of the other."""
    threads = [thread for cell in cells if cell.cpus for thread in cell.cpus.cpus if thread.siblings]
    if not threads:
        return None
    dies = {(each.socket_id, each.die_id) for each in threads}
    cores = {(each.socket_id, each.die_id, each.core_id) for each in threads}
    return CpuTopology(
        sockets=max(len({each.socket_id for each in cell.cpus.cpus}) for cell in cells if cell.cpus),
        dies=max(sum(socket == other for other, _ in dies) for socket, _ in dies),
        cores=max(sum((socket, die) == core[:2] for core in cores) for socket, die in dies),
        threads=max(len(each.siblings or ()) for each in threads),
    )


def _banks(root: Path) -> list[CacheBank]:
    found: dict[tuple[int, int, CacheKind], CacheBank] = {}
    for place in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cache/index[0-9]*"):
        level, number, kind = (
            kernel.number(place / "level"),
            kernel.number(place / "id"),
            _KINDS.get(kernel.text(place / "type") or ""),
        )
        if level is None or level < _SHARED_LEVEL or number is None or kind is None:
            continue
        size, unit = pretty(int((kernel.text(place / "size") or "0K").removesuffix("K")) * _KIB)
        cpus = kernel.numbers(place / "shared_cpu_list")
        found[level, number, kind] = CacheBank(id=number, level=level, type=kind, size=size, unit=unit, cpus=cpus)
    return [bank for _, bank in sorted(found.items())]
