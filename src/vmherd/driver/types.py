"""The plain values that drivers take and give: states, summaries, statistics, channels."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Protocol, Self

import msgspec


class State(IntEnum):
    """virDomainState (include/libvirt/libvirt-domain.h)."""

    NOSTATE = 0
    RUNNING = 1
    BLOCKED = 2
    PAUSED = 3
    SHUTDOWN = 4
    SHUTOFF = 5
    CRASHED = 6
    PMSUSPENDED = 7

    @property
    def label(self) -> str:
        """The word virsh shows."""
        return _LABELS[self]


_LABELS = {
    State.NOSTATE: "no state",
    State.RUNNING: "running",
    State.BLOCKED: "idle",
    State.PAUSED: "paused",
    State.SHUTDOWN: "in shutdown",
    State.SHUTOFF: "shut off",
    State.CRASHED: "crashed",
    State.PMSUSPENDED: "pmsuspended",
}


class RunningReason(IntEnum):
    UNKNOWN = 0
    BOOTED = 1
    MIGRATED = 2
    RESTORED = 3
    FROM_SNAPSHOT = 4
    UNPAUSED = 5
    MIGRATION_CANCELED = 6
    SAVE_CANCELED = 7
    WAKEUP = 8
    CRASHED = 9
    POSTCOPY = 10
    POSTCOPY_FAILED = 11


class PausedReason(IntEnum):
    UNKNOWN = 0
    USER = 1
    MIGRATION = 2
    SAVE = 3
    DUMP = 4
    IOERROR = 5
    WATCHDOG = 6
    FROM_SNAPSHOT = 7
    SHUTTING_DOWN = 8
    SNAPSHOT = 9
    CRASHED = 10
    STARTING_UP = 11
    POSTCOPY = 12
    POSTCOPY_FAILED = 13


class ShutdownReason(IntEnum):
    UNKNOWN = 0
    USER = 1


class ShutoffReason(IntEnum):
    UNKNOWN = 0
    SHUTDOWN = 1
    DESTROYED = 2
    CRASHED = 3
    MIGRATED = 4
    SAVED = 5
    FAILED = 6
    FROM_SNAPSHOT = 7
    DAEMON = 8


class CrashedReason(IntEnum):
    UNKNOWN = 0
    PANICKED = 1


_REASONS: dict[State, type[IntEnum]] = {
    State.RUNNING: RunningReason,
    State.PAUSED: PausedReason,
    State.SHUTDOWN: ShutdownReason,
    State.SHUTOFF: ShutoffReason,
    State.CRASHED: CrashedReason,
}


def reason_name(state: State, reason: int) -> str:
    """The reason of a state in words ("booted", "destroyed"), "unknown" where libvirt has no word for it."""
    numbers = _REASONS.get(state)
    if numbers is None or reason not in set(numbers):
        return "unknown"
    return numbers(reason).name.lower().replace("_", " ")


class DomainInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a domain without asking the guest.

    ``id`` is None while it does not run.  Memory is in bytes, ``cpu_time`` in seconds of host CPU used by
    the guest so far, ``since`` the time of the last state change in seconds since the epoch (0: unknown).
    ``responding`` is False where the hypervisor process did not answer in time.  With ``managed_save`` the guest goes
    on from an image when it starts next.
    """

    uuid: str
    name: str
    state: State
    reason: int = 0
    id: int | None = None
    persistent: bool = True
    autostart: bool = False
    managed_save: bool = False
    since: float = 0.0
    title: str = ""
    max_memory: int = 0
    memory: int = 0
    vcpus: int = 0
    cpu_time: float = 0.0
    pid: int | None = None
    responding: bool = True

    @property
    def active(self) -> bool:
        return self.id is not None

    @property
    def reason_name(self) -> str:
        return reason_name(self.state, self.reason)


class Scope(msgspec.Struct, frozen=True):
    """What a change reaches: how the guest runs now (``live``), how it starts next time (``config``), or both.

    Neither is "current": the running guest, or the definition of one that is shut off.
    Source: virDomainModificationImpact (include/libvirt/libvirt-domain.h).
    """

    live: bool = False
    config: bool = False

    @classmethod
    def from_flags(cls, flags: int) -> Self:
        """The VIR_DOMAIN_AFFECT_ bits of ``flags``; all others are the caller's to look at."""
        return cls(live=bool(flags & _AFFECT_LIVE), config=bool(flags & _AFFECT_CONFIG))

    @property
    def flags(self) -> int:
        """libvirt's bits."""
        return _AFFECT_LIVE * self.live | _AFFECT_CONFIG * self.config


_AFFECT_LIVE, _AFFECT_CONFIG = 1, 2

#: Whatever the domain is now.
CURRENT = Scope()
#: How the guest runs now.
LIVE = Scope(live=True)


class BalloonStats(msgspec.Struct, frozen=True, kw_only=True):
    """Memory of a guest in bytes; what only the guest knows is None until its driver reports it.

    ``last_update`` is when it did so last, in seconds since the epoch; 0: never.
    """

    current: int
    maximum: int
    resident: int | None = None
    unused: int | None = None
    available: int | None = None
    usable: int | None = None
    swap_in: int | None = None
    swap_out: int | None = None
    major_faults: int | None = None
    minor_faults: int | None = None
    disk_caches: int | None = None
    hugetlb_allocations: int | None = None
    hugetlb_failures: int | None = None
    last_update: int | None = None


class JobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A running job: what it does, since when (epoch seconds), how far (0 to 1, None: cannot tell).

    ``processed`` of ``total`` are bytes, both 0 where the job does not count them.
    """

    operation: str
    started: float
    progress: float | None = None
    processed: int = 0
    total: int = 0
    pid: int = 0


class ShutdownMode(StrEnum):
    """How to ask a guest to shut down or reboot; DEFAULT tries the agent, then ACPI."""

    DEFAULT = "default"
    ACPI = "acpi"
    AGENT = "agent"


class Console(Protocol):
    """Both directions of a guest's character device."""

    async def read(self, size: int = 65536) -> bytes:
        """At least one byte, at most ``size``; b"" when the guest closed the line."""

    async def write(self, data: bytes) -> None:
        """Send all of ``data``."""

    async def close(self) -> None:
        """Give the line back.  The guest runs on."""


class CheckStatus(StrEnum):
    OK = "ok"
    WARN = "warn"  # works, but slower or with less
    FAIL = "fail"  # guests cannot run


class HostCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a host needs: whether it is there, and the command that gets it."""

    name: str
    status: CheckStatus
    message: str
    fix: str = ""


class GuestKind(msgspec.Struct, frozen=True, kw_only=True):
    """Which guests a question is about; what is "" is the best that the host has."""

    emulator: str = ""
    arch: str = ""
    machine: str = ""
    domain_type: str = ""


ANY_GUESTS = GuestKind()


class CpuModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A CPU model that guests may name.

    ``usable`` is whether they can have it here as it is, None where that is not known; ``lacks`` what keeps them.
    """

    name: str
    usable: bool | None = None
    lacks: list[str] = []


class CpuInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A CPU as a model with differences: ``features`` by name, with "require" or "disable"."""

    model: str
    vendor: str = ""
    features: dict[str, str] = {}


class HostCpuInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``processor`` is what the host's own processor is, ``guest`` what guests with the host's model get."""

    arch: str
    processor: CpuInfo | None = None
    guest: CpuInfo | None = None


class CpuComparison(msgspec.Struct, frozen=True, kw_only=True):
    """``result`` is "incompatible", "identical" or "superset": the host against a CPU; ``lacks`` what it has not."""

    result: str
    lacks: list[str] = []
