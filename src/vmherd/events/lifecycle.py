"""The events of a domain's life, with libvirt's numbers."""

from __future__ import annotations

from enum import IntEnum


class Lifecycle(IntEnum):
    """virDomainEventType (include/libvirt/libvirt-domain.h)."""

    DEFINED = 0
    UNDEFINED = 1
    STARTED = 2
    SUSPENDED = 3
    RESUMED = 4
    STOPPED = 5
    SHUTDOWN = 6
    PMSUSPENDED = 7
    CRASHED = 8


#: The detail words of each lifecycle event, by libvirt's number.
DETAILS: dict[Lifecycle, tuple[str, ...]] = {
    Lifecycle.DEFINED: ("added", "updated", "renamed", "from snapshot"),
    Lifecycle.UNDEFINED: ("removed", "renamed"),
    Lifecycle.STARTED: ("booted", "migrated", "restored", "from snapshot", "wakeup"),
    Lifecycle.SUSPENDED: (
        "paused",
        "migrated",
        "io error",
        "watchdog",
        "restored",
        "from snapshot",
        "api error",
        "postcopy",
        "postcopy failed",
    ),
    Lifecycle.RESUMED: ("unpaused", "migrated", "from snapshot", "postcopy", "postcopy failed"),
    Lifecycle.STOPPED: ("shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from snapshot"),
    Lifecycle.SHUTDOWN: ("finished", "guest", "host"),
    Lifecycle.PMSUSPENDED: ("memory", "disk"),
    Lifecycle.CRASHED: ("panicked", "crashloaded"),
}
