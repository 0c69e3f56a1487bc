"""The share of the host that a guest gets.

The calls without flags are from before there were any, and mean the running guest, unless noted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import DomainRef, not_both, only
from vmherd.driver.params import INTERFACE, Params, Value, kind_of
from vmherd.driver.types import LIVE, Scope
from vmherd.errors import InvalidArgument
from vmherd.rpc.params import plain, typed
from vmherd.rpc.xdr import TypedParam
from vmherd.util.bits import from_bytes, to_bytes

_KIB = 1024
_NANOSECONDS = 1_000_000_000

#: virDomainModificationImpact, and virTypedParameterFlags.
_AFFECT, _STRINGS = 3, 4
#: virDomainVcpuFlags, virDomainMemoryModFlags.
_MAXIMUM, _GUEST, _HOTPLUGGABLE = 4, 8, 16


def _scope(flags: int, known: int = 0) -> Scope:
    """What a call reaches; InvalidArgument for bits that are neither scope nor ``known``."""
    only(flags, _AFFECT | known)
    return Scope.from_flags(flags)


# vCPUs


@remote
async def domain_set_vcpus(call: Call, dom: DomainRef, count: int) -> None:
    await call.driver.domain_set_vcpu_count(dom.uuid, count, scope=LIVE)


@remote
async def domain_set_vcpus_flags(call: Call, dom: DomainRef, count: int, flags: int) -> None:
    scope = _scope(flags, _MAXIMUM | _GUEST | _HOTPLUGGABLE)
    not_both(flags, _GUEST, _MAXIMUM, ("VIR_DOMAIN_VCPU_GUEST", "VIR_DOMAIN_VCPU_MAXIMUM"))
    not_both(flags, _GUEST, _HOTPLUGGABLE, ("VIR_DOMAIN_VCPU_GUEST", "VIR_DOMAIN_VCPU_HOTPLUGGABLE"))
    not_both(flags, _GUEST, Scope(config=True).flags, ("VIR_DOMAIN_VCPU_GUEST", "VIR_DOMAIN_AFFECT_CONFIG"))
    if flags & _GUEST:
        await _set_guest_count(call, dom.uuid, count)
        return
    maximum, loose = bool(flags & _MAXIMUM), bool(flags & _HOTPLUGGABLE)
    await call.driver.domain_set_vcpu_count(dom.uuid, count, maximum=maximum, hotpluggable=loose, scope=scope)


@remote
async def domain_get_vcpus_flags(call: Call, dom: DomainRef, flags: int) -> int:
    scope = _scope(flags, _MAXIMUM | _GUEST)
    if flags & _GUEST:
        told = await call.driver.domain_guest_vcpus(dom.uuid)
        return len(_numbers(str(told["vcpus" if flags & _MAXIMUM else "online"])))
    return await call.driver.domain_vcpu_count(dom.uuid, maximum=bool(flags & _MAXIMUM), scope=scope)


async def _set_guest_count(call: Call, uuid: str, count: int) -> None:
    """Have the guest use so many of its vCPUs.  Source: qemuAgentUpdateCPUInfo of libvirt"""
    told = {name: _numbers(str(text)) for name, text in (await call.driver.domain_guest_vcpus(uuid)).items()}
    online = told["online"]
    if count > len(told["vcpus"]):
        text = "requested vcpu count is greater than the count of enabled vcpus in the domain"
        raise InvalidArgument(f"{text}: {count} > {len(told['vcpus'])}")
    on = [number for number in told["vcpus"] if number not in online][: max(0, count - len(online))]
    off = [number for number in reversed(online) if number in told["offlinable"]][: max(0, len(online) - count)]
    if len(online) - len(off) > count:
        raise InvalidArgument("Cannot offline enough CPUs", hint="the guest says which can be")
    for numbers, wanted in ((on, True), (off, False)):
        if numbers:
            await call.driver.domain_set_guest_vcpus(uuid, ",".join(map(str, numbers)), online=wanted)


@remote
async def domain_get_max_vcpus(call: Call, dom: DomainRef) -> int:
    return await call.driver.domain_vcpu_count(dom.uuid, maximum=True, scope=LIVE)


@remote
async def domain_set_vcpu(call: Call, dom: DomainRef, vcpus: str, state: int, flags: int) -> None:
    scope = _scope(flags)
    await call.driver.domain_set_vcpus(dom.uuid, _numbers(vcpus), enabled=bool(state), scope=scope)


def _numbers(text: str) -> tuple[int, ...]:
    """A list like "0-3,5"; none for an empty text."""
    from vmherd.util.xmlmodel.scalars import parse_cpus

    try:
        return parse_cpus(text) if text else ()
    except ValueError as problem:
        raise InvalidArgument(str(problem)) from None


@remote
async def domain_get_vcpus(
    call: Call, dom: DomainRef, most: int, size: int
) -> tuple[list[tuple[int, int, int, int]], bytes]:
    found = (await call.driver.domain_vcpu_info(dom.uuid))[:most]
    infos = [(each.number, int(each.state), round(each.cpu_time * _NANOSECONDS), each.cpu) for each in found]
    return infos, _maps([each.affinity for each in found], size)


def _maps(sets: Collection[Collection[int]], size: int) -> bytes:
    """Bit maps of CPUs, each of ``size`` bytes: more CPUs than that are not told."""
    return b"".join(to_bytes((cpu for cpu in cpus if cpu < size * 8), size * 8) for cpus in sets)


@remote
async def domain_get_vcpu_pin_info(call: Call, dom: DomainRef, count: int, size: int, flags: int) -> tuple[bytes, int]:
    pins = (await call.driver.domain_vcpu_pins(dom.uuid, scope=_scope(flags)))[:count]
    return _maps(pins, size), len(pins)


@remote
async def domain_pin_vcpu(call: Call, dom: DomainRef, vcpu: int, cpus: bytes) -> None:
    await call.driver.domain_pin_vcpu(dom.uuid, vcpu, from_bytes(cpus), scope=LIVE)


@remote
async def domain_pin_vcpu_flags(call: Call, dom: DomainRef, vcpu: int, cpus: bytes, flags: int) -> None:
    await call.driver.domain_pin_vcpu(dom.uuid, vcpu, from_bytes(cpus), scope=_scope(flags))


@remote
async def domain_get_emulator_pin_info(call: Call, dom: DomainRef, size: int, flags: int) -> tuple[bytes, int]:
    return _maps([await call.driver.domain_emulator_pin(dom.uuid, scope=_scope(flags))], size), 1


@remote
async def domain_pin_emulator(call: Call, dom: DomainRef, cpus: bytes, flags: int) -> None:
    await call.driver.domain_pin_emulator(dom.uuid, from_bytes(cpus), scope=_scope(flags))


@remote
async def domain_get_cpu_stats(
    call: Call, dom: DomainRef, nparams: int, start: int, count: int, flags: int
) -> tuple[list[TypedParam], int]:
    """With a ``start`` of -1 the sum, else CPU by CPU; who asks for none learns how many there are."""
    only(flags, _STRINGS)
    stats = await call.driver.domain_cpu_stats(dom.uuid)
    if start < 0:
        told = {"cpu_time": stats.total, "user_time": stats.user, "system_time": stats.system}
        return _times(told) if nparams else [], len(told)
    if not nparams:
        return [], 1 if count else len(stats.cpus)
    if start >= len(stats.cpus):
        raise InvalidArgument(f"start_cpu {start} larger than maximum of {len(stats.cpus) - 1}")
    chosen = stats.cpus[start : start + count]
    return [param for seconds in chosen for param in _times({"cpu_time": seconds})], 1


def _times(seconds: Mapping[str, float]) -> list[TypedParam]:
    return typed({name: round(value * _NANOSECONDS) for name, value in seconds.items()})


# I/O threads


@remote
async def domain_get_iothread_info(call: Call, dom: DomainRef, flags: int) -> tuple[list[tuple[int, bytes]], int]:
    found = await call.driver.domain_iothreads(dom.uuid, scope=_scope(flags))
    return [(each.number, to_bytes(each.affinity)) for each in found], len(found)


@remote
async def domain_add_iothread(call: Call, dom: DomainRef, number: int, flags: int) -> None:
    await call.driver.domain_add_iothread(dom.uuid, number, scope=_scope(flags))


@remote
async def domain_del_iothread(call: Call, dom: DomainRef, number: int, flags: int) -> None:
    await call.driver.domain_remove_iothread(dom.uuid, number, scope=_scope(flags))


@remote
async def domain_pin_iothread(call: Call, dom: DomainRef, number: int, cpus: bytes, flags: int) -> None:
    await call.driver.domain_pin_iothread(dom.uuid, number, from_bytes(cpus), scope=_scope(flags))


@remote
async def domain_set_iothread_params(
    call: Call, dom: DomainRef, number: int, params: list[TypedParam], flags: int
) -> None:
    await call.driver.domain_set_iothread(dom.uuid, number, _given(params), scope=_scope(flags, _STRINGS))


# Memory


@remote
async def domain_set_memory(call: Call, dom: DomainRef, size: int) -> None:
    await call.driver.domain_set_memory(dom.uuid, size * _KIB, scope=LIVE)


@remote
async def domain_set_max_memory(call: Call, dom: DomainRef, size: int) -> None:
    await call.driver.domain_set_max_memory(dom.uuid, size * _KIB)


@remote
async def domain_set_memory_flags(call: Call, dom: DomainRef, size: int, flags: int) -> None:
    scope = _scope(flags, _MAXIMUM)
    if flags & _MAXIMUM:
        await call.driver.domain_set_max_memory(dom.uuid, size * _KIB, scope=scope)
    else:
        await call.driver.domain_set_memory(dom.uuid, size * _KIB, scope=scope)


@remote
async def domain_set_memory_stats_period(call: Call, dom: DomainRef, seconds: int, flags: int) -> None:
    await call.driver.domain_set_memory_stats_period(dom.uuid, seconds, scope=_scope(flags))


#: virDomainMemoryStatTags in the order in which libvirt tells them, and what a unit of each is: 1024 bytes, or one.
_STATS = (
    (6, "current", _KIB),
    (0, "swap_in", _KIB),
    (1, "swap_out", _KIB),
    (2, "major_faults", 1),
    (3, "minor_faults", 1),
    (4, "unused", _KIB),
    (5, "available", _KIB),
    (8, "usable", _KIB),
    (9, "last_update", 1),
    (10, "disk_caches", _KIB),
    (11, "hugetlb_allocations", 1),
    (12, "hugetlb_failures", 1),
    (7, "resident", _KIB),
)


@remote
async def domain_memory_stats(call: Call, dom: DomainRef, most: int, flags: int) -> list[tuple[int, int]]:
    only(flags, 0)
    found = await call.driver.domain_memory_stats(dom.uuid)
    told = [(tag, getattr(found, name), unit) for tag, name, unit in _STATS]
    return [(tag, value // unit) for tag, value, unit in told if value is not None][:most]


# Parameters by name


def _given(params: list[TypedParam]) -> Params:
    """Parameters to be set; InvalidArgument where one comes twice, or with another type than libvirt's."""
    for name, kind, _ in params:
        if sum(each.name == name for each in params) > 1:
            raise InvalidArgument(f"parameter '{name}' occurs multiple times")
        expected = kind_of(name)
        if expected and expected != kind:
            raise InvalidArgument(f"invalid type for parameter '{name}', expected '{expected.word}'")
    return plain(params)


