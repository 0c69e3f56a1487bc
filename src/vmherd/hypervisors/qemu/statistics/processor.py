"""CPU time of a guest: of its process, its vCPUs and I/O threads, and the rate at which it changes its memory.

Source: query-cpus-fast, query-iothreads and query-dirty-rate in QEMU's QMP reference; proc(5).
"""

from __future__ import annotations

import re
from pathlib import Path

from vmherd.hypervisors.qemu.exchange import Question
from vmherd.hypervisors.qemu.statistics import kvm
from vmherd.hypervisors.qemu.statistics.guest import NANOSECONDS, Guest, Params, Replies
from vmherd.util.process import cpu_times, thread_times, waiting_time

_POLLING = Path("/sys/kernel/debug/kvm")
#: virVcpuState: that it is online, which is all that is known of it.
_RUNNING = 1

#: virDomainDirtyRateStatus by QEMU's DirtyRateStatus.
_DIRTY = {"unstarted": 0, "measuring": 1, "measured": 2}


def state(guest: Guest, _: Replies) -> Params:
    info = guest.entry.info
    yield "state.state", int(info.state)
    yield "state.reason", info.reason


def total(guest: Guest, _: Replies) -> Params:
    if guest.live is None:
        return
    user, system = (round(seconds * NANOSECONDS) for seconds in cpu_times(guest.pid))
    yield "cpu.time", user + system
    yield "cpu.user", user
    yield "cpu.system", system
    yield "cpu.cache.monitor.count", 0
    yield "cpu.haltpoll.success.time", _polled(guest, "halt_poll_success_ns")
    yield "cpu.haltpoll.fail.time", _polled(guest, "halt_poll_fail_ns")


def _polled(guest: Guest, name: str) -> int:
    """Nanoseconds KVM polled for work before it let a vCPU sleep; 0 where the kernel does not tell."""
    if not guest.outline.accelerated:
        return 0
    try:
        return sum(int((folder / name).read_text()) for folder in _POLLING.glob(f"{guest.pid}-*"))
    except OSError:
        return 0


def vcpu_questions(guest: Guest) -> list[Question]:
    return [("query-cpus-fast", None), *kvm.questions(guest, "vcpu")]


def vcpus(guest: Guest, replies: Replies) -> Params:
    yield "vcpu.current", guest.outline.vcpus
    yield "vcpu.maximum", guest.outline.max_vcpus
    counters = dict(kvm.counted(replies[1:], "vcpu"))
    for each in (replies[0] or []) if replies else []:
        number, thread = each["cpu-index"], each["thread-id"]
        used, delayed = thread_times(guest.pid, thread)
        yield f"vcpu.{number}.state", _RUNNING
        yield f"vcpu.{number}.time", used
        yield f"vcpu.{number}.wait", waiting_time(guest.pid, thread)
        yield f"vcpu.{number}.delay", delayed
        yield from ((f"vcpu.{number}.{name}", value) for name, value in counters.get(each["qom-path"], []))


def iothread_questions(guest: Guest) -> list[Question]:
    return [("query-iothreads", None)] if guest.outline.iothreads else []


def iothreads(_: Guest, replies: Replies) -> Params:
    found = (replies[0] or []) if replies else []
    if not found:
        return
    yield "iothread.count", len(found)
    for each in found:
        if match := re.fullmatch(r"iothread(\d+)", each["id"]):
            yield f"iothread.{match[1]}.poll-max-ns", each["poll-max-ns"]
            yield f"iothread.{match[1]}.poll-grow", each["poll-grow"]
            yield f"iothread.{match[1]}.poll-shrink", each["poll-shrink"]


def dirty_questions(_: Guest) -> list[Question]:
    return [("query-dirty-rate", None)]


def dirty(_: Guest, replies: Replies) -> Params:
    found = replies[0] if replies else None
    if not found:
        return
    yield "dirtyrate.calc_status", _DIRTY[found["status"]]
    yield "dirtyrate.calc_start_time", found["start-time"]
    yield "dirtyrate.calc_period", found["calc-time"]
    yield "dirtyrate.calc_mode", found["mode"]
    if "dirty-rate" in found:
        yield "dirtyrate.megabytes_per_second", found["dirty-rate"]
    for each in found.get("vcpu-dirty-rate", []):
        yield f"dirtyrate.vcpu.{each['id']}.megabytes_per_second", each["dirty-rate"]
