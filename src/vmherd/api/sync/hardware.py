"""The hardware of a host: processors, memory, firmware, and putting it to sleep.

Generated from aio/hardware.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vmherd.api import aio, bridge
from vmherd.driver.host import HostCpuMap, HostCpuTimes, HostInfo, HostMemory, SuspendTarget


class Hardware:
    """The machine that the guests of a connection run on."""

    def __init__(self, wrapped: aio.Hardware) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def info(self) -> HostInfo:
        """Processors and memory in short."""
        return self._loop.run(self._wrapped.info())

    def cpu_times(self, cpu: int | None = None) -> HostCpuTimes:
        """What all CPUs together, or one of them, did since the host was started."""
        return self._loop.run(self._wrapped.cpu_times(cpu))

    def cpu_map(self) -> HostCpuMap:
        """Which CPUs are there."""
        return self._loop.run(self._wrapped.cpu_map())

    def memory(self, cell: int | None = None) -> HostMemory:
        """Memory of the host, or of one NUMA node."""
        return self._loop.run(self._wrapped.memory(cell))

    def free_memory(self) -> int:
        """Bytes that nobody uses."""
        return self._loop.run(self._wrapped.free_memory())

    def cells_free_memory(self, first: int = 0, count: int | None = None) -> list[int]:
        """Bytes that nobody uses, of the NUMA nodes from ``first`` on, at most ``count`` of them."""
        return self._loop.run(self._wrapped.cells_free_memory(first, count))

    def free_pages(self, sizes: Sequence[int], *, first: int = 0, count: int = 1) -> list[list[int]]:
        """Unused pages: a list per NUMA node from ``first`` on, with a number for each of ``sizes`` (bytes)."""
        return self._loop.run(self._wrapped.free_pages(sizes, first=first, count=count))

    def allocate_pages(
        self, pages: Mapping[int, int], *, first: int | None = None, count: int | None = None, add: bool = False
    ) -> int:
        """Keep that many huge pages, by their size in bytes, in each of ``count`` NUMA nodes from ``first`` on.

        Without ``first`` so many in all, wherever the kernel has room.  ``add`` them to what there is.  Returns how
        many pools were changed; OperationFailed if memory is too short.
        """
        return self._loop.run(self._wrapped.allocate_pages(pages, first=first, count=count, add=add))

    def memory_parameters(self) -> dict[str, int]:
        """How the kernel merges equal pages of memory (KSM), by libvirt's names: "shm_pages_to_scan", ..."""
        return self._loop.run(self._wrapped.memory_parameters())

    def set_memory_parameters(self, parameters: Mapping[str, int]) -> None:
        """Change some of them; raises InvalidArgument for one that cannot be."""
        self._loop.run(self._wrapped.set_memory_parameters(parameters))

    def suspend(self, target: SuspendTarget, duration: float) -> None:
        """Put the host to sleep for ``duration`` seconds, at least 60; returns just before it does."""
        self._loop.run(self._wrapped.suspend(target, duration))

    def sysinfo(self) -> str:
        """What firmware tells of the machine (SMBIOS), as a <sysinfo>; raises Unsupported where it tells nothing."""
        return self._loop.run(self._wrapped.sysinfo())

    def cpu_model_names(self, arch: str) -> list[str]:
        """Every CPU model known of an architecture, whatever the hypervisor can make of it; empty: any name goes."""
        return self._loop.run(self._wrapped.cpu_model_names(arch))
