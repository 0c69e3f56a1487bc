"""The share of the host that a guest gets: vCPUs, memory, scheduling, I/O threads, bandwidth.

Where a method takes a ``scope``, it reaches the running guest, the kept definition, or both; "current", the default,
is whatever the domain is now.  Those that only ask take one of both, and raise InvalidArgument for the two at once.
Parameters that go by name have libvirt's names and units: memory limits in KiB, periods and quotas in microseconds,
bandwidth in KiB per second.  A domain that is shut off, asked for its running guest, raises InvalidState, and so
does a transient one, asked for its definition.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import IntEnum

import msgspec

from vmherd.driver.base import Driver
from vmherd.driver.params import Params
from vmherd.driver.types import CURRENT, BalloonStats, Scope


class VcpuState(IntEnum):
    """virVcpuState."""

    OFFLINE = 0
    RUNNING = 1
    BLOCKED = 2


class VcpuInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A vCPU that is there: seconds of host CPU it used, the host CPU it is on, and those it may use."""

    number: int
    state: VcpuState = VcpuState.RUNNING
    cpu_time: float = 0.0
    cpu: int = -1
    affinity: tuple[int, ...] = ()


class IoThreadInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An I/O thread, and the host CPUs it may use."""

    number: int
    affinity: tuple[int, ...] = ()


class CpuStats(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of CPU that a guest used: in all, of which in user and in system mode, and on each host CPU."""

    total: float
    user: float
    system: float
    cpus: tuple[float, ...] = ()