def _told(params: Mapping[str, Value], most: int, flags: int) -> tuple[list[TypedParam], int]:
    """As many parameters as were asked for; who asks for none learns how many there are.

    Clients from before there were texts do not get those.
    """
    if most == 0:
        return [], len(params)
    found = [param for param in typed(params) if flags & _STRINGS or not isinstance(param.value, str)]
    return found[:most], len(found[:most])


@remote
async def domain_get_memory_parameters(
    call: Call, dom: DomainRef, most: int, flags: int
) -> tuple[list[TypedParam], int]:
    found = await call.driver.domain_memory_params(dom.uuid, scope=_scope(flags, _STRINGS))
    return _told(found, most, flags)


@remote
async def domain_set_memory_parameters(call: Call, dom: DomainRef, params: list[TypedParam], flags: int) -> None:
    await call.driver.domain_set_memory_params(dom.uuid, _given(params), scope=_scope(flags, _STRINGS))


@remote
async def domain_get_blkio_parameters(
    call: Call, dom: DomainRef, most: int, flags: int
) -> tuple[list[TypedParam], int]:
    found = await call.driver.domain_blkio_params(dom.uuid, scope=_scope(flags, _STRINGS))
    return _told(found, most, flags)


@remote
async def domain_set_blkio_parameters(call: Call, dom: DomainRef, params: list[TypedParam], flags: int) -> None:
    await call.driver.domain_set_blkio_params(dom.uuid, _given(params), scope=_scope(flags, _STRINGS))


