"""Who runs where and how much: pins, schedulers, threads, limits of groups, events that are counted."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.problem import Problem, duplicates, numbered
from vmherd.conf.domain.vcpu import CpuTune, DefaultIoThread, IoThread, Scheduler

#: Microseconds.  Source: VIR_DOMAIN_CPUTUNE_* of libvirt
_PERIODS = range(1000, 1000000 + 1)
_QUOTAS = range(1000, (1 << 44) - 1 + 1)
#: Characters.
_APPID = 128


def limits(domain: Domain) -> Iterator[Problem]:
    """A group's time is a quota in each period."""
    tune = domain.cputune
    if tune is None:
        return
    for name in ("period", "global_period", "emulator_period", "iothread_period"):
        value = getattr(tune, name)
        if value is not None and value not in _PERIODS:
            text = f"{value} microseconds are not between {_PERIODS[0]} and {_PERIODS[-1]}"
            yield Problem(f"domain/cputune/{name}", text, "100000 is usual")
    for name in ("quota", "global_quota", "emulator_quota", "iothread_quota"):
        value = getattr(tune, name)
        if value is not None and value >= 0 and value not in _QUOTAS:
            text = f"{value} microseconds are not between {_QUOTAS[0]} and {_QUOTAS[-1]}"
            yield Problem(f"domain/cputune/{name}", text, "write -1 for no limit")


def threads(domain: Domain) -> Iterator[Problem]:
    """Threads count from 1, each once; a pool's least is not above its most."""
    named = domain.iothreadids
    ids = [(f"domain/iothreadids/iothread[{number}]/@id", each.id) for number, each in numbered(named)]
    yield from (Problem(place, "threads count from 1") for place, id_ in ids if id_ == 0)
    yield from duplicates(ids, "there is another thread {}")
    for number, each in numbered(named):
        yield from _pool(each, f"domain/iothreadids/iothread[{number}]")
    if domain.defaultiothread:
        yield from _pool(domain.defaultiothread, "domain/defaultiothread")


def _pool(pool: IoThread | DefaultIoThread, place: str) -> Iterator[Problem]:
    least, most = pool.thread_pool_min, pool.thread_pool_max
    if least is not None and most is not None and least > most:
        yield Problem(f"{place}/@thread_pool_min", f"{least} is more than thread_pool_max, {most}")


def pins(domain: Domain) -> Iterator[Problem]:
    """A thread is pinned once, and only if it is there."""
    tune = domain.cputune
    if tune is None:
        return
    vcpus = [(f"domain/cputune/vcpupin[{number}]/@vcpu", pin.vcpu) for number, pin in numbered(tune.vcpupins)]
    yield from duplicates(vcpus, "CPU {} is pinned twice")
    numbers = [(f"domain/cputune/iothreadpin[{n}]/@iothread", pin.iothread) for n, pin in numbered(tune.iothreadpins)]
    yield from duplicates(numbers, "thread {} is pinned twice")
    there = _threads(domain)
    for place, number in numbers:
        if number not in there:
            yield Problem(place, f"there is no I/O thread {number}", "raise <iothreads>")
    for position, scheduled in numbered(tune.iothreadscheds):
        for number in sorted(set(scheduled.iothreads) - there):
            text = f"there is no I/O thread {number}"
            yield Problem(f"domain/cputune/iothreadsched[{position}]/@iothreads", text, "raise <iothreads>")


def _threads(domain: Domain) -> set[int]:
    return {each.id for each in domain.iothreadids} or set(range(1, (domain.iothreads or 0) + 1))


def priorities(domain: Domain) -> Iterator[Problem]:
    """Real-time schedulers need a priority, others have none."""
    if domain.cputune is None:
        return
    for place, scheduler, priority in _schedulers(domain.cputune):
        if scheduler in (Scheduler.FIFO, Scheduler.RR) and priority is None:
            yield Problem(place, f"scheduler {str(scheduler)!r} needs a priority", "add priority='1'")


def _schedulers(tune: CpuTune) -> Iterator[tuple[str, Scheduler, int | None]]:
    for number, vcpus in numbered(tune.vcpuscheds):
        yield f"domain/cputune/vcpusched[{number}]", vcpus.scheduler, vcpus.priority
    for number, threads in numbered(tune.iothreadscheds):
        yield f"domain/cputune/iothreadsched[{number}]", threads.scheduler, threads.priority
    if tune.emulatorsched:
        yield "domain/cputune/emulatorsched", tune.emulatorsched.scheduler, tune.emulatorsched.priority


def groups(domain: Domain) -> Iterator[Problem]:
    """A device has one limit; the name of a Fibre Channel application goes to the switch as it is."""
    if domain.blkiotune:
        paths = [(f"domain/blkiotune/device[{n}]/path", each.path) for n, each in numbered(domain.blkiotune.devices)]
        yield from duplicates(paths, "{} has limits already")
    fibre = domain.resource.fibrechannel if domain.resource else None
    if fibre and not (0 < len(fibre.appid) <= _APPID and fibre.appid.isascii() and fibre.appid.isprintable()):
        text = f"it must be 1 to {_APPID} printable ASCII characters"
        yield Problem("domain/resource/fibrechannel/@appid", text)


def events(domain: Domain) -> Iterator[Problem]:
    """An event is counted, or not."""
    names = [(f"domain/perf/event[{number}]/@name", each.name) for number, each in numbered(domain.perf_events)]
    yield from duplicates(names, "event {} is named twice")


RULES = (limits, threads, pins, priorities, groups, events)