class TuningOperations(Driver):
    """The share of the host that a guest gets."""

    # vCPUs

    async def domain_vcpu_count(self, uuid: str, *, maximum: bool = False, scope: Scope = CURRENT) -> int:
        """How many vCPUs a guest has, or with ``maximum`` may have at most."""
        self._unsupported("domain_vcpu_count")

    async def domain_set_vcpu_count(
        self, uuid: str, count: int, *, maximum: bool = False, hotpluggable: bool = False, scope: Scope = CURRENT
    ) -> None:
        """Plug or unplug vCPUs until there are ``count``; with ``maximum`` set how many there may be.

        Of a definition, those added can be unplugged only if they are ``hotpluggable``.  InvalidArgument for more
        than there may be, Unsupported if too few can be unplugged.
        """
        self._unsupported("domain_set_vcpu_count")

    async def domain_set_vcpus(
        self, uuid: str, vcpus: Collection[int], *, enabled: bool, scope: Scope = CURRENT
    ) -> None:
        """Plug or unplug these very vCPUs; InvalidArgument for one that is so already.

        OperationUnsupported for one of a running guest that was there at its start.
        """
        self._unsupported("domain_set_vcpus")

    async def domain_vcpu_info(self, uuid: str) -> list[VcpuInfo]:
        """What each vCPU of a running guest does; InvalidState for one that is shut off."""
        self._unsupported("domain_vcpu_info")

    async def domain_vcpu_pins(self, uuid: str, *, scope: Scope = CURRENT) -> list[tuple[int, ...]]:
        """The host CPUs that each vCPU, plugged or not, may use."""
        self._unsupported("domain_vcpu_pins")

    async def domain_pin_vcpu(self, uuid: str, vcpu: int, cpus: Collection[int], *, scope: Scope = CURRENT) -> None:
        """Let a vCPU use these host CPUs only; InvalidArgument for none, or for a vCPU that there is not."""
        self._unsupported("domain_pin_vcpu")

    async def domain_emulator_pin(self, uuid: str, *, scope: Scope = CURRENT) -> tuple[int, ...]:
        """The host CPUs that the hypervisor's other threads may use."""
        self._unsupported("domain_emulator_pin")

    async def domain_pin_emulator(self, uuid: str, cpus: Collection[int], *, scope: Scope = CURRENT) -> None:
        """Let all threads but those of vCPUs and I/O threads use these host CPUs only; InvalidArgument for none."""
        self._unsupported("domain_pin_emulator")

    async def domain_cpu_stats(self, uuid: str) -> CpuStats:
        """The CPU that a running guest used; InvalidState where nothing counts it."""
        self._unsupported("domain_cpu_stats")

    # I/O threads

    async def domain_iothreads(self, uuid: str, *, scope: Scope = CURRENT) -> list[IoThreadInfo]:
        """The I/O threads, ordered by number."""
        self._unsupported("domain_iothreads")

    async def domain_add_iothread(self, uuid: str, number: int, *, scope: Scope = CURRENT) -> None:
        """Add an I/O thread; InvalidArgument for a number that is taken."""
        self._unsupported("domain_add_iothread")

    async def domain_remove_iothread(self, uuid: str, number: int, *, scope: Scope = CURRENT) -> None:
        """Remove an I/O thread; InvalidArgument for one that there is not, or that a disk uses."""
        self._unsupported("domain_remove_iothread")

    async def domain_pin_iothread(
        self, uuid: str, number: int, cpus: Collection[int], *, scope: Scope = CURRENT
    ) -> None:
        """Let an I/O thread use these host CPUs only; InvalidArgument for none, or for a thread there is not."""
        self._unsupported("domain_pin_iothread")

    async def domain_set_iothread(self, uuid: str, number: int, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set how an I/O thread polls, and its pool of threads; how it polls is not kept in definitions."""
        self._unsupported("domain_set_iothread")

    # Memory

    async def domain_set_memory(self, uuid: str, size: int, *, scope: Scope = CURRENT) -> None:
        """Ask the guest's balloon for ``size`` bytes, or let the guest start with so many.

        The guest follows when it can.  InvalidArgument for more than its maximum, InvalidState without a balloon.
        """
        self._unsupported("domain_set_memory")

    async def domain_set_max_memory(self, uuid: str, size: int, *, scope: Scope = CURRENT) -> None:
        """Set how many bytes the guest boots with; InvalidState for a running guest."""
        self._unsupported("domain_set_max_memory")

    async def domain_memory_stats(self, uuid: str) -> BalloonStats:
        """What a running guest says of its memory, and how much the host gave it."""
        self._unsupported("domain_memory_stats")

    async def domain_set_memory_stats_period(self, uuid: str, seconds: int, *, scope: Scope = CURRENT) -> None:
        """Ask the guest's balloon driver for statistics that often; 0 for never."""
        self._unsupported("domain_set_memory_stats_period")

    # Parameters by name

    async def domain_memory_params(self, uuid: str, *, scope: Scope = CURRENT) -> Params:
        """Limits of the guest's memory; none is ``params.UNLIMITED_KIB``."""
        self._unsupported("domain_memory_params")

    async def domain_set_memory_params(self, uuid: str, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set limits of the guest's memory; InvalidState where the host cannot limit a running guest."""
        self._unsupported("domain_set_memory_params")

    async def domain_blkio_params(self, uuid: str, *, scope: Scope = CURRENT) -> Params:
        """Weight and limits of disk access; those of devices as "path,value,path,value"."""
        self._unsupported("domain_blkio_params")

    async def domain_set_blkio_params(self, uuid: str, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set weight and limits of disk access; a device's limit of 0 is none, other devices keep theirs."""
        self._unsupported("domain_set_blkio_params")

    async def domain_scheduler_type(self, uuid: str) -> tuple[str, int]:
        """The name of the scheduler, such as "posix", and how many parameters it has."""
        self._unsupported("domain_scheduler_type")

    async def domain_scheduler_params(self, uuid: str, *, scope: Scope = CURRENT) -> Params:
        """Shares, periods and quotas of CPU time; a quota of -1 is no limit, 0 in a definition is not set."""
        self._unsupported("domain_scheduler_params")

    async def domain_set_scheduler_params(self, uuid: str, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set shares, periods and quotas of CPU time."""
        self._unsupported("domain_set_scheduler_params")

    async def domain_numa_params(self, uuid: str, *, scope: Scope = CURRENT) -> Params:
        """From which nodes of the host the guest's memory comes, and how strictly (virDomainNumatuneMemMode)."""
        self._unsupported("domain_numa_params")

    async def domain_set_numa_params(self, uuid: str, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set those nodes; of a running guest only the nodes, and only in restrictive mode."""
        self._unsupported("domain_set_numa_params")

    async def domain_interface_params(self, uuid: str, device: str, *, scope: Scope = CURRENT) -> Params:
        """The bandwidth of a network card, named by its MAC address or its device on the host; 0 is no limit."""
        self._unsupported("domain_interface_params")

    async def domain_set_interface_params(
        self, uuid: str, device: str, params: Params, *, scope: Scope = CURRENT
    ) -> None:
        """Limit the bandwidth of a network card; an average of 0 ends the limits of its direction."""
        self._unsupported("domain_set_interface_params")

    async def domain_perf_events(self, uuid: str, *, scope: Scope = CURRENT) -> dict[str, bool]:
        """Which events of the host's CPUs and kernel are counted for the guest."""
        self._unsupported("domain_perf_events")

    async def domain_set_perf_events(self, uuid: str, events: Mapping[str, bool], *, scope: Scope = CURRENT) -> None:
        """Count events, or no more."""
        self._unsupported("domain_set_perf_events")
