"""The memory of this host: its NUMA nodes, and where its huge pages are to be had.

Source: proc_filesystems(5), the kernel's Documentation/admin-guide/mm/hugetlbpage.rst and numaperf.rst.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vmherd.errors import HostError
from vmherd.util.xmlmodel import parse_numbers, scale

_NODES = Path("/sys/devices/system/node")
_MAX_NODES = 1024  # CONFIG_NODES_SHIFT is 10 at most


@dataclass(frozen=True, kw_only=True)
class HostMemory:
    """``files`` is the guest's folder for memory in files, ``hugepages`` that for each size of huge page.

    ``default`` is the size of huge pages that is taken when none is told.  ``nodes`` are the host's NUMA nodes with
    their CPUs, ``auto_nodes`` those advised for a guest that leaves the choice to the host.  ``page`` is the size of an
    ordinary page.
    """

    files: Path
    page: int = 4096
    hugepages: Mapping[int, Path] = field(default_factory=dict)
    default: int | None = None
    nodes: Mapping[int, frozenset[int]] = field(default_factory=lambda: {0: frozenset()})
    auto_nodes: tuple[int, ...] = ()

    def default_page(self) -> int:
        """The size of huge pages where a document tells none.  Raises HostError if there are none."""
        if not self.hugepages:
            raise HostError("no hugetlbfs is mounted on this host", hint=_MOUNT)
        if self.default is not None and self.default in self.hugepages:
            return self.default
        return next(iter(self.hugepages))

    def huge_folder(self, size: int) -> Path:
        """Where memory in huge pages of ``size`` bytes goes.  Raises HostError if there are none."""
        if not self.hugepages:
            raise HostError("no hugetlbfs is mounted on this host", hint=_MOUNT)
        if size not in self.hugepages:
            known = ", ".join(f"{each >> 10} KiB" for each in self.hugepages)
            raise HostError(f"no hugetlbfs with pages of {size >> 10} KiB is mounted", hint=f"mounted are: {known}")
        return self.hugepages[size]

    def require_nodes(self, nodes: Iterable[int]) -> tuple[int, ...]:
        """These nodes, which the host must have.  Raises HostError otherwise."""
        wanted = tuple(nodes)
        missing = [node for node in wanted if node not in self.nodes]
        if missing:
            known = ", ".join(str(node) for node in self.nodes)
            raise HostError(f"the host has no NUMA node {missing[0]}", hint=f"correct the nodeset; nodes are: {known}")
        return wanted


def find(*, files: Path, name: str) -> HostMemory:
    """What this host has for a guest; ``name`` is that of its folder in each hugetlbfs."""
    return HostMemory(
        files=files,
        page=os.sysconf("SC_PAGE_SIZE"),
        hugepages={size: mount / "vmherd" / name for size, mount in _hugetlbfs()},
        default=_default_size(),
        nodes=_nodes(),
    )


def remove(files: Path, name: str) -> None:
    """Remove the folders of a guest that is gone; where there are none, nothing happens."""
    shutil.rmtree(files, ignore_errors=True)
    for _, mount in _hugetlbfs():
        shutil.rmtree(mount / "vmherd" / name, ignore_errors=True)


def _hugetlbfs() -> list[tuple[int, Path]]:
    """The mounts that we may write to, by page size; the first of a size counts."""
    found: dict[int, Path] = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, kind, options, *_ = line.split(" ")
        if kind != "hugetlbfs":
            continue
        told = next((each for each in options.split(",") if each.startswith("pagesize=")), None)
        size = _size(told.removeprefix("pagesize=")) if told else _default_size()
        path = Path(mount.encode().decode("unicode_escape"))
        if size and os.access(path, os.W_OK):
            found.setdefault(size, path)
    return list(found.items())


def _size(text: str) -> int:
    """``2M`` or ``1024M`` in bytes."""
    digits = text.rstrip("kKMGT")
    return int(digits) * scale(text.removeprefix(digits) or "b")


def _default_size() -> int | None:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Hugepagesize:"):
            return int(line.split()[1]) << 10
    return None


def _nodes() -> dict[int, frozenset[int]]:
    """A host without NUMA is one node."""
    try:
        numbers = parse_numbers((_NODES / "online").read_text().strip(), _MAX_NODES)
        return {number: _cpus(number) for number in sorted(numbers)}
    except (OSError, ValueError):
        return {0: frozenset(os.sched_getaffinity(0))}


def _cpus(node: int) -> frozenset[int]:
    text = (_NODES / f"node{node}" / "cpulist").read_text().strip()
    return frozenset(parse_numbers(text, 1 << 16)) if text else frozenset()


_MOUNT = "mount -t hugetlbfs hugetlbfs /dev/hugepages, and set /proc/sys/vm/nr_hugepages; or leave <hugepages> out"
