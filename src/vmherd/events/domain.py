"""What happens to domains: a class per kind of event.

``ids`` are the numbers libvirt's clients register for; where libvirt tells one thing in two ways, there are two.
Sizes are in bytes.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from vmherd.events.base import Event
from vmherd.events.lifecycle import DETAILS, Lifecycle
from vmherd.events.numbers import (
    AddressFamily,
    AgentReason,
    AgentState,
    BlockJobStatus,
    BlockJobType,
    DiskChangeReason,
    EventId,
    GraphicsPhase,
    IoErrorAction,
    MemoryFailureAction,
    MemoryFailureRecipient,
    MetadataType,
    TrayChangeReason,
    WatchdogAction,
)


class DomainEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened to one domain."""

    ids: ClassVar[tuple[EventId, ...]] = ()


class LifecycleEvent(DomainEvent, frozen=True, kw_only=True):
    """A domain is defined, starts, stops, ...; ``detail`` is libvirt's detail number for ``event``."""

    ids = (EventId.LIFECYCLE,)

    event: Lifecycle
    detail: int = 0

    @property
    def detail_name(self) -> str:
        """The detail in words: "booted", "destroyed", ..."""
        words = DETAILS[self.event]
        return words[self.detail] if self.detail < len(words) else str(self.detail)


class RebootEvent(DomainEvent, frozen=True, kw_only=True):
    """The machine was reset, by the guest or from outside."""

    ids = (EventId.REBOOT,)


class RtcChangeEvent(DomainEvent, frozen=True, kw_only=True):
    """The guest set its clock, which is ``offset`` seconds off now."""

    ids = (EventId.RTC_CHANGE,)

    offset: int


class WatchdogEvent(DomainEvent, frozen=True, kw_only=True):
    """The guest did not feed its watchdog."""

    ids = (EventId.WATCHDOG,)

    action: WatchdogAction


class IoErrorEvent(DomainEvent, frozen=True, kw_only=True):
    """A disk failed; ``reason`` is "enospc" where the host's storage is full, else ""."""

    ids = (EventId.IO_ERROR, EventId.IO_ERROR_REASON)

    path: str
    alias: str
    action: IoErrorAction
    reason: str = ""


class GraphicsAddress(msgspec.Struct, frozen=True, kw_only=True):
    """One end of a connection to a screen; ``service`` is the port."""

    family: AddressFamily
    node: str = ""
    service: str = ""


class GraphicsEvent(DomainEvent, frozen=True, kw_only=True):
    """Somebody comes to a screen of the guest, is let in, or leaves.

    ``subject`` tells who, as far as it was proven: pairs of a kind of name ("x509dname", "saslUsername") and the name.
    """

    ids = (EventId.GRAPHICS,)

    phase: GraphicsPhase
    local: GraphicsAddress
    remote: GraphicsAddress
    auth_scheme: str = ""
    subject: tuple[tuple[str, str], ...] = ()


class ControlErrorEvent(DomainEvent, frozen=True, kw_only=True):
    """The hypervisor of the guest cannot be talked to."""

    ids = (EventId.CONTROL_ERROR,)


class BlockJobEvent(DomainEvent, frozen=True, kw_only=True):
    """A job on a disk got somewhere; libvirt's older clients know the disk by ``path``, the newer by ``target``."""

    ids = (EventId.BLOCK_JOB, EventId.BLOCK_JOB_2)

    path: str
    target: str
    type: BlockJobType
    status: BlockJobStatus


class DiskChangeEvent(DomainEvent, frozen=True, kw_only=True):
    """A disk started without its source, since that is missing and startupPolicy lets it go."""

    ids = (EventId.DISK_CHANGE,)

    alias: str
    reason: DiskChangeReason
    old_source: str | None = None
    new_source: str | None = None


class TrayChangeEvent(DomainEvent, frozen=True, kw_only=True):
    """The tray of a drive moved."""

    ids = (EventId.TRAY_CHANGE,)

    alias: str
    reason: TrayChangeReason


class PmwakeupEvent(DomainEvent, frozen=True, kw_only=True):
    """The guest woke up."""

    ids = (EventId.PMWAKEUP,)


class PmsuspendEvent(DomainEvent, frozen=True, kw_only=True):
    """The guest sleeps, its memory kept (ACPI S3)."""

    ids = (EventId.PMSUSPEND,)


