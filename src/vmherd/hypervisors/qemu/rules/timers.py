"""Timers, and what QEMU does with ticks that a guest missed."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.clock import TickPolicy, Timer, TimerName, TimerTrack
from vmherd.conf.domain.domain import DomainType
from vmherd.conf.domain.problem import numbered
from vmherd.hypervisors.qemu import machine

_POLICIES = {
    TimerName.RTC: (None, TickPolicy.CATCHUP, TickPolicy.DELAY),
    TimerName.PIT: (None, TickPolicy.CATCHUP, TickPolicy.DELAY, TickPolicy.DISCARD),
    TimerName.ARMVTIMER: (None, TickPolicy.DELAY, TickPolicy.DISCARD),
}
_OF_X86 = (TimerName.TSC, TimerName.KVMCLOCK, TimerName.HYPERVCLOCK)


def timers(domain: Domain) -> Iterator[Problem]:
    """Source: qemuValidateDomainDefClockTimers of libvirt."""
    for number, timer in numbered(domain.clock.timers):
        yield from _timer(timer, domain, f"domain/clock/timer[{number}]")


def _timer(timer: Timer, domain: Domain, place: str) -> Iterator[Problem]:
    if not _is_there(timer.name, domain):
        yield Problem(f"{place}/@name", f"this machine has no timer {str(timer.name)!r}", "remove it")
    allowed = _POLICIES.get(timer.name)
    if allowed and timer.tickpolicy not in allowed:
        known = ", ".join(policy for policy in allowed if policy)
        text = f"{str(timer.name)!r} cannot {timer.tickpolicy} the ticks that the guest missed"
        yield Problem(f"{place}/@tickpolicy", text, f"use one of: {known}")
    if timer.name is TimerName.RTC and timer.track is TimerTrack.BOOT:
        yield Problem(f"{place}/@track", "the clock cannot follow the host's boot", "use 'guest' or 'wall'")
    if timer.name is TimerName.ARMVTIMER and timer.present is False:
        yield Problem(f"{place}/@present", "it is part of the CPU and cannot be taken away", "remove present")


def _is_there(name: TimerName, domain: Domain) -> bool:
    if name is TimerName.PLATFORM:
        return False
    if name is TimerName.ARMVTIMER:
        return domain.type is DomainType.KVM and domain.os.type.arch == "aarch64" and machine.is_virt(domain)
    return name not in _OF_X86 or machine.is_x86(domain)


RULES = (timers,)
