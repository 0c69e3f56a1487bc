"""The share of the host that a guest gets: vCPUs, memory, scheduling, I/O threads, bandwidth.

A ``scope`` says what is changed: how the guest runs now, how it starts next time, or both; by default whatever the
domain is now.  Parameters that go by name have libvirt's names and units: memory limits in KiB, periods and quotas in
microseconds, bandwidth in KiB per second.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.params import Params
from vmherd.driver.tuning import CpuStats, IoThreadInfo, VcpuInfo
from vmherd.driver.types import CURRENT, BalloonStats, Scope


class Tuning:
    """What a domain gets of its host."""

    def __init__(self, driver: HypervisorDriver, uuid: str) -> None:
        self._driver = driver
        self._uuid = uuid

    async def vcpu_count(self, *, maximum: bool = False, scope: Scope = CURRENT) -> int:
        """How many vCPUs a guest has, or with ``maximum`` may have at most."""
        return await self._driver.domain_vcpu_count(self._uuid, maximum=maximum, scope=scope)

    async def set_vcpu_count(
        self, count: int, *, maximum: bool = False, hotpluggable: bool = False, scope: Scope = CURRENT
    ) -> None:
        """Plug or unplug vCPUs until there are ``count``; with ``maximum`` set how many there may be.

        Of a definition, those added can be unplugged only if they are ``hotpluggable``.  InvalidArgument for more
        than there may be, Unsupported if too few can be unplugged.
        """
        await self._driver.domain_set_vcpu_count(
            self._uuid, count, maximum=maximum, hotpluggable=hotpluggable, scope=scope
        )

    async def set_vcpus(self, vcpus: Collection[int], *, enabled: bool, scope: Scope = CURRENT) -> None:
        """Plug or unplug these very vCPUs; InvalidArgument for one that is so already.

        OperationUnsupported for one of a running guest that was there at its start.
        """
        await self._driver.domain_set_vcpus(self._uuid, vcpus, enabled=enabled, scope=scope)

    async def vcpu_info(self) -> list[VcpuInfo]:
        """What each vCPU of a running guest does; InvalidState for one that is shut off."""
        return await self._driver.domain_vcpu_info(self._uuid)

    async def vcpu_pins(self, *, scope: Scope = CURRENT) -> list[tuple[int, ...]]:
        """The host CPUs that each vCPU, plugged or not, may use."""
        return await self._driver.domain_vcpu_pins(self._uuid, scope=scope)

    async def pin_vcpu(self, vcpu: int, cpus: Collection[int], *, scope: Scope = CURRENT) -> None:
        """Let a vCPU use these host CPUs only; InvalidArgument for none, or for a vCPU that there is not."""
        await self._driver.domain_pin_vcpu(self._uuid, vcpu, cpus, scope=scope)

    async def emulator_pin(self, *, scope: Scope = CURRENT) -> tuple[int, ...]:
        """The host CPUs that the hypervisor's other threads may use."""
        return await self._driver.domain_emulator_pin(self._uuid, scope=scope)

    async def pin_emulator(self, cpus: Collection[int], *, scope: Scope = CURRENT) -> None:
        """Let all threads but those of vCPUs and I/O threads use these host CPUs only; InvalidArgument for none."""
        await self._driver.domain_pin_emulator(self._uuid, cpus, scope=scope)

    async def cpu_stats(self) -> CpuStats:
        """The CPU that a running guest used; InvalidState where nothing counts it."""
        return await self._driver.domain_cpu_stats(self._uuid)

    async def iothreads(self, *, scope: Scope = CURRENT) -> list[IoThreadInfo]:
        """The I/O threads, ordered by number."""
        return await self._driver.domain_iothreads(self._uuid, scope=scope)

    async def add_iothread(self, number: int, *, scope: Scope = CURRENT) -> None:
        """Add an I/O thread; InvalidArgument for a number that is taken."""
        await self._driver.domain_add_iothread(self._uuid, number, scope=scope)

    async def remove_iothread(self, number: int, *, scope: Scope = CURRENT) -> None:
        """Remove an I/O thread; InvalidArgument for one that there is not, or that a disk uses."""
        await self._driver.domain_remove_iothread(self._uuid, number, scope=scope)

    async def pin_iothread(self, number: int, cpus: Collection[int], *, scope: Scope = CURRENT) -> None:
        """Let an I/O thread use these host CPUs only; InvalidArgument for none, or for a thread there is not."""
        await self._driver.domain_pin_iothread(self._uuid, number, cpus, scope=scope)

    async def set_iothread(self, number: int, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set how an I/O thread polls, and its pool of threads; how it polls is not kept in definitions."""
        await self._driver.domain_set_iothread(self._uuid, number, params, scope=scope)

    async def set_memory(self, size: int, *, scope: Scope = CURRENT) -> None:
        """Ask the guest's balloon for ``size`` bytes, or let the guest start with so many.

        The guest follows when it can.  InvalidArgument for more than its maximum, InvalidState without a balloon.
        """
        await self._driver.domain_set_memory(self._uuid, size, scope=scope)

    async def set_max_memory(self, size: int, *, scope: Scope = CURRENT) -> None:
        """Set how many bytes the guest boots with; InvalidState for a running guest."""
        await self._driver.domain_set_max_memory(self._uuid, size, scope=scope)

    async def memory_stats(self) -> BalloonStats:
        """What a running guest says of its memory, and how much the host gave it."""
        return await self._driver.domain_memory_stats(self._uuid)

    async def set_memory_stats_period(self, seconds: int, *, scope: Scope = CURRENT) -> None:
        """Ask the guest's balloon driver for statistics that often; 0 for never."""
        await self._driver.domain_set_memory_stats_period(self._uuid, seconds, scope=scope)

    async def memory_params(self, *, scope: Scope = CURRENT) -> Params:
        """Limits of the guest's memory; none is ``params.UNLIMITED_KIB``."""
        return await self._driver.domain_memory_params(self._uuid, scope=scope)

    async def set_memory_params(self, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set limits of the guest's memory; InvalidState where the host cannot limit a running guest."""
        await self._driver.domain_set_memory_params(self._uuid, params, scope=scope)

    async def blkio_params(self, *, scope: Scope = CURRENT) -> Params:
        """Weight and limits of disk access; those of devices as "path,value,path,value"."""
        return await self._driver.domain_blkio_params(self._uuid, scope=scope)

    async def set_blkio_params(self, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set weight and limits of disk access; a device's limit of 0 is none, other devices keep theirs."""
        await self._driver.domain_set_blkio_params(self._uuid, params, scope=scope)

    async def scheduler_type(self) -> tuple[str, int]:
        """The name of the scheduler, such as "posix", and how many parameters it has."""
        return await self._driver.domain_scheduler_type(self._uuid)

    async def scheduler_params(self, *, scope: Scope = CURRENT) -> Params:
        """Shares, periods and quotas of CPU time; a quota of -1 is no limit, 0 in a definition is not set."""
        return await self._driver.domain_scheduler_params(self._uuid, scope=scope)

    async def set_scheduler_params(self, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set shares, periods and quotas of CPU time."""
        await self._driver.domain_set_scheduler_params(self._uuid, params, scope=scope)

    async def numa_params(self, *, scope: Scope = CURRENT) -> Params:
        """From which nodes of the host the guest's memory comes, and how strictly (virDomainNumatuneMemMode)."""
        return await self._driver.domain_numa_params(self._uuid, scope=scope)

    async def set_numa_params(self, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set those nodes; of a running guest only the nodes, and only in restrictive mode."""
        await self._driver.domain_set_numa_params(self._uuid, params, scope=scope)

    async def interface_params(self, device: str, *, scope: Scope = CURRENT) -> Params:
        """The bandwidth of a network card, named by its MAC address or its device on the host; 0 is no limit."""
        return await self._driver.domain_interface_params(self._uuid, device, scope=scope)

    async def set_interface_params(self, device: str, params: Params, *, scope: Scope = CURRENT) -> None:
        """Limit the bandwidth of a network card; an average of 0 ends the limits of its direction."""
        await self._driver.domain_set_interface_params(self._uuid, device, params, scope=scope)

    async def perf_events(self, *, scope: Scope = CURRENT) -> dict[str, bool]:
        """Which events of the host's CPUs and kernel are counted for the guest."""
        return await self._driver.domain_perf_events(self._uuid, scope=scope)

    async def set_perf_events(self, events: Mapping[str, bool], *, scope: Scope = CURRENT) -> None:
        """Count events, or no more."""
        await self._driver.domain_set_perf_events(self._uuid, events, scope=scope)