class PmsuspendDiskEvent(DomainEvent, frozen=True, kw_only=True):
    """The guest hibernated (ACPI S4)."""

    ids = (EventId.PMSUSPEND_DISK,)


class BalloonChangeEvent(DomainEvent, frozen=True, kw_only=True):
    """The guest has ``actual`` bytes of memory now."""

    ids = (EventId.BALLOON_CHANGE,)

    actual: int


class DeviceRemovedEvent(DomainEvent, frozen=True, kw_only=True):
    """A device left the guest."""

    ids = (EventId.DEVICE_REMOVED,)

    alias: str


class DeviceAddedEvent(DomainEvent, frozen=True, kw_only=True):
    """A device came to the running guest."""

    ids = (EventId.DEVICE_ADDED,)

    alias: str


class DeviceRemovalFailedEvent(DomainEvent, frozen=True, kw_only=True):
    """The guest did not let a device go."""

    ids = (EventId.DEVICE_REMOVAL_FAILED,)

    alias: str


class TunableEvent(DomainEvent, frozen=True, kw_only=True):
    """A limit of the running guest was changed; the names are libvirt's, such as "cputune.cpu_shares"."""

    ids = (EventId.TUNABLE,)

    params: dict[str, int | str]


class AgentLifecycleEvent(DomainEvent, frozen=True, kw_only=True):
    """The guest agent came or went."""

    ids = (EventId.AGENT_LIFECYCLE,)

    state: AgentState
    reason: AgentReason


class MigrationIterationEvent(DomainEvent, frozen=True, kw_only=True):
    """A migration begins to send the memory for the ``iteration``-th time."""

    ids = (EventId.MIGRATION_ITERATION,)

    iteration: int


class JobCompletedEvent(DomainEvent, frozen=True, kw_only=True):
    """A job ended, with its statistics as ``domain_job_stats`` has them."""

    ids = (EventId.JOB_COMPLETED,)

    params: dict[str, int | float | bool | str]


class MetadataChangeEvent(DomainEvent, frozen=True, kw_only=True):
    """Title, description or an element of <metadata> was changed, the latter named by its namespace ``uri``."""

    ids = (EventId.METADATA_CHANGE,)

    type: MetadataType
    uri: str | None = None


class BlockThresholdEvent(DomainEvent, frozen=True, kw_only=True):
    """Writing to an image went ``excess`` bytes beyond the threshold that was set for it."""

    ids = (EventId.BLOCK_THRESHOLD,)

    device: str
    path: str | None
    threshold: int
    excess: int


class MemoryFailureEvent(DomainEvent, frozen=True, kw_only=True):
    """The host's memory under the guest is broken.

    ``action_required`` says whether the guest needs what was there, ``recursive`` whether it handled one already.
    """

    ids = (EventId.MEMORY_FAILURE,)

    recipient: MemoryFailureRecipient
    action: MemoryFailureAction
    action_required: bool = False
    recursive: bool = False


class MemoryDeviceSizeChangeEvent(DomainEvent, frozen=True, kw_only=True):
    """The guest gave or took memory of a virtio-mem device, which has ``size`` bytes now."""

    ids = (EventId.MEMORY_DEVICE_SIZE_CHANGE,)

    alias: str
    size: int


class QemuMonitorEvent(DomainEvent, frozen=True, kw_only=True):
    """An event of QEMU's monitor as it came; ``details`` is its data as JSON text, "" where it has none.

    It is no event of libvirt's domains but of its QEMU extension, and only told to who asks for this class.
    """

    event: str
    seconds: int
    micros: int
    details: str = ""


#: Every kind there is of domains.
AnyEvent = (
    LifecycleEvent
    | RebootEvent
    | RtcChangeEvent
    | WatchdogEvent
    | IoErrorEvent
    | GraphicsEvent
    | ControlErrorEvent
    | BlockJobEvent
    | DiskChangeEvent
    | TrayChangeEvent
    | PmwakeupEvent
    | PmsuspendEvent
    | PmsuspendDiskEvent
    | BalloonChangeEvent
    | DeviceRemovedEvent
    | DeviceAddedEvent
    | DeviceRemovalFailedEvent
    | TunableEvent
    | AgentLifecycleEvent
    | MigrationIterationEvent
    | JobCompletedEvent
    | MetadataChangeEvent
    | BlockThresholdEvent
    | MemoryFailureEvent
    | MemoryDeviceSizeChangeEvent
    | QemuMonitorEvent
)
