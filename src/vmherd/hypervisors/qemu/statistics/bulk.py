"""Counters of many guests at once, none of which makes the others wait.

A guest that runs is asked everything in one exchange; all are asked at the same time.  What is told of a guest that
does not run is made once per change of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from vmherd.driver.blocks import DomainStats, NetStats, StatsGroup
from vmherd.driver.params import Value
from vmherd.errors import HypervisorError
from vmherd.hypervisors.qemu.exchange import Question
from vmherd.hypervisors.qemu.outline import Outlines
from vmherd.hypervisors.qemu.pulse import Pulse
from vmherd.hypervisors.qemu.statistics import block, cards, kvm, memory, processor
from vmherd.hypervisors.qemu.statistics.guest import Guest, Params, Replies, nothing
from vmherd.hypervisors.qemu.statistics.idle import Image, Images
from vmherd.state.domains import Entry

#: What is kept beyond what there is, before it is cleared away; and how many sets of groups of each guest.
_SLACK, _KINDS = 100, 4


class Group(NamedTuple):
    """What QEMU is asked for a group of counters, and what is told then."""

    questions: Callable[[Guest], list[Question]]
    params: Callable[[Guest, Replies], Params]


#: In the order in which libvirt tells them.
GROUPS = {
    StatsGroup.STATE: Group(nothing, processor.state),
    StatsGroup.CPU_TOTAL: Group(nothing, processor.total),
    StatsGroup.BALLOON: Group(memory.group_questions, memory.params),
    StatsGroup.VCPU: Group(processor.vcpu_questions, processor.vcpus),
    StatsGroup.INTERFACE: Group(nothing, cards.params),
    StatsGroup.BLOCK: Group(block.questions, block.params),
    StatsGroup.IOTHREAD: Group(processor.iothread_questions, processor.iothreads),
    StatsGroup.DIRTYRATE: Group(processor.dirty_questions, processor.dirty),
    StatsGroup.VM: Group(kvm.machine_questions, kvm.machine),
}


class _Told(NamedTuple):
    """What was told of a guest that does not run, and what it was made of."""

    entry: Entry
    generation: int
    stats: DomainStats


class Statistics:
    """``busy`` tells whether somebody is in the middle of something with a guest."""

    def __init__(self, outlines: Outlines, pulse: Pulse, busy: Callable[[str], bool]) -> None:
        self._outlines = outlines
        self._pulse = pulse
        self._busy = busy
        self._images = Images()
        self._told: dict[tuple[str, int, bool], _Told] = {}

    async def collect(
        self, entries: Sequence[Entry], groups: int, *, backing: bool = False, nowait: bool = False
    ) -> list[DomainStats]:
        """The counters of these guests, in their order."""
        await self._outlines.prepare(entries)
        if groups & StatsGroup.BLOCK:
            await self._images.refresh(self._resting_images(entries))
        host = cache(cards.counted)
        running = {
            entry.uuid: asyncio.create_task(self._ask(self._guest(entry, backing, host), groups, nowait))
            for entry in entries
            if entry.live
        }
        if running:
            await asyncio.wait(running.values())
        return [
            running[entry.uuid].result() if entry.uuid in running else self._resting(entry, groups, backing, host)
            for entry in entries
        ]

    def _guest(self, entry: Entry, backing: bool, host: Callable[[], Mapping[str, NetStats]]) -> Guest:
        return Guest(entry, self._outlines.of(entry), backing, host, self._images.sizes)

    def _resting_images(self, entries: Sequence[Entry]) -> Iterator[Image]:
        for entry in entries:
            if not entry.live:
                yield from ((disk.path, disk.format) for disk in self._outlines.of(entry).disks if disk.path)

    def _resting(
        self, entry: Entry, groups: int, backing: bool, host: Callable[[], Mapping[str, NetStats]]
    ) -> DomainStats:
        key = (entry.uuid, groups, backing)
        told = self._told.get(key)
        if told is None or told.entry is not entry or self._images.changed(self._paths(entry), told.generation):
            stats = _stats(self._guest(entry, backing, host), groups, ())
            told = self._told[key] = _Told(entry, self._images.generation, stats)
        return told.stats

    def _paths(self, entry: Entry) -> Iterator[str]:
        return (disk.path for disk in self._outlines.of(entry).disks)

    async def _ask(self, guest: Guest, groups: int, nowait: bool) -> DomainStats:
        """What a running guest and its host tell; without a guest that does not answer what the host tells."""
        live, uuid = guest.live, guest.entry.uuid
        assert live is not None  # the caller has looked
        questions = [question for group in _wanted(groups) for question in group.questions(guest)]
        if not live.ready or not questions or (nowait and self._busy(uuid)):
            return _stats(guest, groups, (), responding=not self._pulse.silent(uuid, live))
        try:
            return _stats(guest, groups, await self._pulse.ask(uuid, live, questions))
        except HypervisorError:
            return _stats(guest, groups, (), responding=False)

    def forget(self, entries: Sequence[Entry]) -> None:
        """Clear away what is kept of guests that are gone; ``entries`` are all there are."""
        if len(self._told) > _KINDS * len(entries) + _SLACK:
            self._told.clear()
        if len(self._outlines) <= len(entries) + _SLACK:
            return
        known = {entry.uuid for entry in entries}
        self._told = {key: told for key, told in self._told.items() if key[0] in known}
        self._outlines.forget(known)
        self._pulse.forget(known)
        self._images.forget(set(self._resting_images(entries)))


def _wanted(groups: int) -> list[Group]:
    return [group for kind, group in GROUPS.items() if groups & kind]


def _stats(guest: Guest, groups: int, replies: Replies, *, responding: bool = True) -> DomainStats:
    params: dict[str, Value] = {}
    start = 0
    for group in _wanted(groups):
        end = start + len(group.questions(guest)) if replies else 0
        params.update(group.params(guest, replies[start:end]))
        start = end
    info = guest.entry.info
    return DomainStats(uuid=info.uuid, name=info.name, id=info.id, params=params, responding=responding)
