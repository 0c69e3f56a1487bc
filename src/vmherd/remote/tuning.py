"""A guest's share of the other host, over the wire."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from vmherd.driver.params import Params
from vmherd.driver.tuning import CpuStats, IoThreadInfo, VcpuInfo, VcpuState
from vmherd.driver.types import CURRENT, BalloonStats, Scope
from vmherd.errors import OperationUnsupported
from vmherd.remote.connection import RemoteConnection
from vmherd.rpc.params import plain, typed
from vmherd.util.bits import from_bytes, to_bytes

_KIB = 1024
_NANOSECONDS = 1e9

_MAXIMUM, _HOTPLUGGABLE = 4, 16  # virDomainVcpuFlags
_MEM_MAXIMUM = 4
_TEXTS_TOO = 4  # VIR_TYPED_PARAM_STRING_OKAY
_ALL_CPUS = -1
#: CPUs in one answer, which has room for so many parameters.
_CPUS, _ROOM = 128, 2048

#: virDomainMemoryStatTags that are sizes in KiB, and those that are numbers.
_SIZES = {
    0: "swap_in",
    1: "swap_out",
    4: "unused",
    5: "available",
    6: "current",
    7: "resident",
    8: "usable",
    10: "disk_caches",
}
_COUNTS = {2: "major_faults", 3: "minor_faults", 9: "last_update", 11: "hugetlb_allocations", 12: "hugetlb_failures"}
_MANY = 1024


class RemoteTuning(RemoteConnection):
    """virDomainSetVcpus, virDomainSetMemory, virDomainSetSchedulerParameters and their kind."""

    # vCPUs

    async def domain_vcpu_count(self, uuid: str, *, maximum: bool = False, scope: Scope = CURRENT) -> int:
        return int(await self._ask(uuid, "domain_get_vcpus_flags", scope.flags | _MAXIMUM * maximum))

    async def domain_set_vcpu_count(
        self, uuid: str, count: int, *, maximum: bool = False, hotpluggable: bool = False, scope: Scope = CURRENT
    ) -> None:
        flags = scope.flags | _MAXIMUM * maximum | _HOTPLUGGABLE * hotpluggable
        await self._change(uuid, "domain_set_vcpus_flags", count, flags)

    async def domain_set_vcpus(
        self, uuid: str, vcpus: Collection[int], *, enabled: bool, scope: Scope = CURRENT
    ) -> None:
        numbers = ",".join(map(str, sorted(vcpus)))
        await self._change(uuid, "domain_set_vcpu", numbers, int(enabled), scope.flags)

    async def domain_vcpu_info(self, uuid: str) -> list[VcpuInfo]:
        width = await self._width()
        count = (await self._ask(uuid, "domain_get_info")).nrVirtCpu
        found = await self._ask(uuid, "domain_get_vcpus", count, width)
        return [
            VcpuInfo(
                number=each.number,
                state=VcpuState(each.state) if each.state in set(VcpuState) else VcpuState.OFFLINE,
                cpu_time=each.cpu_time / _NANOSECONDS,
                cpu=each.cpu,
                affinity=cpus,
            )
            for each, cpus in zip(found.info, _maps(found.cpumaps, width), strict=False)
        ]

    async def domain_vcpu_pins(self, uuid: str, *, scope: Scope = CURRENT) -> list[tuple[int, ...]]:
        width, count = await self._width(), await self.domain_vcpu_count(uuid, maximum=True, scope=scope)
        found = await self._ask(uuid, "domain_get_vcpu_pin_info", count, width, scope.flags)
        return _maps(found.cpumaps, width)[: found.num]

    async def domain_pin_vcpu(self, uuid: str, vcpu: int, cpus: Collection[int], *, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_pin_vcpu_flags", vcpu, to_bytes(cpus), scope.flags)

    async def domain_emulator_pin(self, uuid: str, *, scope: Scope = CURRENT) -> tuple[int, ...]:
        width = await self._width()
        found = await self._ask(uuid, "domain_get_emulator_pin_info", width, scope.flags)
        return _maps(found.cpumaps, width)[0]

    async def domain_pin_emulator(self, uuid: str, cpus: Collection[int], *, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_pin_emulator", to_bytes(cpus), scope.flags)

    async def domain_cpu_stats(self, uuid: str) -> CpuStats:
        count = (await self._ask(uuid, "domain_get_cpu_stats", 0, _ALL_CPUS, 1, 0)).nparams
        total = plain((await self._ask(uuid, "domain_get_cpu_stats", count, _ALL_CPUS, 1, 0)).params)
        told = {name: float(value) / _NANOSECONDS for name, value in total.items()}
        return CpuStats(
            total=told.get("cpu_time", 0.0),
            user=told.get("user_time", 0.0),
            system=told.get("system_time", 0.0),
            cpus=tuple(await self._times_by_cpu(uuid)),
        )

    async def _times_by_cpu(self, uuid: str) -> list[float]:
        """None where the other host does not count so, as with version 2 of control groups."""
        number = (await self._ask(uuid, "domain_get_cpu_stats", 0, 0, 0, 0)).nparams
        count = (await self._ask(uuid, "domain_get_cpu_stats", 0, 0, 1, 0)).nparams
        times: list[float] = []
        step = min(_CPUS, _ROOM // max(count, 1))
        for first in range(0, number, step):
            many = min(step, number - first)
            try:
                found = await self._ask(uuid, "domain_get_cpu_stats", count, first, many, 0)
            except OperationUnsupported:
                return []
            times += [param.value / _NANOSECONDS for param in found.params if param.name == "cpu_time"]
        return times

    async def _width(self) -> int:
        """Bytes of a map of the other host's CPUs."""
        return ((await self.host_cpu_map()).present + 7) // 8

    # I/O threads

    async def domain_iothreads(self, uuid: str, *, scope: Scope = CURRENT) -> list[IoThreadInfo]:
        found = (await self._ask(uuid, "domain_get_iothread_info", scope.flags)).info
        threads = [
            IoThreadInfo(number=each.iothread_id, affinity=tuple(sorted(from_bytes(each.cpumap)))) for each in found
        ]
        return sorted(threads, key=lambda thread: thread.number)

    async def domain_add_iothread(self, uuid: str, number: int, *, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_add_iothread", number, scope.flags)

    async def domain_remove_iothread(self, uuid: str, number: int, *, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_del_iothread", number, scope.flags)

    async def domain_pin_iothread(
        self, uuid: str, number: int, cpus: Collection[int], *, scope: Scope = CURRENT
    ) -> None:
        await self._change(uuid, "domain_pin_iothread", number, to_bytes(cpus), scope.flags)

    async def domain_set_iothread(self, uuid: str, number: int, params: Params, *, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_set_iothread_params", number, typed(params), scope.flags)

    # Memory

    async def domain_set_memory(self, uuid: str, size: int, *, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_set_memory_flags", size // _KIB, scope.flags)

    async def domain_set_max_memory(self, uuid: str, size: int, *, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_set_memory_flags", size // _KIB, scope.flags | _MEM_MAXIMUM)

    async def domain_memory_stats(self, uuid: str) -> BalloonStats:
        maximum = await self._ask(uuid, "domain_get_max_memory")
        told: dict[str, int] = {"current": maximum * _KIB}
        for tag, value in await self._ask(uuid, "domain_memory_stats", _MANY, 0):
            if tag in _SIZES:
                told[_SIZES[tag]] = value * _KIB
            elif tag in _COUNTS:
                told[_COUNTS[tag]] = value
        return BalloonStats(maximum=maximum * _KIB, **told)

    async def domain_set_memory_stats_period(self, uuid: str, seconds: int, *, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_set_memory_stats_period", seconds, scope.flags)

    # Parameters by name

    async def domain_memory_params(self, uuid: str, *, scope: Scope = CURRENT) -> Params:
        return await self._params(uuid, "domain_get_memory_parameters", scope)

    async def domain_set_memory_params(self, uuid: str, params: Params, *, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_set_memory_parameters", typed(params), scope.flags)

    async def domain_blkio_params(self, uuid: str, *, scope: Scope = CURRENT) -> Params:
        return await self._params(uuid, "domain_get_blkio_parameters", scope)

    async def domain_set_blkio_params(self, uuid: str, params: Params, *, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_set_blkio_parameters", typed(params), scope.flags)

    async def domain_scheduler_type(self, uuid: str) -> tuple[str, int]:
        name, count = await self._ask(uuid, "domain_get_scheduler_type")
        return name, count

    async def domain_scheduler_params(self, uuid: str, *, scope: Scope = CURRENT) -> Params:
        _, count = await self.domain_scheduler_type(uuid)
        flags = scope.flags | _TEXTS_TOO
        return plain(await self._ask(uuid, "domain_get_scheduler_parameters_flags", count, flags))

    async def domain_set_scheduler_params(self, uuid: str, params: Params, *, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_set_scheduler_parameters_flags", typed(params), scope.flags)

    async def domain_numa_params(self, uuid: str, *, scope: Scope = CURRENT) -> Params:
        return await self._params(uuid, "domain_get_numa_parameters", scope)

    async def domain_set_numa_params(self, uuid: str, params: Params, *, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_set_numa_parameters", typed(params), scope.flags)

    async def domain_interface_params(self, uuid: str, device: str, *, scope: Scope = CURRENT) -> Params:
        return await self._params(uuid, "domain_get_interface_parameters", scope, device)

    async def domain_set_interface_params(
        self, uuid: str, device: str, params: Params, *, scope: Scope = CURRENT
    ) -> None:
        await self._change(uuid, "domain_set_interface_parameters", device, typed(params), scope.flags)

    async def domain_perf_events(self, uuid: str, *, scope: Scope = CURRENT) -> dict[str, bool]:
        found = await self._ask(uuid, "domain_get_perf_events", scope.flags | _TEXTS_TOO)
        return {name: bool(value) for name, value in plain(found).items()}

    async def domain_set_perf_events(self, uuid: str, events: Mapping[str, bool], *, scope: Scope = CURRENT) -> None:
        await self._change(uuid, "domain_set_perf_events", typed(events), scope.flags)

    async def _params(self, uuid: str, name: str, scope: Scope, *which: Any) -> Params:
        """Who asks for none learns how many there are."""
        flags = scope.flags | _TEXTS_TOO
        count = (await self._ask(uuid, name, *which, 0, flags)).nparams
        return plain((await self._ask(uuid, name, *which, count, flags)).params)


def _maps(data: bytes, width: int) -> list[tuple[int, ...]]:
    """CPU maps one after another."""
    return [tuple(sorted(from_bytes(data[at : at + width]))) for at in range(0, len(data), width)]
