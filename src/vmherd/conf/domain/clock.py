"""<clock>: the guest's time and timers.

Source: https://libvirt.org/formatdomain.html#time-keeping
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.util.xmlmodel import Element, Long, ULong, YesNo, attr, child, children


class ClockOffset(StrEnum):
    UTC = "utc"
    LOCALTIME = "localtime"
    VARIABLE = "variable"
    TIMEZONE = "timezone"
    ABSOLUTE = "absolute"


class ClockBasis(StrEnum):
    UTC = "utc"
    LOCALTIME = "localtime"


class TimerName(StrEnum):
    PLATFORM = "platform"
    PIT = "pit"
    RTC = "rtc"
    HPET = "hpet"
    TSC = "tsc"
    KVMCLOCK = "kvmclock"
    HYPERVCLOCK = "hypervclock"
    ARMVTIMER = "armvtimer"


class TickPolicy(StrEnum):
    """What happens to ticks the guest missed."""

    DELAY = "delay"
    CATCHUP = "catchup"
    MERGE = "merge"
    DISCARD = "discard"


class TimerTrack(StrEnum):
    BOOT = "boot"
    GUEST = "guest"
    WALL = "wall"
    REALTIME = "realtime"


class TscMode(StrEnum):
    AUTO = "auto"
    NATIVE = "native"
    EMULATE = "emulate"
    PARAVIRT = "paravirt"
    SMPSAFE = "smpsafe"


class Catchup(Element, tag="catchup"):
    threshold: ULong | None = attr()
    slew: ULong | None = attr()
    limit: ULong | None = attr()


class Timer(Element, tag="timer"):
    """``frequency`` is in Hz and only for the TSC."""

    name: TimerName = attr()
    present: YesNo | None = attr()
    tickpolicy: TickPolicy | None = attr()
    track: TimerTrack | None = attr()
    frequency: ULong | None = attr()
    mode: TscMode | None = attr()
    catchup: Catchup | None = child()


class Clock(Element, tag="clock"):
    """``adjustment`` is in seconds, or ``reset``; ``start`` in seconds since 1970."""

    offset: ClockOffset = attr(default=ClockOffset.UTC, always=True)
    adjustment: str | None = attr()
    basis: ClockBasis | None = attr()
    timezone: str | None = attr()
    start: Long | None = attr()
    timers: list[Timer] = children()
