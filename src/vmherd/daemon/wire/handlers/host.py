"""The host: processors, memory, firmware, CPU models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import only
from vmherd.driver.host import SuspendTarget
from vmherd.driver.types import CpuComparison, GuestKind
from vmherd.errors import InvalidArgument, VmherdError
from vmherd.rpc.params import plain, typed
from vmherd.util.bits import to_bytes

_KIB = 1024
_NANOSECONDS = 1_000_000_000

_ALL = -1  # CPUs, or NUMA nodes
_ADD_PAGES, _SET_PAGES = 0, 1

#: VIR_CPU_COMPARE_*
_COMPARED = {"incompatible": 0, "identical": 1, "superset": 2}
_FAIL_INCOMPATIBLE, _VALIDATE = 1, 2
_EXPAND, _MIGRATABLE = 1, 2


class CpuIncompatible(VmherdError):
    code = 91  # VIR_ERR_CPU_INCOMPATIBLE


@remote
async def connect_get_max_vcpus(call: Call, domain_type: str | None) -> int:
    return await call.driver.max_vcpus(domain_type or "")


@remote
async def connect_get_sysinfo(call: Call, flags: int) -> str:
    only(flags, 0)
    return await call.driver.host_sysinfo()


@remote
async def node_get_info(call: Call) -> tuple[Any, ...]:
    found = await call.driver.host_info()
    shape = (found.nodes, found.sockets, found.cores, found.threads)
    return found.model, found.memory // _KIB, found.cpus, found.mhz, *shape


@remote
async def node_get_security_model(call: Call) -> tuple[list[int], list[int]]:
    found = await call.driver.host_security_model()
    return _letters(found.model), _letters(found.doi)


def _letters(text: str) -> list[int]:
    """Text that the protocol has as an array of characters with a NUL at its end."""
    return [*text.encode(), 0]


# Processors


@remote
async def node_get_cpu_stats(call: Call, number: int, nparams: int, flags: int) -> tuple[list[tuple[str, int]], int]:
    only(flags, 0)
    found = await call.driver.host_cpu_times(None if number == _ALL else number)
    told = {"kernel": found.system, "user": found.user, "idle": found.idle, "iowait": found.iowait}
    told["intr"] = found.interrupts
    return _counted({name: round(value * _NANOSECONDS) for name, value in told.items() if value is not None}, nparams)


def _counted(told: Mapping[str, int], nparams: int) -> tuple[list[tuple[str, int]], int]:
    """Who asks for none learns how many there are, and must ask for as many."""
    if nparams not in (0, len(told)):
        raise InvalidArgument(f"nparams must be {len(told)}, not {nparams}")
    return list(told.items()) if nparams else [], len(told)


@remote
async def node_get_cpu_map(call: Call, need_map: int, need_online: int, flags: int) -> tuple[bytes, int, int]:
    only(flags, 0)
    found = await call.driver.host_cpu_map()
    bits = to_bytes(found.online, found.present) if need_map else b""
    return bits, len(found.online) if need_online else 0, found.present


# Memory


@remote
async def node_get_memory_stats(call: Call, nparams: int, cell: int, flags: int) -> tuple[list[tuple[str, int]], int]:
    only(flags, 0)
    found = await call.driver.host_memory(None if cell == _ALL else cell)
    told = {"total": found.total, "free": found.free, "buffers": found.buffers, "cached": found.cached}
    return _counted({name: value // _KIB for name, value in told.items() if value is not None}, nparams)


@remote
async def node_get_free_memory(call: Call) -> int:
    return await call.driver.host_free_memory()


@remote
async def node_get_cells_free_memory(call: Call, first: int, most: int) -> list[int]:
    if most <= 0:
        raise InvalidArgument(f"maxCells must be greater than zero, not {most}")
    return await call.driver.host_cells_free_memory(first, most)


@remote
async def node_get_free_pages(call: Call, pages: list[int], first: int, count: int, flags: int) -> list[int]:
    only(flags, 0)
    found = await call.driver.host_free_pages([page * _KIB for page in pages], first=first, count=count)
    return [number for cell in found for number in cell]


@remote
async def node_alloc_pages(call: Call, sizes: list[int], counts: list[int], first: int, many: int, flags: int) -> int:
    only(flags, _SET_PAGES)
    if len(sizes) != len(counts) or not sizes:
        raise InvalidArgument(f"{len(sizes)} sizes of pages with {len(counts)} numbers of them")
    pages = dict(zip((size * _KIB for size in sizes), counts, strict=True))
    where = None if first == _ALL else first
    return await call.driver.host_allocate_pages(pages, first=where, count=many, add=flags == _ADD_PAGES)


@remote
async def node_get_memory_parameters(call: Call, nparams: int, flags: int) -> tuple[list[Any], int]:
    only(flags, 4)  # VIR_TYPED_PARAM_STRING_OKAY
    found = await call.driver.host_memory_parameters()
    return typed(found)[:nparams], len(found)


@remote
async def node_set_memory_parameters(call: Call, params: list[Any], flags: int) -> None:
    only(flags, 0)
    wanted = {}
    for name, value in plain(params).items():
        if not isinstance(value, int):
            raise InvalidArgument(f"parameter {name!r} is a number")
        wanted[name] = value
    await call.driver.host_set_memory_parameters(wanted)


@remote
async def node_suspend_for_duration(call: Call, target: int, seconds: int, flags: int) -> None:
    only(flags, 0)
    if target not in set(SuspendTarget):
        raise InvalidArgument(f"there is no suspend target {target}")
    await call.driver.host_suspend(SuspendTarget(target), seconds)


# CPU models


@remote
async def connect_get_cpu_model_names(call: Call, arch: str, need_results: int, flags: int) -> tuple[list[str], int]:
    only(flags, 0)
    names = await call.driver.host_cpu_model_names(arch)
    return names if need_results else [], len(names)


@remote
async def connect_compare_cpu(call: Call, xml: str, flags: int) -> int:
    only(flags, _FAIL_INCOMPATIBLE | _VALIDATE)
    return _compared(await call.driver.host_compare_cpu(xml), flags)


@remote
async def connect_compare_hypervisor_cpu(
    call: Call, emulator: str | None, arch: str | None, machine: str | None, kind: str | None, xml: str, flags: int
) -> int:
    only(flags, _FAIL_INCOMPATIBLE | _VALIDATE)
    return _compared(await call.driver.cpu_compare(xml, guests=_guests(emulator, arch, machine, kind)), flags)


def _compared(found: CpuComparison, flags: int) -> int:
    if found.result == "incompatible" and flags & _FAIL_INCOMPATIBLE:
        lacking = ", ".join(found.lacks)
        raise CpuIncompatible(
            "the CPU is incompatible with host CPU"
            + (f": Host CPU does not provide required features: {lacking}" if lacking else "")
        )
    return _COMPARED[found.result]


def _guests(emulator: str | None, arch: str | None, machine: str | None, kind: str | None) -> GuestKind:
    return GuestKind(emulator=emulator or "", arch=arch or "", machine=machine or "", domain_type=kind or "")


@remote
async def connect_baseline_cpu(call: Call, documents: list[str], flags: int) -> str:
    expand, migratable = _told(documents, flags)
    return await call.driver.host_baseline_cpu(documents, expand=expand, migratable=migratable)


@remote
async def connect_baseline_hypervisor_cpu(
    call: Call,
    emulator: str | None,
    arch: str | None,
    machine: str | None,
    kind: str | None,
    documents: list[str],
    flags: int,
) -> str:
    expand, migratable = _told(documents, flags)
    guests = _guests(emulator, arch, machine, kind)
    return await call.driver.cpu_baseline(documents, expand=expand, migratable=migratable, guests=guests)


def _told(documents: Sequence[str], flags: int) -> tuple[bool, bool]:
    only(flags, _EXPAND | _MIGRATABLE)
    if not documents:
        raise InvalidArgument("no CPUs given")
    return bool(flags & _EXPAND), bool(flags & _MIGRATABLE)
