"""The memory of this host: how much is free, huge pages, and how the kernel merges equal pages (KSM).

Source: src/util/virhostmem.c and virnuma.c of libvirt; Documentation/admin-guide/mm of Linux
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from vmherd.driver.host import HostMemory
from vmherd.errors import HostError, InvalidArgument, OperationFailed, OperationUnsupported, VmherdError
from vmherd.state.node import kernel
from vmherd.util.files import on_host

_KSM = "sys/kernel/mm/ksm"

#: libvirt's names of the kernel's settings for merging pages, and those that may be changed.
_MERGING = {
    "shm_pages_to_scan": "pages_to_scan",
    "shm_sleep_millisecs": "sleep_millisecs",
    "shm_pages_shared": "pages_shared",
    "shm_pages_sharing": "pages_sharing",
    "shm_pages_unshared": "pages_unshared",
    "shm_pages_volatile": "pages_volatile",
    "shm_full_scans": "full_scans",
    "shm_merge_across_nodes": "merge_across_nodes",
}
_SETTABLE = ("shm_pages_to_scan", "shm_sleep_millisecs", "shm_merge_across_nodes")


def stats(root: Path, cell: int | None) -> HostMemory:
    """Of all or of one NUMA node; raises InvalidArgument if there is none of that number."""
    cells = numbers(root)
    if cell is None or (cell == 0 and not cells):
        found = kernel.sizes(root / "proc/meminfo")
        return HostMemory(
            total=found["MemTotal"], free=found["MemFree"], buffers=found["Buffers"], cached=found["Cached"]
        )
    if cell not in cells:
        raise InvalidArgument(f"the host has no NUMA node {cell}", hint=f"there are: {_listed(cells)}")
    found = kernel.sizes(_node(root, cell) / "meminfo")
    return HostMemory(total=found["MemTotal"], free=found["MemFree"])


def free(root: Path) -> int:
    """Bytes that nobody uses."""
    return sum(cells_free(root, 0, None))


def cells_free(root: Path, first: int, count: int | None) -> list[int]:
    """Those of the NUMA nodes from ``first`` on; nodes that are not there have none."""
    last = max(numbers(root), default=0)
    if not 0 <= first <= last:
        raise VmherdError(f"start cell {first} out of range (0-{last})")
    end = last if count is None else min(last, first + count - 1)
    there = numbers(root) or (0,)
    return [stats(root, cell).free if cell in there else 0 for cell in range(first, end + 1)]


def free_pages(root: Path, sizes: Sequence[int], first: int, count: int) -> list[list[int]]:
    """Unused pages of each size, by NUMA node; raises OperationFailed for a size the host has not."""
    return [[_unused(root, cell, size) for size in sizes] for cell in _range(root, first, count)]


def allocate(root: Path, pages: Mapping[int, int], first: int | None, count: int | None, *, add: bool) -> int:
    """Make the pools of huge pages as large as said; the number of pools.

    Without ``first`` it is the host's, of which the kernel gives each NUMA node its share.
    """
    cells = [None] if first is None else _range(root, first, count)
    for cell in cells:
        for size, wanted in pages.items():
            _resize(_pool(root, cell, size), wanted, add=add)
    return len(cells) * len(pages)


def _range(root: Path, first: int, count: int | None) -> list[int | None]:
    last = max(numbers(root), default=0)
    if not 0 <= first <= last:
        raise InvalidArgument(f"start cell {first} out of range (0-{last})")
    end = last if count is None else min(last, first + count - 1)
    return list(range(first, end + 1))


def _unused(root: Path, cell: int | None, size: int) -> int:
    if size == os.sysconf("SC_PAGE_SIZE"):
        return stats(root, cell).free // size
    return kernel.number(_pool(root, cell, size) / "free_hugepages") or 0


def _pool(root: Path, cell: int | None, size: int) -> Path:
    """The kernel's folder of the huge pages of one size, of one NUMA node or of the host."""
    if size == os.sysconf("SC_PAGE_SIZE"):
        raise OperationUnsupported("the number of ordinary pages is not a setting", hint="name a huge page's size")
    node = _node(root, cell) if cell is not None and numbers(root) else root / "sys/kernel/mm"
    folder = node / f"hugepages/hugepages-{size // 1024}kB"
    if not folder.is_dir():
        where = "this host" if cell is None else f"node {cell}"
        raise OperationFailed(f"page size {size // 1024} is not available on {where}")
    return folder


def _resize(pool: Path, wanted: int, *, add: bool) -> None:
    path = pool / "nr_hugepages"
    target = wanted + ((kernel.number(path) or 0) if add else 0)
    with on_host("set aside huge pages"):
        path.write_text(f"{target}\n")
    got = kernel.number(path) or 0
    if got < target:
        raise OperationFailed(
            f"unable to allocate {target} pages, allocated only {got}",
            hint="memory is too short or too scattered; try after a restart of the host, or with fewer",
        )


def merging(root: Path) -> dict[str, int]:
    """How equal pages are merged; a setting that this kernel has not is left out."""
    if not (root / _KSM).is_dir():
        raise OperationUnsupported("this host's kernel does not merge pages of memory (KSM)")
    found = {name: kernel.number(root / _KSM / file) for name, file in _MERGING.items()}
    return {name: value for name, value in found.items() if value is not None}


def set_merging(root: Path, parameters: Mapping[str, int]) -> None:
    """Raises InvalidArgument before anything is changed if a name or value is none, HostError."""
    there = merging(root)
    for name, value in parameters.items():
        if name not in _SETTABLE:
            raise InvalidArgument(f"parameter {name!r} is not supported", hint=f"there are: {', '.join(_SETTABLE)}")
        if name not in there:
            raise OperationUnsupported(f"parameter {name!r} is not supported by this kernel")
        if value < 0:
            raise InvalidArgument(f"{name} cannot be {value}")
    for name, value in parameters.items():
        try:
            (root / _KSM / _MERGING[name]).write_text(f"{value}\n")
        except OSError as problem:
            raise HostError(f"cannot set {name} to {value}: {problem.strerror}") from problem


def numbers(root: Path) -> tuple[int, ...]:
    """The NUMA nodes that are online; none where the kernel knows none."""
    return kernel.numbers(root / "sys/devices/system/node/online")


def _node(root: Path, cell: int) -> Path:
    return root / f"sys/devices/system/node/node{cell}"


def _listed(cells: Sequence[int]) -> str:
    return ", ".join(map(str, cells)) or "none"
