"""The host a local driver runs on, as it answers for itself; each answer is read when it is asked for.

What reads the kernel's files is imported there, too: most commands ask for nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from vmherd.driver.host import (
    HostCpuMap,
    HostCpuTimes,
    HostInfo,
    HostMemory,
    HostOperations,
    SuspendTarget,
)

_ROOT = Path("/")


class LocalHost(HostOperations):
    """The machine this program runs on."""

    async def host_info(self) -> HostInfo:
        from vmherd.state.node import processors

        return processors.info(_ROOT)

    async def host_cpu_times(self, cpu: int | None = None) -> HostCpuTimes:
        from vmherd.state.node import processors

        return processors.times(_ROOT, cpu)

    async def host_cpu_map(self) -> HostCpuMap:
        from vmherd.state.node import processors

        return processors.cpu_map(_ROOT)

    async def host_memory(self, cell: int | None = None) -> HostMemory:
        from vmherd.state.node import memory

        return memory.stats(_ROOT, cell)

    async def host_free_memory(self) -> int:
        from vmherd.state.node import memory

        return memory.free(_ROOT)

    async def host_cells_free_memory(self, first: int = 0, count: int | None = None) -> list[int]:
        from vmherd.state.node import memory

        return memory.cells_free(_ROOT, first, count)

    async def host_free_pages(self, sizes: Sequence[int], *, first: int = 0, count: int = 1) -> list[list[int]]:
        from vmherd.state.node import memory

        return memory.free_pages(_ROOT, sizes, first, count)

    async def host_allocate_pages(
        self, pages: Mapping[int, int], *, first: int | None = None, count: int | None = None, add: bool = False
    ) -> int:
        self.require_writable()
        from vmherd.state.node import memory

        # The kernel returns when it has moved what was in the way.
        return await asyncio.to_thread(memory.allocate, _ROOT, pages, first, count, add=add)

    async def host_memory_parameters(self) -> dict[str, int]:
        from vmherd.state.node import memory

        return memory.merging(_ROOT)

    async def host_set_memory_parameters(self, parameters: Mapping[str, int]) -> None:
        self.require_writable()
        from vmherd.state.node import memory

        memory.set_merging(_ROOT, parameters)

    async def host_suspend(self, target: SuspendTarget, duration: float) -> None:
        self.require_writable()
        from vmherd.state.node import sleep

        await sleep.suspend(_ROOT, target, duration)

    async def host_sysinfo(self) -> str:
        from vmherd.state.node import firmware

        return firmware.sysinfo(_ROOT)
