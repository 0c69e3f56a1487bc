"""Events of domains as the remote program tells them: an entry for each number that clients register for.

Source: the domain_event_* procedures of the remote program, and virDomainEventID.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from vmherd import events
from vmherd.events import DomainEvent, EventId
from vmherd.rpc import protocol
from vmherd.rpc.params import plain, typed
from vmherd.rpc.protocol import Procedure


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of event is told: the domain, then these ``fields``.

    The older kinds can also be told without a callback's number; in those with one, the rest is ``nested`` in a
    structure of its own, after a ``reason`` (always 0) in some.
    """

    #: The procedure that tells it to a callback, without "domain_event_".
    name: str
    event: type[DomainEvent]
    fields: tuple[str, ...] = ()
    nested: bool = True
    reason: bool = False
    write: Callable[[Any], tuple[Any, ...]] | None = None
    read: Callable[..., dict[str, Any]] | None = None

    @property
    def procedure(self) -> Procedure:
        """What tells it to a callback."""
        return protocol.program("remote").by_name[f"domain_event_{self.name}"]

    @property
    def broadcast(self) -> Procedure | None:
        """What tells it without a callback's number; None for the newer kinds."""
        if not self.nested:
            return None
        return protocol.program("remote").by_name[f"domain_event_{self.name.removeprefix('callback_')}"]

    def message(self, event: DomainEvent, domain: Sequence[Any]) -> tuple[Any, ...]:
        """What is told of an event, a callback's number apart."""
        if self.write:
            return (domain, *self.write(event))
        return (domain, *(getattr(event, name) for name in self.fields))

    def numbered(self, number: int, message: tuple[Any, ...]) -> tuple[Any, ...]:
        """What is told to the callback of that number."""
        if not self.nested:
            return (number, *message)
        return (number, 0, message) if self.reason else (number, message)

    def parse(self, values: Sequence[Any]) -> tuple[int, DomainEvent]:
        """The callback's number, and the event, of what was told to it.

        Raises msgspec.ValidationError for numbers that mean nothing.
        """
        domain, *rest = values[-1] if self.nested else values[1:]
        found = self.read(*rest) if self.read else dict(zip(self.fields, rest, strict=True))
        return values[0], msgspec.convert({"uuid": domain.uuid, "name": domain.name, **found}, self.event)


def _write_graphics(event: events.GraphicsEvent) -> tuple[Any, ...]:
    ends = ((end.family, end.node, end.service) for end in (event.local, event.remote))
    return (event.phase, *ends, event.auth_scheme, list(event.subject))


def _read_graphics(phase: int, local: Any, remote: Any, scheme: str, subject: list[Any]) -> dict[str, Any]:
    ends = {"local": local._asdict(), "remote": remote._asdict()}
    return {"phase": phase, **ends, "auth_scheme": scheme, "subject": [tuple(pair) for pair in subject]}


_ACTION_REQUIRED, _RECURSIVE = 1, 2  # virDomainMemoryFailureFlags


def _write_failure(event: events.MemoryFailureEvent) -> tuple[Any, ...]:
    flags = _ACTION_REQUIRED * event.action_required | _RECURSIVE * event.recursive
    return event.recipient, event.action, flags


def _read_failure(recipient: int, action: int, flags: int) -> dict[str, Any]:
    required, recursive = bool(flags & _ACTION_REQUIRED), bool(flags & _RECURSIVE)
    return {"recipient": recipient, "action": action, "action_required": required, "recursive": recursive}


def _write_params(event: events.TunableEvent | events.JobCompletedEvent) -> tuple[Any, ...]:
    return (typed(event.params),)


def _read_params(params: list[Any]) -> dict[str, Any]:
    return {"params": plain(params)}