@remote
async def domain_get_scheduler_type(call: Call, dom: DomainRef) -> tuple[str, int]:
    return await call.driver.domain_scheduler_type(dom.uuid)


@remote
async def domain_get_scheduler_parameters(call: Call, dom: DomainRef, most: int) -> list[TypedParam]:
    return typed(await call.driver.domain_scheduler_params(dom.uuid))[:most]


@remote
async def domain_get_scheduler_parameters_flags(call: Call, dom: DomainRef, most: int, flags: int) -> list[TypedParam]:
    return typed(await call.driver.domain_scheduler_params(dom.uuid, scope=_scope(flags, _STRINGS)))[:most]


@remote
async def domain_set_scheduler_parameters(call: Call, dom: DomainRef, params: list[TypedParam]) -> None:
    await call.driver.domain_set_scheduler_params(dom.uuid, _given(params))


@remote
async def domain_set_scheduler_parameters_flags(
    call: Call, dom: DomainRef, params: list[TypedParam], flags: int
) -> None:
    await call.driver.domain_set_scheduler_params(dom.uuid, _given(params), scope=_scope(flags, _STRINGS))


@remote
async def domain_get_numa_parameters(call: Call, dom: DomainRef, most: int, flags: int) -> tuple[list[TypedParam], int]:
    return _told(await call.driver.domain_numa_params(dom.uuid, scope=_scope(flags, _STRINGS)), most, flags)


