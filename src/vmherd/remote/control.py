"""Names and metadata, jobs, sleep, and the hypervisor's own monitor, over the wire."""

from __future__ import annotations

import os
from collections.abc import Sequence

from vmherd.driver.control import ControlInfo, ControlState, End, JobStats, JobType
from vmherd.driver.host import SecurityLabel, SuspendTarget
from vmherd.driver.params import LAUNCH_SECRET, Params
from vmherd.driver.types import CURRENT, Scope
from vmherd.errors import InvalidArgument
from vmherd.events import MetadataType
from vmherd.remote.connection import RemoteConnection
from vmherd.remote.host import letters
from vmherd.rpc.params import plain, typed

_COMPLETED, _KEEP = 1, 2
_HMP = 1
_MILLISECOND = 1e-3
_TAINTING = 2
#: virDomainLifecycleAction, as documents write it, and virDomainDirtyRateCalcFlags.
_ACTIONS = ("destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart")
_DIRTY_MODES = ("page-sampling", "dirty-bitmap", "dirty-ring")


class RemoteControl(RemoteConnection):
    """Past the documents."""

    async def domain_metadata(
        self, uuid: str, kind: MetadataType, *, uri: str | None = None, scope: Scope = CURRENT
    ) -> str:
        return str(await self._ask(uuid, "domain_get_metadata", kind, uri, scope.flags))

    async def domain_set_metadata(
        self,
        uuid: str,
        kind: MetadataType,
        text: str | None,
        *,
        key: str | None = None,
        uri: str | None = None,
        scope: Scope = CURRENT,
    ) -> None:
        await self._change(uuid, "domain_set_metadata", kind, text, key, uri, scope.flags)

    async def domain_rename(self, uuid: str, name: str) -> None:
        await self._change(uuid, "domain_rename", name, 0)

    async def domain_job_stats(self, uuid: str, *, completed: bool = False, keep: bool = False) -> JobStats:
        flags = _COMPLETED * completed | _KEEP * keep
        kind, params = await self._ask(uuid, "domain_get_job_stats", flags)
        return JobStats(type=JobType(kind), params=plain(params))

    async def domain_control_info(self, uuid: str) -> ControlInfo:
        state, reason, since = await self._ask(uuid, "domain_get_control_info", 0)
        return ControlInfo(state=ControlState(state), reason=reason, duration=since * _MILLISECOND)

    async def domain_monitor_command(
        self, uuid: str, command: str, *, human: bool = False, files: Sequence[int] = ()
    ) -> str:
        self.require_writable()
        name = "domain_monitor_command_with_files" if files else "domain_monitor_command"
        arguments = (self._ref(uuid), command, _HMP * human)
        sent = [os.dup(fd) for fd in files]  # they are closed when they are sent
        return str(await self._caller.call(name, *arguments, program="qemu", fds=sent))

    async def domain_launch_security_info(self, uuid: str) -> Params:
        return plain(await self._change(uuid, "domain_get_launch_security_info", 0))

    async def domain_set_launch_security_state(self, uuid: str, params: Params) -> None:
        told = typed(params, LAUNCH_SECRET.get)
        await self._change(uuid, "domain_set_launch_security_state", told, 0)

    async def domain_pm_suspend(self, uuid: str, target: SuspendTarget) -> None:
        await self._change(uuid, "domain_pm_suspend_for_duration", target, 0, 0)

    async def domain_pm_wakeup(self, uuid: str) -> None:
        await self._change(uuid, "domain_pm_wakeup", 0)

    async def domain_set_end_action(self, uuid: str, end: End, action: str, *, scope: Scope = CURRENT) -> None:
        if action not in _ACTIONS:
            raise InvalidArgument(f"there is no action {action!r}", hint=f"there are: {', '.join(_ACTIONS)}")
        await self._change(uuid, "domain_set_lifecycle_action", end, _ACTIONS.index(action), scope.flags)

    async def domain_taints(self, uuid: str) -> list[str]:
        return list(await self._ask(uuid, "domain_get_messages", _TAINTING))

    async def domain_measure_dirty_rate(self, uuid: str, seconds: int, *, mode: str = "page-sampling") -> None:
        if mode not in _DIRTY_MODES:
            raise InvalidArgument(f"there is no mode {mode!r}", hint=f"there are: {', '.join(_DIRTY_MODES)}")
        await self._change(uuid, "domain_start_dirty_rate_calc", seconds, _DIRTY_MODES.index(mode))

    async def domain_security_labels(self, uuid: str) -> list[SecurityLabel]:
        found = await self._ask(uuid, "domain_get_security_label_list")
        return [SecurityLabel(label=letters(each.label), enforcing=bool(each.enforcing)) for each in found.labels]
