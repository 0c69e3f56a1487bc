"""The monitor itself, metadata, jobs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

from vmherd.driver.control import ControlInfo, ControlState, End, JobStats
from vmherd.driver.host import SecurityLabel, SuspendTarget
from vmherd.driver.params import LAUNCH_SECRET, Params, check
from vmherd.driver.types import CURRENT, Scope
from vmherd.errors import (
    HypervisorError,
    InvalidArgument,
    NotResponding,
    OperationUnsupported,
)
from vmherd.hypervisors.qemu.connection import QemuConnection
from vmherd.hypervisors.qemu.monitor import Monitor
from vmherd.state.changes import resolve
from vmherd.util.files import on_host

#: Seconds that a person's own command may take.
_PATIENCE = 60.0
#: Seconds for the monitor to be free.
_GLANCE = 2.0
#: Seconds in which an agent says that a guest cannot sleep; one that does is heard of earlier.
_FALLING_ASLEEP = 10.0
#: Seconds that the dirty rate may be measured at most (MAX_FETCH_DIRTYRATE_TIME_SEC of QEMU).
_LONGEST_MEASURE = 60
_MONITOR_ERROR = 2  # VIR_DOMAIN_CONTROL_ERROR_REASON_MONITOR


class QemuControl(QemuConnection):
    """The monitor itself, metadata, jobs."""

    async def domain_job_stats(self, uuid: str, *, completed: bool = False, keep: bool = False) -> JobStats:
        from vmherd.hypervisors.qemu import jobstats

        entry = self.table.get(uuid)
        if completed:
            return jobstats.ended(self._jobs.ended(uuid, keep=keep))
        self._alive(entry)
        return jobstats.running(self._jobs.info(uuid), time.time())

    async def domain_control_info(self, uuid: str) -> ControlInfo:
        live = self._alive(self.table.get(uuid))
        if job := self._jobs.info(uuid):
            return ControlInfo(state=ControlState.JOB, duration=max(0.0, time.time() - job.started))
        try:
            await self._pulse.ask(uuid, live, [("query-status", None)], patience=_GLANCE)
            return ControlInfo(state=ControlState.OK)
        except NotResponding:
            return ControlInfo(state=ControlState.OCCUPIED, duration=_GLANCE)
        except HypervisorError:
            return ControlInfo(state=ControlState.ERROR, reason=_MONITOR_ERROR)

    async def domain_security_labels(self, uuid: str) -> list[SecurityLabel]:
        entry = self.table.get(uuid)
        if entry.live is None or not entry.live.ready:
            return []
        from vmherd.conf.domain import parse_domain
        from vmherd.hypervisors.qemu import confinement
        from vmherd.security.identity import of_process

        with on_host("see who the guest runs as"):
            who = await asyncio.to_thread(of_process, entry.live.pid)
        return confinement.labels(
            parse_domain(entry.live.xml), self._workshop.config, who, privileged=self._folders.privileged
        )

    async def domain_monitor_command(
        self, uuid: str, command: str, *, human: bool = False, files: Sequence[int] = ()
    ) -> str:
        self.require_writable()
        if len(files) > 1:
            raise InvalidArgument("at most 1 fd can be passed to qemu along with a command")
        message = _human(command) if human else _message(command)
        async with self._changing(uuid, "monitor command"), self._monitor(uuid) as monitor:
            answer = await monitor.exchange(message, fd=files[0] if files else None, patience=_PATIENCE)
        if not human:
            return json.dumps({**answer, "id": "libvirt-1"}, separators=(",", ":"))
        if "error" in answer:
            raise HypervisorError(f"QEMU refused the command: {answer['error']}")
        return str(answer["return"])

    async def domain_launch_security_info(self, uuid: str) -> Params:
        self.require_writable()
        entry = self.table.get(uuid)
        if entry.live is None:
            return {}
        from vmherd.hypervisors.qemu import sev

        if not sev.wanted(entry.live.xml):
            return {}
        async with self._monitor(uuid) as monitor:
            return await sev.attestation(monitor)

    async def domain_set_launch_security_state(self, uuid: str, params: Params) -> None:
        check(params, LAUNCH_SECRET)
        async with self._changing(uuid, "set launch security state") as (_, live), self._monitor(uuid) as monitor:
            from vmherd.hypervisors.qemu import sev

            await sev.inject(live, params, monitor)

    async def domain_pm_suspend(self, uuid: str, target: SuspendTarget) -> None:
        async with self._changing(uuid, "sleep") as (_, live):
            from vmherd.conf.domain import parse_domain
            from vmherd.hypervisors.qemu import sleep

            async with self._monitor(uuid) as monitor:
                await _require_wakeup(monitor)
            sleep.check(parse_domain(live.xml), target)
            async with self._agent(uuid) as agent:
                await agent.go(sleep.COMMANDS[target], patience=_FALLING_ASLEEP)

    async def domain_set_end_action(self, uuid: str, end: End, action: str, *, scope: Scope = CURRENT) -> None:
        self.require_writable()
        from vmherd.hypervisors.qemu import ends

        edit = ends.editor(end, action)
        async with self._jobs.hold(uuid, "change lifecycle action"):
            entry = self.table.get(uuid)
            reached = resolve(entry, scope)
            if reached.config:
                await self.change_definition(uuid, edit)
            if reached.live:
                async with self._monitor(uuid) as monitor:
                    await ends.change(self.table, entry, edit, monitor)

    async def domain_taints(self, uuid: str) -> list[str]:
        from vmherd.conf.domain import parse_domain
        from vmherd.hypervisors.qemu import taints

        return taints.of(parse_domain(self._alive(self.table.get(uuid)).xml))

    async def domain_measure_dirty_rate(self, uuid: str, seconds: int, *, mode: str = "page-sampling") -> None:
        async with self._changing(uuid, "measure dirty rate"), self._monitor(uuid) as monitor:
            if not 1 <= seconds <= _LONGEST_MEASURE:
                raise InvalidArgument(f"cannot measure for {seconds} s", hint=f"1 to {_LONGEST_MEASURE} are possible")
            await monitor.execute("calc-dirty-rate", {"calc-time": seconds, "mode": mode})

    async def domain_pm_wakeup(self, uuid: str) -> None:
        async with self._changing(uuid, "wake up"), self._monitor(uuid) as monitor:
            await monitor.execute("system_wakeup")


def _human(command: str) -> dict[str, object]:
    return {"execute": "human-monitor-command", "arguments": {"command-line": command}}


def _message(command: str) -> dict[str, object]:
    try:
        message = json.loads(command)
    except ValueError as problem:
        raise InvalidArgument(
            f"this is no JSON: {problem}", hint='write {"execute": "query-status"}, or use the human monitor (--hmp)'
        ) from None
    if not isinstance(message, dict):
        raise InvalidArgument("a command of the monitor is a JSON object", hint='{"execute": "query-status"}')
    return {key: value for key, value in message.items() if key != "id"}


async def _require_wakeup(monitor: Monitor) -> None:
    """Raises OperationUnsupported for a machine that would never wake up again."""
    machine = await monitor.execute("query-current-machine")
    if not machine["wakeup-suspend-support"]:
        raise OperationUnsupported("Domain does not have suspend support")
