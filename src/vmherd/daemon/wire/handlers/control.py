"""Names and metadata, jobs, sleep, and the hypervisor's own monitor.

Source: qemu_driver.c of libvirt, for what it refuses and in which words.
"""

from __future__ import annotations

from typing import Any

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import answers, remote
from vmherd.daemon.wire.flags import DomainRef, not_both, only
from vmherd.daemon.wire.monitorevents import MonitorCallbacks
from vmherd.driver.control import End
from vmherd.driver.host import SuspendTarget
from vmherd.driver.params import Value
from vmherd.driver.types import Scope
from vmherd.errors import ArgumentUnsupported, InvalidArgument, OperationUnsupported
from vmherd.events import MetadataType
from vmherd.rpc.params import plain, typed

qemu = answers("qemu")

_AFFECT, _LIVE, _CONFIG = 3, 1, 2
#: virDomainGetJobStatsFlags, virDomainAbortJobFlagsValues, virDomainQemuMonitorCommandFlags
_COMPLETED, _KEEP = 1, 2
_POSTCOPY = 1
_HMP = 1
#: What the fields of virDomainJobInfo are called among the statistics, in its order.
_JOB_INFO = (
    *("time_elapsed", "time_remaining", "data_total", "data_processed", "data_remaining"),
    *("memory_total", "memory_processed", "memory_remaining", "disk_total", "disk_processed", "disk_remaining"),
)
_MILLISECONDS = 1000
#: VIR_TYPED_PARAM_STRING_OKAY: parameters may be texts, as clients of our day always say.
_STRINGS = 4


# Names and metadata


@remote
async def domain_get_metadata(call: Call, dom: DomainRef, kind: int, uri: str | None, flags: int) -> str:
    only(flags, _AFFECT)
    not_both(flags, _LIVE, _CONFIG, ("VIR_DOMAIN_AFFECT_LIVE", "VIR_DOMAIN_AFFECT_CONFIG"))
    return await call.driver.domain_metadata(dom.uuid, _metadata(kind), uri=uri, scope=Scope.from_flags(flags))


@remote
async def domain_set_metadata(
    call: Call, dom: DomainRef, kind: int, text: str | None, key: str | None, uri: str | None, flags: int
) -> None:
    only(flags, _AFFECT)
    scope = Scope.from_flags(flags)
    await call.driver.domain_set_metadata(dom.uuid, _metadata(kind), text, key=key, uri=uri, scope=scope)


def _metadata(kind: int) -> MetadataType:
    try:
        return MetadataType(kind)
    except ValueError:
        raise InvalidArgument(f"unknown metadata type '{kind}'") from None


@remote
async def domain_rename(call: Call, dom: DomainRef, name: str | None, flags: int) -> int:
    only(flags, 0)
    await call.driver.domain_rename(dom.uuid, name or "")
    return 0


# Jobs


@remote
async def domain_get_job_info(call: Call, dom: DomainRef) -> tuple[Any, ...]:
    told = await call.driver.domain_job_stats(dom.uuid)
    return int(told.type), *(int(told.params.get(name, 0)) for name in _JOB_INFO)


@remote
async def domain_get_job_stats(call: Call, dom: DomainRef, flags: int) -> tuple[int, list[Any]]:
    only(flags, _COMPLETED | _KEEP)
    completed, keep = bool(flags & _COMPLETED), bool(flags & _KEEP)
    told = await call.driver.domain_job_stats(dom.uuid, completed=completed, keep=keep)
    return int(told.type), typed(told.params)


@remote
async def domain_abort_job(call: Call, dom: DomainRef) -> None:
    await call.driver.domain_abort_job(dom.uuid)


@remote
async def domain_abort_job_flags(call: Call, dom: DomainRef, flags: int) -> None:
    only(flags, _POSTCOPY)
    if flags & _POSTCOPY:
        raise OperationUnsupported("there is no migration in post-copy mode that could be paused")
    await call.driver.domain_abort_job(dom.uuid)


@remote
async def domain_get_control_info(call: Call, dom: DomainRef, flags: int) -> tuple[int, int, int]:
    only(flags, 0)
    told = await call.driver.domain_control_info(dom.uuid)
    return int(told.state), told.reason, int(told.duration * _MILLISECONDS)


# Sleep and secrets


@remote
async def domain_pm_suspend_for_duration(call: Call, dom: DomainRef, target: int, duration: int, flags: int) -> None:
    only(flags, 0)
    if duration:
        raise ArgumentUnsupported("Duration not supported. Use 0 for now")
    if target not in set(SuspendTarget):
        raise InvalidArgument(f"Unknown suspend target: {target}")
    await call.driver.domain_pm_suspend(dom.uuid, SuspendTarget(target))


@remote
async def domain_pm_wakeup(call: Call, dom: DomainRef, flags: int) -> None:
    only(flags, 0)
    await call.driver.domain_pm_wakeup(dom.uuid)


@remote
async def domain_get_launch_security_info(call: Call, dom: DomainRef, flags: int) -> list[Any]:
    only(flags, _STRINGS)
    return typed(await call.driver.domain_launch_security_info(dom.uuid))


@remote
async def domain_set_launch_security_state(call: Call, dom: DomainRef, params: list[Any], flags: int) -> None:
    only(flags, 0)
    wanted: dict[str, Value] = plain(params)
    await call.driver.domain_set_launch_security_state(dom.uuid, wanted)


# The monitor


@qemu
async def domain_monitor_command(call: Call, dom: DomainRef, command: str, flags: int) -> str:
    only(flags, _HMP)
    return await call.driver.domain_monitor_command(dom.uuid, command, human=bool(flags & _HMP))


@qemu
async def domain_monitor_command_with_files(call: Call, dom: DomainRef, command: str, flags: int) -> str:
    only(flags, _HMP)
    human = bool(flags & _HMP)
    return await call.driver.domain_monitor_command(dom.uuid, command, human=human, files=call.fds)


@qemu
async def connect_domain_monitor_event_register(
    call: Call, dom: DomainRef | None, event: str | None, flags: int
) -> int:
    client = call.client
    if client.monitor_callbacks is None:
        client.monitor_callbacks = MonitorCallbacks(client, call.driver)
    return await client.monitor_callbacks.add(event, dom.uuid if dom else None, flags)


@qemu
def connect_domain_monitor_event_deregister(call: Call, number: int) -> None:
    if call.client.monitor_callbacks is None:
        raise InvalidArgument(f"qemu monitor event callback {number} not registered")
    call.client.monitor_callbacks.remove(number)


# Ends and measures

#: virDomainLifecycleAction, as documents write it.
_ACTIONS = ("destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart")
#: virDomainDirtyRateCalcFlags
_DIRTY_MODES = {0: "page-sampling", 1: "dirty-bitmap", 2: "dirty-ring"}


@remote
async def domain_set_lifecycle_action(call: Call, dom: DomainRef, kind: int, action: int, flags: int) -> None:
    only(flags, _AFFECT)
    if kind not in set(End) or action >= len(_ACTIONS):
        raise InvalidArgument(f"there is no lifecycle action {kind}, {action}")
    scope = Scope.from_flags(flags)
    await call.driver.domain_set_end_action(dom.uuid, End(kind), _ACTIONS[action], scope=scope)


@remote
async def domain_start_dirty_rate_calc(call: Call, dom: DomainRef, seconds: int, flags: int) -> None:
    if flags not in _DIRTY_MODES:
        raise InvalidArgument(f"unsupported flags (0x{flags:x})", hint="name one way of measuring")
    await call.driver.domain_measure_dirty_rate(dom.uuid, seconds, mode=_DIRTY_MODES[flags])
