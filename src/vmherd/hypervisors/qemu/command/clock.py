"""The guest's time: its real-time clock and its timers.

Source: qemuBuildClockArgStr and qemuBuildClockCommandLine of libvirt; "-rtc" in QEMU's manual.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from vmherd.conf.domain import Domain
from vmherd.conf.domain.clock import Clock, ClockBasis, ClockOffset, TickPolicy, Timer, TimerName, TimerTrack
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command.launch import Launch

_TRACKS = {TimerTrack.GUEST: "clock=vm", TimerTrack.WALL: "clock=host", TimerTrack.REALTIME: "clock=rt"}
_PIT_POLICIES = {TickPolicy.DELAY: "delay", None: "delay", TickPolicy.DISCARD: "discard"}


def arguments(domain: Domain, caps: Capabilities, launch: Launch) -> list[str]:
    """The real-time clock, then what the timers do with ticks that the guest missed."""
    args = ["-rtc", ",".join([_base(domain.clock, launch.now), *_rtc(domain.clock)])]
    for timer in domain.clock.timers:
        if timer.name is TimerName.PIT and timer.tickpolicy in _PIT_POLICIES and "kvm-pit-lost-tick-policy" in caps:
            args += ["-global", f"kvm-pit.lost_tick_policy={_PIT_POLICIES[timer.tickpolicy]}"]
        if timer.name is TimerName.HPET and timer.present is False and "no-hpet" in caps:
            args.append("-no-hpet")
    return args


def _base(clock: Clock, now: datetime) -> str:
    """What the clock shows at the start; a time zone other than the host's is told by the environment."""
    match clock.offset:
        case ClockOffset.LOCALTIME | ClockOffset.TIMEZONE:
            return "base=localtime"
        case ClockOffset.ABSOLUTE:
            return _told(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=clock.start or 0))
        case ClockOffset.VARIABLE:
            local = now.utcoffset() if clock.basis is ClockBasis.LOCALTIME else None
            return _told(now.astimezone(UTC) + timedelta(seconds=int(clock.adjustment or 0)) + (local or timedelta()))
    return "base=utc"


def _told(time: datetime) -> str:
    return f"base={time:%Y-%m-%dT%H:%M:%S}"


def _rtc(clock: Clock) -> list[str]:
    """Which time it follows, and how it catches up; there is only one such clock."""
    timer = next((each for each in clock.timers if each.name is TimerName.RTC), None)
    if timer is None:
        return []
    words = [_TRACKS[timer.track]] if timer.track in _TRACKS else []
    return [*words, "driftfix=slew"] if timer.tickpolicy is TickPolicy.CATCHUP else words


def machine_words(domain: Domain, caps: Capabilities) -> list[str]:
    """Newer QEMUs are told about the HPET here."""
    told = [timer.present for timer in domain.clock.timers if timer.name is TimerName.HPET]
    if "machine-hpet" not in caps or not told or told[0] is None:
        return []
    return [f"hpet={'on' if told[0] else 'off'}"]


def processor_word(timer: Timer) -> str | None:
    """What the CPU is told about a timer of the hypervisor's own making."""
    match timer.name:
        case TimerName.KVMCLOCK if timer.present is not None:
            return f"kvmclock={'on' if timer.present else 'off'}"
        case TimerName.HYPERVCLOCK if timer.present:
            return "hv-time=on"
        case TimerName.TSC if timer.frequency:
            return f"tsc-frequency={timer.frequency}"
        case TimerName.ARMVTIMER if timer.tickpolicy is TickPolicy.DELAY:
            return "kvm-no-adjvtime=off"
        case TimerName.ARMVTIMER if timer.tickpolicy is TickPolicy.DISCARD:
            return "kvm-no-adjvtime=on"
    return None
