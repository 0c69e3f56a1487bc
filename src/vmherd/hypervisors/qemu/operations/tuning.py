"""The share of the host that a guest gets: what a running QEMU, and the host around it, are told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vmherd.driver.params import Params
from vmherd.driver.tuning import CpuStats, VcpuInfo
from vmherd.driver.types import CURRENT, LIVE, BalloonStats, Scope
from vmherd.errors import ArgumentUnsupported, HostError, InvalidState, Unsupported
from vmherd.hypervisors.qemu.connection import QemuConnection
from vmherd.state.changes import change_running, resolve
from vmherd.state.domains import Entry, Live
from vmherd.state.tuning.operations import LocalTuning

if TYPE_CHECKING:
    from vmherd.conf.domain import Domain
    from vmherd.util.cgroup.group import Group


class QemuTuning(LocalTuning, QemuConnection):
    """The share of the host that a guest gets."""

    def _require_tuning(self, what: str) -> None:
        if not self._folders.privileged:
            text = f"{what} tuning is not available in session mode"
            raise Unsupported(text, hint="control groups are root's: use qemu:///system")

    def _group(self, uuid: str) -> Group | None:
        from vmherd.hypervisors.qemu.tuning import groups

        return groups.of(self._folders.guest(uuid))

    # vCPUs

    async def _switch_vcpus(self, entry: Entry, live: Live, domain: Domain, plug: list[int], unplug: list[int]) -> None:
        from vmherd.hypervisors.qemu.tuning import arrivals, hotcpus

        async with self._monitor(entry.uuid) as monitor:
            try:
                await hotcpus.plug(monitor, plug)
                await hotcpus.unplug(monitor, unplug)
            finally:
                # Whatever came of it: some may be there that were not, and one that is asked to go may go later.
                await hotcpus.note(monitor, domain)
                change_running(self.table, entry.uuid, live.id, arrivals.states_of(domain))
            await arrivals.settle(monitor, live.pid, domain, self._group(entry.uuid), vcpus=plug)

    async def domain_vcpu_info(self, uuid: str) -> list[VcpuInfo]:
        from vmherd.hypervisors.qemu.tuning import threads

        entry = self.table.get(uuid)
        if entry.live is None:
            raise InvalidState("cannot retrieve vcpu information for inactive domain")
        async with self._monitor(uuid) as monitor:
            return threads.describe(await threads.find(monitor, entry.live.pid))

    async def _apply_vcpu_pin(self, entry: Entry, live: Live, domain: Domain, *, vcpu: int) -> None:
        from vmherd.hypervisors.qemu.tuning import threads
        from vmherd.state.tuning import pins, vcpus

        if not vcpus.states(domain)[vcpu].enabled:
            return  # it is bound when it is plugged
        async with self._monitor(entry.uuid) as monitor:
            found = await threads.find(monitor, live.pid)
        threads.bind([found.vcpu(vcpu)], pins.of_vcpus(domain)[vcpu])

    async def _apply_emulator_pin(self, entry: Entry, live: Live, domain: Domain) -> None:
        from vmherd.hypervisors.qemu.tuning import threads
        from vmherd.state.tuning import pins

        async with self._monitor(entry.uuid) as monitor:
            found = await threads.find(monitor, live.pid)
        threads.bind(found.others, pins.of_emulator(domain))

    async def domain_cpu_stats(self, uuid: str) -> CpuStats:
        from vmherd.util.cgroup import limits

        self._require_tuning("CPU")
        self._alive(self.table.get(uuid))
        group = self._group(uuid)
        if group is None or not group.has("cpuacct"):
            raise InvalidState("cgroup CPUACCT controller is not mounted")
        total, user, system = limits.cpu_usage(group)
        return CpuStats(total=total, user=user, system=system, cpus=limits.cpu_usage_each(group))

    # I/O threads

    async def _apply_new_iothread(self, entry: Entry, live: Live, domain: Domain, *, number: int) -> None:
        from vmherd.hypervisors.qemu.tuning import arrivals

        async with self._monitor(entry.uuid) as monitor:
            await monitor.execute("object-add", {"qom-type": "iothread", "id": f"iothread{number}"})
            await arrivals.settle(monitor, live.pid, domain, self._group(entry.uuid), iothreads=[number])

    async def _apply_no_iothread(self, entry: Entry, live: Live, domain: Domain, *, number: int) -> None:
        async with self._monitor(entry.uuid) as monitor:
            await monitor.execute("object-del", {"id": f"iothread{number}"})

    async def _apply_iothread_pin(self, entry: Entry, live: Live, domain: Domain, *, number: int) -> None:
        from vmherd.hypervisors.qemu.tuning import threads
        from vmherd.state.tuning import pins

        async with self._monitor(entry.uuid) as monitor:
            found = await threads.find(monitor, live.pid)
        threads.bind([found.iothreads[number]], pins.of_iothread(domain, number))

    async def _apply_iothread(self, entry: Entry, live: Live, domain: Domain, *, number: int, params: Params) -> None:
        from vmherd.hypervisors.qemu.tuning import polling

        async with self._monitor(entry.uuid) as monitor:
            await polling.configure(monitor, domain, number, params)

    # Memory

    async def _apply_memory(self, entry: Entry, live: Live, domain: Domain) -> None:
        from vmherd.hypervisors.qemu.tuning import balloon

        async with self._monitor(entry.uuid) as monitor:
            await balloon.ask(monitor, domain)

    async def domain_memory_stats(self, uuid: str) -> BalloonStats:
        from vmherd.hypervisors.qemu.statistics import memory

        entry = self.table.get(uuid)
        live, outline = self._alive(entry), self._outlines.of(entry)
        replies = await self._pulse.ask(uuid, live, memory.questions(outline)) if outline.balloon is not None else ()
        return memory.stats(entry, outline, replies)

    async def _apply_stats_period(self, entry: Entry, live: Live, domain: Domain, *, seconds: int) -> None:
        from vmherd.hypervisors.qemu.tuning import balloon

        async with self._monitor(entry.uuid) as monitor:
            await balloon.set_period(monitor, domain, seconds)

    # Parameters by name

    async def _apply_memory_limits(self, entry: Entry, live: Live, domain: Domain) -> None:
        from vmherd.hypervisors.qemu.tuning import enforce

        group = enforce.require(self._group(entry.uuid), "memory", "memory")
        try:
            # The kernel may have to write memory to swap first.
            await asyncio.to_thread(enforce.memory, group, domain)
        except HostError:
            await asyncio.to_thread(enforce.memory, group, self._describe(entry.uuid, LIVE))
            raise

    async def domain_blkio_params(self, uuid: str, *, scope: Scope = CURRENT) -> Params:
        from vmherd.util.cgroup import limits

        told = await super().domain_blkio_params(uuid, scope=scope)
        group = None if told["weight"] or not resolve(self.table.get(uuid), scope).live else self._group(uuid)
        return told | {"weight": limits.io_weight(group)} if group and group.has("blkio") else told

    async def _apply_blkio(self, entry: Entry, live: Live, domain: Domain, *, params: Params) -> None:
        from vmherd.hypervisors.qemu.tuning import enforce

        enforce.disk_access(enforce.require(self._group(entry.uuid), "blkio", "blkio"), params)

    async def _apply_cpu_time(self, entry: Entry, live: Live, domain: Domain, *, params: Params) -> None:
        from vmherd.hypervisors.qemu.tuning import enforce, threads

        group = enforce.require(self._group(entry.uuid), "cpu", "CPU")
        found = threads.Threads(pid=live.pid, vcpus={}, iothreads={})
        if enforce.has_parts(params):  # what the guest has as a whole can be set of a QEMU that hangs, too
            async with self._monitor(entry.uuid) as monitor:
                found = await threads.find(monitor, live.pid)
        try:
            enforce.cpu_time(group, params, found)
        except HostError:
            before = await self.domain_scheduler_params(entry.uuid, scope=LIVE)
            enforce.cpu_time(group, {name: value for name, value in before.items() if name in params}, found)
            raise

    async def _apply_numa(self, entry: Entry, live: Live, domain: Domain, *, params: Params) -> None:
        from vmherd.hypervisors.qemu.tuning import enforce
        from vmherd.state.tuning import limits

        nodes = limits.nodes(params)
        if nodes:
            group = enforce.require(self._group(entry.uuid), "cpuset", "cpuset")
            await asyncio.to_thread(enforce.memory_nodes, group, nodes)  # which copies it there

    async def _apply_bandwidth(self, entry: Entry, live: Live, domain: Domain, *, device: str) -> None:
        from vmherd.hypervisors.qemu.cards.hostend import HostEnds
        from vmherd.state.tuning import limits

        before = self._describe(entry.uuid, LIVE)
        ends = HostEnds(before, self._folders.guest(entry.uuid), self._folders.ports, self.uri.text)
        await ends.limit(limits.interface(before, device), limits.interface(domain, device))

    async def _apply_events(self, entry: Entry, live: Live, domain: Domain, *, events: Mapping[str, bool]) -> None:
        for name, enabled in events.items():
            if enabled:
                text = f"unable to enable host cpu perf event for {name}"
                raise ArgumentUnsupported(text, hint="the QEMU driver counts no events of the host's CPUs yet")
