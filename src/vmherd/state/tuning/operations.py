"""What drivers that keep their own guests do alike when the share of the host that a guest gets is changed.

Each change is tried on the documents first, so that what they refuse changes nothing; then the running guest is told
(the ``_apply_`` methods, which a driver whose guests are nothing but documents leaves as they are), then it is noted.
The messages are libvirt's, since its clients know them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

from vmherd.driver import params as named
from vmherd.driver.params import Params
from vmherd.driver.tuning import IoThreadInfo
from vmherd.driver.types import CURRENT, LIVE, Scope
from vmherd.errors import InvalidArgument, InvalidState
from vmherd.events import TunableEvent
from vmherd.state.changes import Edit, change_running, described
from vmherd.state.domains import Entry, Live
from vmherd.state.driver import LocalDriver

if TYPE_CHECKING:
    from vmherd.conf.domain import Domain

#: Tells a running guest of a change; the document is as it will be noted after.
Apply = Callable[[Entry, Live, "Domain"], Awaitable[None]]


class LocalTuning(LocalDriver):
    """The share of the host that a guest gets, as its documents say."""

    async def _tune(
        self,
        uuid: str,
        operation: str,
        scope: Scope,
        edit: Edit,
        apply: Apply,
        told: Mapping[str, int | str] | None = None,
    ) -> None:
        """Change the documents that ``scope`` names by ``edit``, and the running guest by ``apply``.

        ``told`` is what listeners hear of a change of the running guest.
        """
        async with self._adjusting(uuid, operation, scope) as (entry, reach):
            if reach.config:
                await self.edited(entry, edit)
            if reach.live and entry.live:
                domain = described(entry, LIVE)
                edit(domain)
                await apply(entry, entry.live, domain)
                events = [TunableEvent(uuid=uuid, name=entry.name, params=dict(told))] if told else []
                change_running(self.table, uuid, entry.live.id, edit, events)
            if reach.config:
                await self.change_definition(uuid, edit)

    def _describe(self, uuid: str, scope: Scope) -> Domain:
        return described(self.table.get(uuid), scope)

    def _require_tuning(self, what: str) -> None:
        """Raise Unsupported where this connection cannot limit guests at all; ``what`` begins a sentence."""

    # vCPUs

    async def domain_vcpu_count(self, uuid: str, *, maximum: bool = False, scope: Scope = CURRENT) -> int:
        from vmherd.state.tuning import vcpus

        domain = self._describe(uuid, scope)
        return domain.vcpu.count if maximum else vcpus.online(domain)

    async def domain_set_vcpu_count(
        self, uuid: str, count: int, *, maximum: bool = False, hotpluggable: bool = False, scope: Scope = CURRENT
    ) -> None:
        from vmherd.state.tuning import vcpus

        if count < 1:
            raise InvalidArgument("Can't set 0 processors for a VM")
        edit: Edit = partial(vcpus.set_count, count=count, hotpluggable=hotpluggable)
        if maximum:
            edit = partial(vcpus.set_maximum, count=count)
        async with self._adjusting(uuid, "setvcpus", scope) as (entry, reach):
            if reach.config:
                await self.edited(entry, edit)
            if reach.live and entry.live:
                domain = described(entry, LIVE)
                if maximum:
                    edit(domain)  # which refuses
                plug, unplug = vcpus.to_reach(domain, count)
                await self._switch_vcpus(entry, entry.live, domain, plug, unplug)
            if reach.config:
                await self.change_definition(uuid, edit)

    async def domain_set_vcpus(
        self, uuid: str, vcpus: Collection[int], *, enabled: bool, scope: Scope = CURRENT
    ) -> None:
        from vmherd.state.tuning import vcpus as states

        if not vcpus:
            raise InvalidArgument("no vcpu was named")
        edit = partial(states.set_each, numbers=vcpus, enabled=enabled)
        async with self._adjusting(uuid, "setvcpu", scope) as (entry, reach):
            if reach.config:
                await self.edited(entry, edit)
            if reach.live and entry.live:
                domain = described(entry, LIVE)
                numbers = states.to_switch(domain, vcpus, enabled=enabled)
                plug, unplug = (numbers, []) if enabled else ([], numbers)
                await self._switch_vcpus(entry, entry.live, domain, plug, unplug)
            if reach.config:
                await self.change_definition(uuid, edit)

    async def _switch_vcpus(self, entry: Entry, live: Live, domain: Domain, plug: list[int], unplug: list[int]) -> None:
        """Switch vCPUs of a running guest and note which it has then, also where that is not all that was asked."""
        from vmherd.state.tuning import vcpus

        before = vcpus.states(domain)
        there = {each.id for each in before if each.enabled} - set(unplug) | set(plug)
        loose = {each.id for each in before if each.hotpluggable}
        change_running(self.table, entry.uuid, live.id, partial(vcpus.plugged, there=there, hotpluggable=loose))

    async def domain_vcpu_pins(self, uuid: str, *, scope: Scope = CURRENT) -> list[tuple[int, ...]]:
        from vmherd.state.tuning import pins

        return pins.of_vcpus(self._describe(uuid, scope))

    async def domain_pin_vcpu(self, uuid: str, vcpu: int, cpus: Collection[int], *, scope: Scope = CURRENT) -> None:
        from vmherd.state.tuning import pins
        from vmherd.util.xmlmodel.scalars import format_cpus

        edit = partial(pins.pin_vcpu, vcpu=vcpu, cpus=cpus)
        told = {f"cputune.vcpupin{vcpu}": format_cpus(cpus)}
        await self._tune(uuid, "vcpupin", scope, edit, partial(self._apply_vcpu_pin, vcpu=vcpu), told)

    async def _apply_vcpu_pin(self, entry: Entry, live: Live, domain: Domain, *, vcpu: int) -> None:
        """Bind the thread of a vCPU."""

    async def domain_emulator_pin(self, uuid: str, *, scope: Scope = CURRENT) -> tuple[int, ...]:
        from vmherd.state.tuning import pins

        return pins.of_emulator(self._describe(uuid, scope))

    async def domain_pin_emulator(self, uuid: str, cpus: Collection[int], *, scope: Scope = CURRENT) -> None:
        from vmherd.state.tuning import pins
        from vmherd.util.xmlmodel.scalars import format_cpus

        edit, told = partial(pins.pin_emulator, cpus=cpus), {"cputune.emulatorpin": format_cpus(cpus)}
        await self._tune(uuid, "emulatorpin", scope, edit, self._apply_emulator_pin, told)

    async def _apply_emulator_pin(self, entry: Entry, live: Live, domain: Domain) -> None:
        """Bind the threads that are neither vCPUs nor I/O threads."""

    # I/O threads

    async def domain_iothreads(self, uuid: str, *, scope: Scope = CURRENT) -> list[IoThreadInfo]:
        from vmherd.state.tuning import iothreads, pins

        domain = self._describe(uuid, scope)
        return [
            IoThreadInfo(number=number, affinity=pins.of_iothread(domain, number))
            for number in iothreads.numbers(domain)
        ]

    async def domain_add_iothread(self, uuid: str, number: int, *, scope: Scope = CURRENT) -> None:
        from vmherd.state.tuning import iothreads

        _require_number(number)
        apply = partial(self._apply_new_iothread, number=number)
        await self._tune(uuid, "iothreadadd", scope, partial(iothreads.add, number=number), apply)

    async def _apply_new_iothread(self, entry: Entry, live: Live, domain: Domain, *, number: int) -> None:
        """Start an I/O thread."""

    async def domain_remove_iothread(self, uuid: str, number: int, *, scope: Scope = CURRENT) -> None:
        from vmherd.state.tuning import iothreads

        _require_number(number)
        apply = partial(self._apply_no_iothread, number=number)
        await self._tune(uuid, "iothreaddel", scope, partial(iothreads.remove, number=number), apply)

    async def _apply_no_iothread(self, entry: Entry, live: Live, domain: Domain, *, number: int) -> None:
        """End an I/O thread."""

    async def domain_pin_iothread(
        self, uuid: str, number: int, cpus: Collection[int], *, scope: Scope = CURRENT
    ) -> None:
        from vmherd.state.tuning import pins
        from vmherd.util.xmlmodel.scalars import format_cpus

        edit = partial(pins.pin_iothread, number=number, cpus=cpus)
        told = {f"cputune.iothreadpin{number}": format_cpus(cpus)}
        await self._tune(uuid, "iothreadpin", scope, edit, partial(self._apply_iothread_pin, number=number), told)

    async def _apply_iothread_pin(self, entry: Entry, live: Live, domain: Domain, *, number: int) -> None:
        """Bind an I/O thread."""

    async def domain_set_iothread(self, uuid: str, number: int, params: Params, *, scope: Scope = CURRENT) -> None:
        from vmherd.state.tuning import iothreads

        _require_number(number)
        named.check(params, named.IOTHREAD)
        edit = partial(iothreads.configure, number=number, params=params)
        apply = partial(self._apply_iothread, number=number, params=params)
        await self._tune(uuid, "iothreadset", scope, edit, apply)

    async def _apply_iothread(self, entry: Entry, live: Live, domain: Domain, *, number: int, params: Params) -> None:
        """Tell an I/O thread how to poll, and how large its pool is."""

    # Memory

    async def domain_set_memory(self, uuid: str, size: int, *, scope: Scope = CURRENT) -> None:
        from vmherd.state.tuning import memory

        edit = partial(memory.set_current, size=size)
        async with self._adjusting(uuid, "setmem", scope) as (entry, reach):
            if reach.config:
                await self.edited(entry, edit)
            if reach.live and entry.live:
                domain = described(entry, LIVE)
                edit(domain)
                await self._apply_memory(entry, entry.live, domain)
            if reach.config:
                await self.change_definition(uuid, edit)

    async def _apply_memory(self, entry: Entry, live: Live, domain: Domain) -> None:
        """Ask the guest to have so much memory; the document tells how much it has once it told us."""
        from vmherd.state.tuning import memory

        size = domain.current_memory or domain.memory.size
        change_running(self.table, entry.uuid, live.id, partial(memory.set_current, size=size))

    async def domain_set_max_memory(self, uuid: str, size: int, *, scope: Scope = CURRENT) -> None:
        from vmherd.state.tuning import memory

        async with self._adjusting(uuid, "setmaxmem", scope) as (_, reach):
            if reach.live:
                raise InvalidState("cannot resize the maximum memory on an active domain")
            await self.change_definition(uuid, partial(memory.set_maximum, size=size))

    async def domain_set_memory_stats_period(self, uuid: str, seconds: int, *, scope: Scope = CURRENT) -> None:
        from vmherd.state.tuning import memory

        if seconds < 0:
            raise InvalidArgument("period in virDomainSetMemoryStatsPeriod must be zero or greater")
        edit = partial(memory.set_period, seconds=seconds)
        await self._tune(uuid, "dommemstat", scope, edit, partial(self._apply_stats_period, seconds=seconds))

    async def _apply_stats_period(self, entry: Entry, live: Live, domain: Domain, *, seconds: int) -> None:
        """Ask the guest for statistics that often."""

    # Parameters by name

    async def domain_memory_params(self, uuid: str, *, scope: Scope = CURRENT) -> Params:
        from vmherd.state.tuning import limits

        self._require_tuning("Memory")
        return limits.memory(self._describe(uuid, scope))

    async def domain_set_memory_params(self, uuid: str, params: Params, *, scope: Scope = CURRENT) -> None:
        from vmherd.state.tuning import limits

        self._require_tuning("Memory")
        named.check(params, {name: kind for name, kind in named.MEMORY.items() if name != "min_guarantee"})
        edit = partial(limits.set_memory, params=params)
        await self._tune(uuid, "memtune", scope, edit, self._apply_memory_limits)

    async def _apply_memory_limits(self, entry: Entry, live: Live, domain: Domain) -> None:
        """Limit the guest's memory."""

    async def domain_blkio_params(self, uuid: str, *, scope: Scope = CURRENT) -> Params:
        from vmherd.state.tuning import blkio

        self._require_tuning("Block I/O")
        return blkio.told(self._describe(uuid, scope))

    async def domain_set_blkio_params(self, uuid: str, params: Params, *, scope: Scope = CURRENT) -> None:
        from vmherd.state.tuning import blkio

        self._require_tuning("Block I/O")
        named.check(params, named.BLKIO)
        apply = partial(self._apply_blkio, params=params)
        await self._tune(uuid, "blkiotune", scope, partial(blkio.change, params=params), apply)

    async def _apply_blkio(self, entry: Entry, live: Live, domain: Domain, *, params: Params) -> None:
        """Limit the guest's disk access."""

    async def domain_scheduler_type(self, uuid: str) -> tuple[str, int]:
        self._require_tuning("CPU")
        self.table.get(uuid)
        return "posix", len(named.SCHEDULER)

    async def domain_scheduler_params(self, uuid: str, *, scope: Scope = CURRENT) -> Params:
        from vmherd.state.tuning import limits

        self._require_tuning("CPU")
        domain = self._describe(uuid, scope)
        found = limits.cpu_time(domain)
        return found if domain.id is None else {name: value or limits.UNSET[name] for name, value in found.items()}

    async def domain_set_scheduler_params(self, uuid: str, params: Params, *, scope: Scope = CURRENT) -> None:
        from vmherd.state.tuning import limits

        self._require_tuning("CPU")
        named.check(params, named.SCHEDULER)
        told = {f"cputune.{name}": int(value) for name, value in params.items()}
        edit = partial(limits.set_cpu_time, params=params)
        await self._tune(uuid, "schedinfo", scope, edit, partial(self._apply_cpu_time, params=params), told)

    async def _apply_cpu_time(self, entry: Entry, live: Live, domain: Domain, *, params: Params) -> None:
        """Limit the CPU time of the guest, of its vCPUs and of its other threads."""

    async def domain_numa_params(self, uuid: str, *, scope: Scope = CURRENT) -> Params:
        from vmherd.state.tuning import limits

        return limits.numa(self._describe(uuid, scope))

    async def domain_set_numa_params(self, uuid: str, params: Params, *, scope: Scope = CURRENT) -> None:
        from vmherd.state.tuning import limits

        self._require_tuning("NUMA")
        named.check(params, named.NUMA)
        edit = partial(limits.set_numa, params=params)
        await self._tune(uuid, "numatune", scope, edit, partial(self._apply_numa, params=params))

    async def _apply_numa(self, entry: Entry, live: Live, domain: Domain, *, params: Params) -> None:
        """Move the guest's memory to other nodes."""

    async def domain_interface_params(self, uuid: str, device: str, *, scope: Scope = CURRENT) -> Params:
        from vmherd.state.tuning import limits

        return limits.bandwidth(self._describe(uuid, scope), device)

    async def domain_set_interface_params(
        self, uuid: str, device: str, params: Params, *, scope: Scope = CURRENT
    ) -> None:
        from vmherd.state.tuning import limits

        named.check(params, named.INTERFACE)

        edit = partial(limits.set_bandwidth, device=device, params=params)
        await self._tune(uuid, "domiftune", scope, edit, partial(self._apply_bandwidth, device=device))

    async def _apply_bandwidth(self, entry: Entry, live: Live, domain: Domain, *, device: str) -> None:
        """Limit the bandwidth of a card."""

    async def domain_perf_events(self, uuid: str, *, scope: Scope = CURRENT) -> dict[str, bool]:
        from vmherd.state.tuning import limits

        return limits.events(self._describe(uuid, scope))

    async def domain_set_perf_events(self, uuid: str, events: Mapping[str, bool], *, scope: Scope = CURRENT) -> None:
        from vmherd.state.tuning import limits

        named.check(dict(events), named.PERF)
        edit = partial(limits.set_events, switched=dict(events))
        await self._tune(uuid, "perf", scope, edit, partial(self._apply_events, events=events))

    async def _apply_events(self, entry: Entry, live: Live, domain: Domain, *, events: Mapping[str, bool]) -> None:
        """Count events for the guest, or no more."""


def _require_number(number: int) -> None:
    if number < 1:
        raise InvalidArgument("iothread_id must not be zero", hint="I/O threads count from 1")
