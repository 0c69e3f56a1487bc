"""libvirt's numbers in the events of domains (include/libvirt/libvirt-domain.h)."""

from __future__ import annotations

from enum import IntEnum


class EventId(IntEnum):
    """virDomainEventID: what a client of libvirt registers for."""

    LIFECYCLE = 0
    REBOOT = 1
    RTC_CHANGE = 2
    WATCHDOG = 3
    IO_ERROR = 4
    GRAPHICS = 5
    IO_ERROR_REASON = 6
    CONTROL_ERROR = 7
    BLOCK_JOB = 8
    DISK_CHANGE = 9
    TRAY_CHANGE = 10
    PMWAKEUP = 11
    PMSUSPEND = 12
    BALLOON_CHANGE = 13
    PMSUSPEND_DISK = 14
    DEVICE_REMOVED = 15
    BLOCK_JOB_2 = 16
    TUNABLE = 17
    AGENT_LIFECYCLE = 18
    DEVICE_ADDED = 19
    MIGRATION_ITERATION = 20
    JOB_COMPLETED = 21
    DEVICE_REMOVAL_FAILED = 22
    METADATA_CHANGE = 23
    BLOCK_THRESHOLD = 24
    MEMORY_FAILURE = 25
    MEMORY_DEVICE_SIZE_CHANGE = 26

    @property
    def label(self) -> str:
        """The word virsh has for it: "io-error-reason", ..."""
        return self.name.lower().replace("_", "-")


class WatchdogAction(IntEnum):
    """virDomainEventWatchdogAction: what became of the guest."""

    NONE = 0
    PAUSE = 1
    RESET = 2
    POWEROFF = 3
    SHUTDOWN = 4
    DEBUG = 5
    INJECTNMI = 6


class IoErrorAction(IntEnum):
    """virDomainEventIOErrorAction."""

    NONE = 0
    PAUSE = 1
    REPORT = 2


class GraphicsPhase(IntEnum):
    """virDomainEventGraphicsPhase."""

    CONNECT = 0
    INITIALIZE = 1
    DISCONNECT = 2


class AddressFamily(IntEnum):
    """virDomainEventGraphicsAddressType."""

    IPV4 = 0
    IPV6 = 1
    UNIX = 2


class BlockJobType(IntEnum):
    """virDomainBlockJobType."""

    UNKNOWN = 0
    PULL = 1
    COPY = 2
    COMMIT = 3
    ACTIVE_COMMIT = 4
    BACKUP = 5


class BlockJobStatus(IntEnum):
    """virConnectDomainEventBlockJobStatus."""

    COMPLETED = 0
    FAILED = 1
    CANCELED = 2
    READY = 3


class DiskChangeReason(IntEnum):
    """virConnectDomainEventDiskChangeReason: a source that startupPolicy let go, and what of the disk."""

    MISSING_ON_START = 0
    DROP_MISSING_ON_START = 1


class TrayChangeReason(IntEnum):
    """virDomainEventTrayChangeReason."""

    OPEN = 0
    CLOSE = 1


class AgentState(IntEnum):
    """virConnectDomainEventAgentLifecycleState."""

    CONNECTED = 1
    DISCONNECTED = 2


class AgentReason(IntEnum):
    """virConnectDomainEventAgentLifecycleReason."""

    UNKNOWN = 0
    DOMAIN_STARTED = 1
    CHANNEL = 2


class MetadataType(IntEnum):
    """virDomainMetadataType."""

    DESCRIPTION = 0
    TITLE = 1
    ELEMENT = 2


class MemoryFailureRecipient(IntEnum):
    """virDomainMemoryFailureRecipientType: whose memory it is."""

    HYPERVISOR = 0
    GUEST = 1


class MemoryFailureAction(IntEnum):
    """virDomainMemoryFailureActionType."""

    IGNORE = 0
    INJECT = 1
    FATAL = 2
    RESET = 3
