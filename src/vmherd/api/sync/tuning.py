"""The share of the host that a guest gets: vCPUs, memory, scheduling, I/O threads, bandwidth.

Generated from aio/tuning.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from vmherd.api import aio, bridge
from vmherd.driver.params import Params
from vmherd.driver.tuning import CpuStats, IoThreadInfo, VcpuInfo
from vmherd.driver.types import CURRENT, BalloonStats, Scope


class Tuning:
    """What a domain gets of its host."""

    def __init__(self, wrapped: aio.Tuning) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def vcpu_count(self, *, maximum: bool = False, scope: Scope = CURRENT) -> int:
        """How many vCPUs a guest has, or with ``maximum`` may have at most."""
        return self._loop.run(self._wrapped.vcpu_count(maximum=maximum, scope=scope))

    def set_vcpu_count(
        self, count: int, *, maximum: bool = False, hotpluggable: bool = False, scope: Scope = CURRENT
    ) -> None:
        """Plug or unplug vCPUs until there are ``count``; with ``maximum`` set how many there may be.

        Of a definition, those added can be unplugged only if they are ``hotpluggable``.  InvalidArgument for more
        than there may be, Unsupported if too few can be unplugged.
        """
        self._loop.run(self._wrapped.set_vcpu_count(count, maximum=maximum, hotpluggable=hotpluggable, scope=scope))

    def set_vcpus(self, vcpus: Collection[int], *, enabled: bool, scope: Scope = CURRENT) -> None:
        """Plug or unplug these very vCPUs; InvalidArgument for one that is so already.

        OperationUnsupported for one of a running guest that was there at its start.
        """
        self._loop.run(self._wrapped.set_vcpus(vcpus, enabled=enabled, scope=scope))

    def vcpu_info(self) -> list[VcpuInfo]:
        """What each vCPU of a running guest does; InvalidState for one that is shut off."""
        return self._loop.run(self._wrapped.vcpu_info())

    def vcpu_pins(self, *, scope: Scope = CURRENT) -> list[tuple[int, ...]]:
        """The host CPUs that each vCPU, plugged or not, may use."""
        return self._loop.run(self._wrapped.vcpu_pins(scope=scope))

    def pin_vcpu(self, vcpu: int, cpus: Collection[int], *, scope: Scope = CURRENT) -> None:
        """Let a vCPU use these host CPUs only; InvalidArgument for none, or for a vCPU that there is not."""
        self._loop.run(self._wrapped.pin_vcpu(vcpu, cpus, scope=scope))

    def emulator_pin(self, *, scope: Scope = CURRENT) -> tuple[int, ...]:
        """The host CPUs that the hypervisor's other threads may use."""
        return self._loop.run(self._wrapped.emulator_pin(scope=scope))

    def pin_emulator(self, cpus: Collection[int], *, scope: Scope = CURRENT) -> None:
        """Let all threads but those of vCPUs and I/O threads use these host CPUs only; InvalidArgument for none."""
        self._loop.run(self._wrapped.pin_emulator(cpus, scope=scope))

    def cpu_stats(self) -> CpuStats:
        """The CPU that a running guest used; InvalidState where nothing counts it."""
        return self._loop.run(self._wrapped.cpu_stats())

    def iothreads(self, *, scope: Scope = CURRENT) -> list[IoThreadInfo]:
        """The I/O threads, ordered by number."""
        return self._loop.run(self._wrapped.iothreads(scope=scope))

    def add_iothread(self, number: int, *, scope: Scope = CURRENT) -> None:
        """Add an I/O thread; InvalidArgument for a number that is taken."""
        self._loop.run(self._wrapped.add_iothread(number, scope=scope))

    def remove_iothread(self, number: int, *, scope: Scope = CURRENT) -> None:
        """Remove an I/O thread; InvalidArgument for one that there is not, or that a disk uses."""
        self._loop.run(self._wrapped.remove_iothread(number, scope=scope))

    def pin_iothread(self, number: int, cpus: Collection[int], *, scope: Scope = CURRENT) -> None:
        """Let an I/O thread use these host CPUs only; InvalidArgument for none, or for a thread there is not."""
        self._loop.run(self._wrapped.pin_iothread(number, cpus, scope=scope))

    def set_iothread(self, number: int, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set how an I/O thread polls, and its pool of threads; how it polls is not kept in definitions."""
        self._loop.run(self._wrapped.set_iothread(number, params, scope=scope))

    def set_memory(self, size: int, *, scope: Scope = CURRENT) -> None:
        """Ask the guest's balloon for ``size`` bytes, or let the guest start with so many.

        The guest follows when it can.  InvalidArgument for more than its maximum, InvalidState without a balloon.
        """
        self._loop.run(self._wrapped.set_memory(size, scope=scope))

    def set_max_memory(self, size: int, *, scope: Scope = CURRENT) -> None:
        """Set how many bytes the guest boots with; InvalidState for a running guest."""
        self._loop.run(self._wrapped.set_max_memory(size, scope=scope))

    def memory_stats(self) -> BalloonStats:
        """What a running guest says of its memory, and how much the host gave it."""
        return self._loop.run(self._wrapped.memory_stats())

    def set_memory_stats_period(self, seconds: int, *, scope: Scope = CURRENT) -> None:
        """Ask the guest's balloon driver for statistics that often; 0 for never."""
        self._loop.run(self._wrapped.set_memory_stats_period(seconds, scope=scope))

    def memory_params(self, *, scope: Scope = CURRENT) -> Params:
        """Limits of the guest's memory; none is ``params.UNLIMITED_KIB``."""
        return self._loop.run(self._wrapped.memory_params(scope=scope))

    def set_memory_params(self, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set limits of the guest's memory; InvalidState where the host cannot limit a running guest."""
        self._loop.run(self._wrapped.set_memory_params(params, scope=scope))

    def blkio_params(self, *, scope: Scope = CURRENT) -> Params:
        """Weight and limits of disk access; those of devices as "path,value,path,value"."""
        return self._loop.run(self._wrapped.blkio_params(scope=scope))

    def set_blkio_params(self, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set weight and limits of disk access; a device's limit of 0 is none, other devices keep theirs."""
        self._loop.run(self._wrapped.set_blkio_params(params, scope=scope))

    def scheduler_type(self) -> tuple[str, int]:
        """The name of the scheduler, such as "posix", and how many parameters it has."""
        return self._loop.run(self._wrapped.scheduler_type())

    def scheduler_params(self, *, scope: Scope = CURRENT) -> Params:
        """Shares, periods and quotas of CPU time; a quota of -1 is no limit, 0 in a definition is not set."""
        return self._loop.run(self._wrapped.scheduler_params(scope=scope))

    def set_scheduler_params(self, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set shares, periods and quotas of CPU time."""
        self._loop.run(self._wrapped.set_scheduler_params(params, scope=scope))

    def numa_params(self, *, scope: Scope = CURRENT) -> Params:
        """From which nodes of the host the guest's memory comes, and how strictly (virDomainNumatuneMemMode)."""
        return self._loop.run(self._wrapped.numa_params(scope=scope))

    def set_numa_params(self, params: Params, *, scope: Scope = CURRENT) -> None:
        """Set those nodes; of a running guest only the nodes, and only in restrictive mode."""
        self._loop.run(self._wrapped.set_numa_params(params, scope=scope))

    def interface_params(self, device: str, *, scope: Scope = CURRENT) -> Params:
        """The bandwidth of a network card, named by its MAC address or its device on the host; 0 is no limit."""
        return self._loop.run(self._wrapped.interface_params(device, scope=scope))

    def set_interface_params(self, device: str, params: Params, *, scope: Scope = CURRENT) -> None:
        """Limit the bandwidth of a network card; an average of 0 ends the limits of its direction."""
        self._loop.run(self._wrapped.set_interface_params(device, params, scope=scope))

    def perf_events(self, *, scope: Scope = CURRENT) -> dict[str, bool]:
        """Which events of the host's CPUs and kernel are counted for the guest."""
        return self._loop.run(self._wrapped.perf_events(scope=scope))

    def set_perf_events(self, events: Mapping[str, bool], *, scope: Scope = CURRENT) -> None:
        """Count events, or no more."""
        self._loop.run(self._wrapped.set_perf_events(events, scope=scope))
