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


class PerfEvent(Element, tag="event"):
    name: str = attr()
    enabled: YesNo = attr()