#: Every kind of event, by the number that clients register for.
SHAPES: Mapping[EventId, Shape] = {
    EventId.LIFECYCLE: Shape(name="callback_lifecycle", event=events.LifecycleEvent, fields=("event", "detail")),
    EventId.REBOOT: Shape(name="callback_reboot", event=events.RebootEvent),
    EventId.RTC_CHANGE: Shape(name="callback_rtc_change", event=events.RtcChangeEvent, fields=("offset",)),
    EventId.WATCHDOG: Shape(name="callback_watchdog", event=events.WatchdogEvent, fields=("action",)),
    EventId.IO_ERROR: Shape(name="callback_io_error", event=events.IoErrorEvent, fields=("path", "alias", "action")),
    EventId.GRAPHICS: Shape(
        name="callback_graphics", event=events.GraphicsEvent, write=_write_graphics, read=_read_graphics
    ),
    EventId.IO_ERROR_REASON: Shape(
        name="callback_io_error_reason", event=events.IoErrorEvent, fields=("path", "alias", "action", "reason")
    ),
    EventId.CONTROL_ERROR: Shape(name="callback_control_error", event=events.ControlErrorEvent),
    EventId.BLOCK_JOB: Shape(name="callback_block_job", event=events.BlockJobEvent, fields=("path", "type", "status")),
    EventId.DISK_CHANGE: Shape(
        name="callback_disk_change",
        event=events.DiskChangeEvent,
        fields=("old_source", "new_source", "alias", "reason"),
    ),
    EventId.TRAY_CHANGE: Shape(name="callback_tray_change", event=events.TrayChangeEvent, fields=("alias", "reason")),
    EventId.PMWAKEUP: Shape(name="callback_pmwakeup", event=events.PmwakeupEvent, reason=True),
    EventId.PMSUSPEND: Shape(name="callback_pmsuspend", event=events.PmsuspendEvent, reason=True),
    EventId.BALLOON_CHANGE: Shape(
        name="callback_balloon_change",
        event=events.BalloonChangeEvent,
        write=lambda event: (event.actual // 1024,),
        read=lambda actual: {"actual": actual * 1024},
    ),
    EventId.PMSUSPEND_DISK: Shape(name="callback_pmsuspend_disk", event=events.PmsuspendDiskEvent, reason=True),
    EventId.DEVICE_REMOVED: Shape(name="callback_device_removed", event=events.DeviceRemovedEvent, fields=("alias",)),
    EventId.BLOCK_JOB_2: Shape(
        name="block_job_2",
        event=events.BlockJobEvent,
        nested=False,
        write=lambda event: (event.target, event.type, event.status),
        read=lambda target, kind, status: {"path": "", "target": target, "type": kind, "status": status},
    ),
    EventId.TUNABLE: Shape(
        name="callback_tunable", event=events.TunableEvent, nested=False, write=_write_params, read=_read_params
    ),
    EventId.AGENT_LIFECYCLE: Shape(
        name="callback_agent_lifecycle", event=events.AgentLifecycleEvent, nested=False, fields=("state", "reason")
    ),
    EventId.DEVICE_ADDED: Shape(
        name="callback_device_added", event=events.DeviceAddedEvent, nested=False, fields=("alias",)
    ),
    EventId.MIGRATION_ITERATION: Shape(
        name="callback_migration_iteration", event=events.MigrationIterationEvent, nested=False, fields=("iteration",)
    ),
    EventId.JOB_COMPLETED: Shape(
        name="callback_job_completed",
        event=events.JobCompletedEvent,
        nested=False,
        write=_write_params,
        read=_read_params,
    ),
    EventId.DEVICE_REMOVAL_FAILED: Shape(
        name="callback_device_removal_failed", event=events.DeviceRemovalFailedEvent, nested=False, fields=("alias",)
    ),
    EventId.METADATA_CHANGE: Shape(
        name="callback_metadata_change", event=events.MetadataChangeEvent, nested=False, fields=("type", "uri")
    ),
    EventId.BLOCK_THRESHOLD: Shape(
        name="block_threshold",
        event=events.BlockThresholdEvent,
        nested=False,
        fields=("device", "path", "threshold", "excess"),
    ),
    EventId.MEMORY_FAILURE: Shape(
        name="memory_failure", event=events.MemoryFailureEvent, nested=False, write=_write_failure, read=_read_failure
    ),
    EventId.MEMORY_DEVICE_SIZE_CHANGE: Shape(
        name="memory_device_size_change",
        event=events.MemoryDeviceSizeChangeEvent,
        nested=False,
        write=lambda event: (event.alias, event.size // 1024),
        read=lambda alias, size: {"alias": alias, "size": size * 1024},
    ),
}

#: The same by the number of the procedure that tells it to a callback.
BY_PROCEDURE: Mapping[int, Shape] = {shape.procedure.number: shape for shape in SHAPES.values()}
