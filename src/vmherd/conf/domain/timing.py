"""Clocks and counters: what follows from a document, and which clocks contradict themselves.

Source: virDomainClockDefParse and virDomainPerfEventDefFormat of libvirt.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain.clock import Clock, ClockBasis, ClockOffset
from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.power import PerfEventName
from vmherd.conf.domain.problem import Problem

_RESET = "reset"


def complete(domain: Domain) -> None:
    """Tell one thing in one way, in place."""
    _clock(domain.clock)
    order = list(PerfEventName)
    domain.perf_events.sort(key=lambda event: order.index(event.name))


def _clock(clock: Clock) -> None:
    """A clock that is set apart from UTC or local time by some seconds varies; one that does not drops the rest."""
    if clock.offset in (ClockOffset.UTC, ClockOffset.LOCALTIME) and clock.adjustment not in (None, _RESET):
        clock.basis = ClockBasis.LOCALTIME if clock.offset is ClockOffset.LOCALTIME else ClockBasis.UTC
        clock.offset = ClockOffset.VARIABLE
    if clock.offset is ClockOffset.VARIABLE:
        clock.adjustment = clock.adjustment or "0"
        clock.basis = clock.basis or ClockBasis.UTC
    else:
        clock.basis = None
    if clock.offset in (ClockOffset.TIMEZONE, ClockOffset.ABSOLUTE):
        clock.adjustment = None
    if clock.offset is not ClockOffset.TIMEZONE:
        clock.timezone = None
    if clock.offset is not ClockOffset.ABSOLUTE:
        clock.start = None


def clock(domain: Domain) -> Iterator[Problem]:
    """A clock with its own idea of time says which."""
    told = domain.clock
    if told.offset is ClockOffset.TIMEZONE and not told.timezone:
        yield Problem("domain/clock/@timezone", "the time zone is missing", "add timezone='Europe/Paris'")
    if told.offset is ClockOffset.ABSOLUTE and told.start is None:
        yield Problem("domain/clock/@start", "the time is missing", "add start='SECONDS', counted since 1970")
    seconds = (told.adjustment or "0").removeprefix("-")
    if told.adjustment != _RESET and not (seconds.isdigit() and seconds.isascii() and int(seconds) < 1 << 63):
        text = f"{told.adjustment!r} is no number of seconds"
        yield Problem("domain/clock/@adjustment", text, "write a number, or 'reset' with offset='utc'")
    elif told.adjustment == _RESET and told.offset is ClockOffset.VARIABLE:
        text = "a clock that varies keeps its adjustment"
        yield Problem("domain/clock/@adjustment", text, "write offset='utc', or a number of seconds")


RULES = (clock,)
