"""What happens when the guest stops, sleeps or is measured: <on_*>, <pm> and <perf>.

Source: https://libvirt.org/formatdomain.html#events-configuration and the chapters after it
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.util.xmlmodel import Element, YesNo, attr, child


class LifecycleAction(StrEnum):
    DESTROY = "destroy"
    RESTART = "restart"
    RENAME_RESTART = "rename-restart"
    PRESERVE = "preserve"


class CrashAction(StrEnum):
    DESTROY = "destroy"
    RESTART = "restart"
    RENAME_RESTART = "rename-restart"
    PRESERVE = "preserve"
    COREDUMP_DESTROY = "coredump-destroy"
    COREDUMP_RESTART = "coredump-restart"


class LockFailureAction(StrEnum):
    """What to do when the lock manager loses the guest's locks."""

    POWEROFF = "poweroff"
    RESTART = "restart"
    PAUSE = "pause"
    IGNORE = "ignore"


class SuspendState(Element, tag="suspend-to-mem"):
    enabled: YesNo | None = attr()


class Pm(Element, tag="pm"):
    """Whether the firmware offers sleep states to the guest."""

    suspend_to_mem: SuspendState | None = child()
    suspend_to_disk: SuspendState | None = child("suspend-to-disk")


class PerfEventName(StrEnum):
    """Counters of the host's processors and kernel, in libvirt's order."""

    CMT = "cmt"
    MBMT = "mbmt"
    MBML = "mbml"
    CPU_CYCLES = "cpu_cycles"
    INSTRUCTIONS = "instructions"
    CACHE_REFERENCES = "cache_references"
    CACHE_MISSES = "cache_misses"
    BRANCH_INSTRUCTIONS = "branch_instructions"
    BRANCH_MISSES = "branch_misses"
    BUS_CYCLES = "bus_cycles"
    STALLED_CYCLES_FRONTEND = "stalled_cycles_frontend"
    STALLED_CYCLES_BACKEND = "stalled_cycles_backend"
    REF_CPU_CYCLES = "ref_cpu_cycles"
    CPU_CLOCK = "cpu_clock"
    TASK_CLOCK = "task_clock"
    PAGE_FAULTS = "page_faults"
    CONTEXT_SWITCHES = "context_switches"
    CPU_MIGRATIONS = "cpu_migrations"
    PAGE_FAULTS_MIN = "page_faults_min"
    PAGE_FAULTS_MAJ = "page_faults_maj"
    ALIGNMENT_FAULTS = "alignment_faults"
    EMULATION_FAULTS = "emulation_faults"


class PerfEvent(Element, tag="event"):
    name: PerfEventName = attr()
    enabled: YesNo = attr()
