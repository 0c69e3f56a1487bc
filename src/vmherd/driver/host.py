"""What the host is and has: processors, memory, firmware tables; and the versions of what is behind a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

import msgspec

from vmherd.driver.base import Driver
from vmherd.driver.types import CpuComparison

#: The release of libvirt whose behaviour vmherd has, as libvirt counts: major * 1000000 + minor * 1000 + release.
LIBVIRT_VERSION = 9_000_000


class HostInfo(msgspec.Struct, frozen=True, kw_only=True):
    """virNodeInfo: ``memory`` in bytes; ``sockets`` of one NUMA node, ``cores`` of a socket, ``threads`` of a core.

    The product of the last four is at least ``cpus``, which are those that are online.
    """

    model: str
    memory: int
    cpus: int
    mhz: int
    nodes: int
    sockets: int
    cores: int
    threads: int


class HostCpuTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds since the host was started that one CPU or all of them did something; None where that is not told."""

    user: float | None = None
    system: float | None = None
    idle: float | None = None
    iowait: float | None = None
    interrupts: float | None = None


class HostMemory(msgspec.Struct, frozen=True, kw_only=True):
    """Memory of the host or of one NUMA node in bytes; of a node ``buffers`` and ``cached`` are not told."""

    total: int
    free: int
    buffers: int | None = None
    cached: int | None = None


class HostCpuMap(msgspec.Struct, frozen=True, kw_only=True):
    """How many CPUs the host may have, and the numbers of those that are online."""

    present: int
    online: tuple[int, ...]


class SecurityModel(msgspec.Struct, frozen=True, kw_only=True):
    """How guests are kept apart by labels; ``model`` is "none" where they are not."""

    model: str = "none"
    doi: str = "0"


class SecurityLabel(msgspec.Struct, frozen=True, kw_only=True):
    """What a guest runs as by one model, "" where that is nothing; and whether the kernel enforces it."""

    label: str
    enforcing: bool = False


class SuspendTarget(IntEnum):
    """virNodeSuspendTarget: how a host sleeps."""

    MEM = 0
    DISK = 1
    HYBRID = 2


class HostOperations(Driver):
    """What the host is and has, as virNode* and virConnect* of libvirt tell it."""

    async def library_version(self) -> int:
        """The release of libvirt that answers, as the number libvirt makes of it."""
        return LIBVIRT_VERSION

    async def hypervisor_version(self) -> int:
        """The version of the hypervisor, as the number libvirt makes of it; 0 where it has none."""
        self._unsupported("hypervisor_version")

    async def is_secure(self) -> bool:
        """Whether nobody else can listen to or change what goes over this connection."""
        return True

    async def is_encrypted(self) -> bool:
        """Whether what goes over this connection is encrypted."""
        return False

    async def is_alive(self) -> bool:
        """Whether the other side is still there."""
        return True

    async def max_vcpus(self, domain_type: str = "") -> int:
        """How many vCPUs a guest of a type, by default the hypervisor's own, may have.

        Raises InvalidArgument for a type it does not run.
        """
        self._unsupported("max_vcpus")

    async def host_info(self) -> HostInfo:
        """Processors and memory in short."""
        self._unsupported("host_info")

    async def host_cpu_times(self, cpu: int | None = None) -> HostCpuTimes:
        """What all CPUs together, or one of them, did; raises InvalidArgument if there is none of that number."""
        self._unsupported("host_cpu_times")

    async def host_cpu_map(self) -> HostCpuMap:
        """Which CPUs are there."""
        self._unsupported("host_cpu_map")

    async def host_memory(self, cell: int | None = None) -> HostMemory:
        """The memory of the host or of one NUMA node; raises InvalidArgument if there is none of that number."""
        self._unsupported("host_memory")

    async def host_free_memory(self) -> int:
        """Bytes that nobody uses."""
        self._unsupported("host_free_memory")

    async def host_cells_free_memory(self, first: int = 0, count: int | None = None) -> list[int]:
        """Bytes that nobody uses, of the NUMA nodes from ``first`` on, at most ``count`` of them."""
        self._unsupported("host_cells_free_memory")

    async def host_free_pages(self, sizes: Sequence[int], *, first: int = 0, count: int = 1) -> list[list[int]]:
        """Unused pages: a list per NUMA node from ``first`` on, with a number for each of ``sizes`` (bytes).

        Raises OperationFailed for a size the host has not.
        """
        self._unsupported("host_free_pages")

    async def host_allocate_pages(
        self, pages: Mapping[int, int], *, first: int | None = None, count: int | None = None, add: bool = False
    ) -> int:
        """Keep that many huge pages, by their size in bytes, in each of ``count`` NUMA nodes from ``first`` on.

        Without ``first`` so many in all, wherever the kernel has room.  ``add`` them to what there is.  Returns how
        many pools were changed; OperationFailed if memory is too short.
        """
        self._unsupported("host_allocate_pages")

    async def host_memory_parameters(self) -> dict[str, int]:
        """How the kernel merges equal pages of memory (KSM), by libvirt's names: "shm_pages_to_scan", ..."""
        self._unsupported("host_memory_parameters")

    async def host_set_memory_parameters(self, parameters: Mapping[str, int]) -> None:
        """Change some of them; raises InvalidArgument for one that cannot be."""
        self._unsupported("host_set_memory_parameters")

    async def host_suspend(self, target: SuspendTarget, duration: float) -> None:
        """Put the host to sleep for ``duration`` seconds, at least 60; returns just before it does.

        Raises ArgumentUnsupported where the host cannot sleep like that.
        """
        self._unsupported("host_suspend")

    async def host_sysinfo(self) -> str:
        """What firmware tells of the machine (SMBIOS), as a <sysinfo>; raises Unsupported where it tells nothing."""
        self._unsupported("host_sysinfo")

    async def host_security_model(self) -> SecurityModel:
        """How guests are kept apart by labels."""
        return SecurityModel()

    async def host_cpu_model_names(self, arch: str) -> list[str]:
        """Every CPU model known of an architecture, whatever the hypervisor can make of it; empty: any name goes.

        Raises InvalidArgument for an architecture nobody knows.
        """
        self._unsupported("host_cpu_model_names")

    async def host_compare_cpu(self, xml: str) -> CpuComparison:
        """The processor of the host, as its capabilities tell it, against the CPU in a document."""
        self._unsupported("host_compare_cpu")

    async def host_baseline_cpu(
        self, documents: Sequence[str], *, expand: bool = False, migratable: bool = False
    ) -> str:
        """The best CPU that the processors of all documents have, whatever the hypervisor can make of it."""
        self._unsupported("host_baseline_cpu")


def version_number(text: str) -> int:
    """A version in words as the number libvirt makes of it: "7.2.22" is 7002022."""
    parts = [int(part) for part in text.split(".")[:3]] + [0, 0]
    return parts[0] * 1_000_000 + parts[1] * 1000 + parts[2]


def version_text(number: int) -> str:
    """The other way: 7002022 is "7.2.22"."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
