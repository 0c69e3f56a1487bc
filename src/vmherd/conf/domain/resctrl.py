"""Shares of the host's cache and memory bandwidth: what is left out, put in order or refused.

Groups of virtual CPUs are the kernel's resource control groups (Documentation/x86/resctrl.rst), so one CPU is in one.
Source: virDomainCachetuneDefParse, virDomainMemorytuneDefParse and virResctrlAllocForeachCache of libvirt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.problem import Problem, duplicates, numbered
from vmherd.conf.domain.vcpu import CacheMonitor, CacheTune, CacheType, MemoryMonitor, MemoryTune

_Tune = CacheTune | MemoryTune

_PLACE = "domain/cputune"
_MONITORED_LEVEL = 3  # hardware counts misses of the last level only
_MOST_PERCENT = 100
_ORDER = (CacheType.BOTH, CacheType.CODE, CacheType.DATA)


def complete(domain: Domain) -> None:
    """Drop CPUs that the guest has not, and groups that get nothing; put the rest in libvirt's order, in place."""
    tune = domain.cputune
    if tune is None:
        return
    tunes: list[_Tune] = [*tune.cachetunes, *tune.memorytunes]
    for each in tunes:
        each.vcpus = tuple(cpu for cpu in each.vcpus if cpu < domain.vcpu.count)
    tune.cachetunes = [each for each in tune.cachetunes if each.vcpus and (each.caches or each.monitors)]
    tune.memorytunes = [each for each in tune.memorytunes if each.vcpus and (each.nodes or each.monitors)]
    for cache in tune.cachetunes:
        cache.caches.sort(key=lambda each: (each.level, _ORDER.index(each.type), each.id))
    for memory in tune.memorytunes:
        memory.nodes.sort(key=lambda node: node.id)
    groups = [each.vcpus for each in tune.cachetunes]
    tune.memorytunes.sort(key=lambda each: groups.index(each.vcpus) if each.vcpus in groups else len(groups))


def rules(domain: Domain) -> Iterator[Problem]:
    """Nothing is given twice, and groups have no CPU in common unless they are one group."""
    if domain.cputune is None:
        return
    for number, cache in numbered(domain.cputune.cachetunes):
        yield from _cache(cache, f"{_PLACE}/cachetune[{number}]")
    for number, memory in numbered(domain.cputune.memorytunes):
        yield from _memory(memory, f"{_PLACE}/memorytune[{number}]")
    yield from _overlaps(domain)


def _cache(tune: CacheTune, place: str) -> Iterator[Problem]:
    """A part of the cache for code and data alike is one for each."""
    both = (CacheType.CODE, CacheType.DATA)
    parts = [
        (f"{place}/cache[{number}]", (each.level, each.id, kind))
        for number, each in numbered(tune.caches)
        for kind in (both if each.type is CacheType.BOTH else (each.type,))
    ]
    text = "cache {} is allocated twice"
    yield from duplicates(parts, text, show=lambda key: f"{key[1]} of level {key[0]} for {key[2]}")
    for number, share in numbered(tune.caches):
        if share.size == 0:
            yield Problem(f"{place}/cache[{number}]/@size", "a part of 0 bytes is none", "say how much")
    for number, monitor in numbered(tune.monitors):
        if monitor.level != _MONITORED_LEVEL:
            text = f"nothing counts the use of caches of level {monitor.level}"
            yield Problem(f"{place}/monitor[{number}]/@level", text, f"use level='{_MONITORED_LEVEL}'")
    yield from _monitors(tune.vcpus, tune.monitors, place)


def _monitors(
    group: tuple[int, ...], monitors: Sequence[CacheMonitor | MemoryMonitor], place: str
) -> Iterator[Problem]:
    """Each counts CPUs of its group: all of them, or some that no other counts."""
    parts: list[tuple[int, ...]] = []
    for number, monitor in numbered(monitors):
        where = f"{place}/monitor[{number}]/@vcpus"
        if not set(monitor.vcpus) <= set(group):
            yield Problem(where, "it counts CPUs that are not in its group", "name CPUs of the group only")
        if monitor.vcpus in parts:
            yield Problem(where, "another monitor counts the same CPUs", "remove one of the two")
        elif monitor.vcpus != group and any(set(monitor.vcpus) & set(part) for part in parts if part != group):
            yield Problem(where, "another monitor counts some of these CPUs", "let each count CPUs of its own")
        parts.append(monitor.vcpus)


def _memory(tune: MemoryTune, place: str) -> Iterator[Problem]:
    nodes = [(f"{place}/node[{number}]", node.id) for number, node in numbered(tune.nodes)]
    yield from duplicates(nodes, "node {} is given twice")
    for number, node in numbered(tune.nodes):
        if node.bandwidth > _MOST_PERCENT:
            text = f"{node.bandwidth} % is more than all"
            yield Problem(f"{place}/node[{number}]/@bandwidth", text, f"{_MOST_PERCENT} is the most")
    yield from _monitors(tune.vcpus, tune.monitors, place)


def _overlaps(domain: Domain) -> Iterator[Problem]:
    """A cachetune and a memorytune may be for one group; two of a kind may not."""
    assert domain.cputune is not None
    earlier: list[tuple[str, set[int]]] = []
    kinds: list[tuple[str, Sequence[_Tune]]] = [
        ("cachetune", domain.cputune.cachetunes),
        ("memorytune", domain.cputune.memorytunes),
    ]
    for kind, tunes in kinds:
        for number, tune in numbered(tunes):
            mine = set(tune.vcpus)
            for other, theirs in earlier:
                if mine & theirs and (other == kind or mine != theirs):
                    text = f"CPUs of it are in a <{other}> too"
                    yield Problem(f"{_PLACE}/{kind}[{number}]/@vcpus", text, "use the same CPUs, or others")
            earlier.append((kind, mine))
