"""The hardware of a host: processors, memory, firmware, and putting it to sleep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vmherd.driver.host import HostCpuMap, HostCpuTimes, HostInfo, HostMemory, SuspendTarget
from vmherd.driver.hypervisor import HypervisorDriver


class Hardware:
    """The machine that the guests of a connection run on."""

    def __init__(self, driver: HypervisorDriver) -> None:
        self._driver = driver

    async def info(self) -> HostInfo:
        """Processors and memory in short."""
        return await self._driver.host_info()

    async def cpu_times(self, cpu: int | None = None) -> HostCpuTimes:
        """What all CPUs together, or one of them, did since the host was started."""
        return await self._driver.host_cpu_times(cpu)

    async def cpu_map(self) -> HostCpuMap:
        """Which CPUs are there."""
        return await self._driver.host_cpu_map()

    async def memory(self, cell: int | None = None) -> HostMemory:
        """Memory of the host, or of one NUMA node."""
        return await self._driver.host_memory(cell)

    async def free_memory(self) -> int:
        """Bytes that nobody uses."""
        return await self._driver.host_free_memory()

    async def cells_free_memory(self, first: int = 0, count: int | None = None) -> list[int]:
        """Bytes that nobody uses, of the NUMA nodes from ``first`` on, at most ``count`` of them."""
        return await self._driver.host_cells_free_memory(first, count)

    async def free_pages(self, sizes: Sequence[int], *, first: int = 0, count: int = 1) -> list[list[int]]:
        """Unused pages: a list per NUMA node from ``first`` on, with a number for each of ``sizes`` (bytes)."""
        return await self._driver.host_free_pages(sizes, first=first, count=count)

    async def allocate_pages(
        self, pages: Mapping[int, int], *, first: int | None = None, count: int | None = None, add: bool = False
    ) -> int:
        """Keep that many huge pages, by their size in bytes, in each of ``count`` NUMA nodes from ``first`` on.

        Without ``first`` so many in all, wherever the kernel has room.  ``add`` them to what there is.  Returns how
        many pools were changed; OperationFailed if memory is too short.
        """
        return await self._driver.host_allocate_pages(pages, first=first, count=count, add=add)

    async def memory_parameters(self) -> dict[str, int]:
        """How the kernel merges equal pages of memory (KSM), by libvirt's names: "shm_pages_to_scan", ..."""
        return await self._driver.host_memory_parameters()

    async def set_memory_parameters(self, parameters: Mapping[str, int]) -> None:
        """Change some of them; raises InvalidArgument for one that cannot be."""
        await self._driver.host_set_memory_parameters(parameters)

    async def suspend(self, target: SuspendTarget, duration: float) -> None:
        """Put the host to sleep for ``duration`` seconds, at least 60; returns just before it does."""
        await self._driver.host_suspend(target, duration)

    async def sysinfo(self) -> str:
        """What firmware tells of the machine (SMBIOS), as a <sysinfo>; raises Unsupported where it tells nothing."""
        return await self._driver.host_sysinfo()

    async def cpu_model_names(self, arch: str) -> list[str]:
        """Every CPU model known of an architecture, whatever the hypervisor can make of it; empty: any name goes."""
        return await self._driver.host_cpu_model_names(arch)
