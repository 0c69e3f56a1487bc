"""The threads of a guest's QEMU: which is which, where they may run, how they are scheduled.

Source: query-cpus-fast and query-iothreads in QEMU's QMP reference; sched(7); qemuDomainRefreshVcpuInfo of libvirt.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress

import msgspec

from vmherd.conf.domain import Domain
from vmherd.conf.domain.vcpu import CpuTune, Scheduler
from vmherd.driver.tuning import VcpuInfo
from vmherd.errors import HostError, InvalidState
from vmherd.hypervisors.qemu.monitor import Monitor
from vmherd.state.tuning import iothreads, pins
from vmherd.util.process import thread_stat

_POLICIES = {
    Scheduler.BATCH: os.SCHED_BATCH,
    Scheduler.IDLE: os.SCHED_IDLE,
    Scheduler.FIFO: os.SCHED_FIFO,
    Scheduler.RR: os.SCHED_RR,
}


class Threads(msgspec.Struct, frozen=True):
    """Thread ids by the number of the vCPU and of the I/O thread; ``present`` are the vCPUs there are.

    ``vcpus`` is empty where QEMU runs all of them in one thread, so that they cannot be told apart.
    """

    pid: int
    vcpus: dict[int, int]
    iothreads: dict[int, int]
    present: tuple[int, ...] = ()

    @property
    def others(self) -> list[int]:
        """The emulator: all that are neither vCPUs nor I/O threads."""
        ours = {*self.vcpus.values(), *self.iothreads.values()}
        with suppress(FileNotFoundError):
            return [int(name) for name in os.listdir(f"/proc/{self.pid}/task") if int(name) not in ours]
        return []

    def part(self, word: str) -> Iterator[tuple[str, list[int]]]:
        """The groups of threads that have a limit each: every vCPU, every I/O thread, the emulator."""
        match word:
            case "vcpu":
                yield from ((f"vcpu{number}", [tid]) for number, tid in self.vcpus.items())
            case "iothread":
                yield from ((f"iothread{number}", [tid]) for number, tid in self.iothreads.items())
            case _:
                yield "emulator", self.others

    def vcpu(self, number: int) -> int:
        """The thread of a vCPU that is plugged; InvalidState where they cannot be told apart."""
        if not self.vcpus:
            raise _inseparable()
        return self.vcpus[number]


def _inseparable() -> InvalidState:
    return InvalidState("cpu affinity is not supported", hint="QEMU runs all vCPUs in one thread")


async def find(monitor: Monitor, pid: int) -> Threads:
    """The threads as QEMU tells them."""
    told = {int(each["cpu-index"]): int(each["thread-id"]) for each in await monitor.execute("query-cpus-fast")}
    apart = len(set(told.values())) == len(told) and pid not in told.values()
    vcpus = dict(sorted(told.items())) if apart else {}
    found = {
        int(each["id"].removeprefix("iothread")): int(each["thread-id"])
        for each in await monitor.execute("query-iothreads")
        if each["id"].removeprefix("iothread").isdigit()
    }
    return Threads(pid=pid, vcpus=vcpus, iothreads=found, present=tuple(sorted(told)))


def bind(tids: Collection[int], cpus: Collection[int]) -> None:
    """Let threads run on these CPUs only; those that ended meanwhile are no mistake."""
    for tid in tids:
        try:
            os.sched_setaffinity(tid, cpus)
        except ProcessLookupError:
            continue
        except OSError as problem:
            text = f"cannot bind a thread to the CPUs {sorted(cpus)}: {problem.strerror}"
            raise HostError(text, hint="are they online on this host, and ours to use?") from None


def place(domain: Domain, threads: Threads, *, emulator: bool = True) -> None:
    """Bind and schedule threads as a document says; those it does not tell of stay as they are.

    Without ``emulator`` it is only the vCPUs and I/O threads named, as they have come later.
    """
    tune = domain.cputune
    if emulator and (domain.vcpu.cpuset or (tune and tune.emulatorpin)):
        bind(threads.others, pins.of_emulator(domain))
    pinned = {pin.vcpu for pin in tune.vcpupins} if tune else set()
    if pinned and emulator and not threads.vcpus:
        raise _inseparable()
    for number, tid in threads.vcpus.items():
        if domain.vcpu.cpuset or number in pinned:
            bind([tid], pins.of_vcpus(domain)[number])
    for number in iothreads.numbers(domain):
        if number in threads.iothreads and (domain.vcpu.cpuset or (tune and tune.iothreadpins)):
            bind([threads.iothreads[number]], pins.of_iothread(domain, number))
    if tune:
        _schedule_all(tune, threads)
    if emulator and tune and tune.emulatorsched:
        _schedule(threads.others, tune.emulatorsched.scheduler, tune.emulatorsched.priority)


def _schedule_all(tune: CpuTune, threads: Threads) -> None:
    for each in tune.vcpuscheds:
        tids = [tid for number, tid in threads.vcpus.items() if number in each.vcpus]
        _schedule(tids, each.scheduler, each.priority)
    for some in tune.iothreadscheds:
        tids = [tid for number, tid in threads.iothreads.items() if number in some.iothreads]
        _schedule(tids, some.scheduler, some.priority)


def _schedule(tids: Collection[int], scheduler: Scheduler, priority: int | None) -> None:
    for tid in tids:
        try:
            os.sched_setscheduler(tid, _POLICIES[scheduler], os.sched_param(priority or 0))
        except OSError as problem:
            text = f"cannot schedule a thread as {str(scheduler)!r}: {problem.strerror}"
            raise HostError(text, hint="it takes root's rights, and a control group that has real-time") from None


def describe(threads: Threads) -> list[VcpuInfo]:
    """What each vCPU does, as the kernel tells of its thread; just that it is there where they share one."""
    found = []
    for number in threads.present:
        told = thread_stat(threads.pid, threads.vcpus[number]) if number in threads.vcpus else None
        if told is None:
            found.append(VcpuInfo(number=number, affinity=pins.host_cpus()))
            continue
        try:
            affinity = tuple(sorted(os.sched_getaffinity(threads.vcpus[number])))
        except ProcessLookupError:
            affinity = ()
        found.append(VcpuInfo(number=number, cpu_time=told.cpu_time, cpu=told.cpu, affinity=affinity))
    return found