@remote
async def domain_set_numa_parameters(call: Call, dom: DomainRef, params: list[TypedParam], flags: int) -> None:
    await call.driver.domain_set_numa_params(dom.uuid, _given(params), scope=_scope(flags, _STRINGS))


@remote
async def domain_get_interface_parameters(
    call: Call, dom: DomainRef, device: str, most: int, flags: int
) -> tuple[list[TypedParam], int]:
    scope = _scope(flags, _STRINGS)
    if most == 0:
        return [], len(INTERFACE)
    found = await call.driver.domain_interface_params(dom.uuid, device, scope=scope)
    return _told(found, most, flags)


@remote
async def domain_set_interface_parameters(
    call: Call, dom: DomainRef, device: str, params: list[TypedParam], flags: int
) -> None:
    scope = _scope(flags, _STRINGS)
    await call.driver.domain_set_interface_params(dom.uuid, device, _given(params), scope=scope)


@remote
async def domain_get_perf_events(call: Call, dom: DomainRef, flags: int) -> list[TypedParam]:
    return typed(await call.driver.domain_perf_events(dom.uuid, scope=_scope(flags, _STRINGS)))


@remote
async def domain_set_perf_events(call: Call, dom: DomainRef, params: list[TypedParam], flags: int) -> None:
    events = {name: bool(value) for name, value in _given(params).items()}
    await call.driver.domain_set_perf_events(dom.uuid, events, scope=_scope(flags, _STRINGS))
