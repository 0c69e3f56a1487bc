"""What QEMU's events mean to everybody else: the events of a domain, and what they change in its running document.

Source of the events: qapi/*.json of QEMU; of what they become: the qemuProcessHandle functions of libvirt.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from qemu.qmp import Message

from vmherd import events
from vmherd.conf.domain import Domain, parse_domain, render
from vmherd.conf.domain.chardev import Channel, ChannelState
from vmherd.conf.domain.clock import ClockOffset
from vmherd.conf.domain.disk import Disk, Tray
from vmherd.events import AgentReason, AgentState, DomainEvent
from vmherd.hypervisors.qemu import agent
from vmherd.hypervisors.qemu.life import Life
from vmherd.hypervisors.qemu.monitor import Monitor
from vmherd.hypervisors.qemu.statistics import block
from vmherd.state.changes import summarise
from vmherd.state.domains import DomainTable, Entry, Live

log = logging.getLogger("vmherd.keeper")

Data = Mapping[str, Any]
E = TypeVar("E", bound=DomainEvent)

#: What a guest, or somebody at its screen, can make QEMU tell at most, per second and event.
MOST = 50
#: Events that are never too many: only the host makes them, or the guest ends.
_STATES = ("STOP", "RESUME", "SHUTDOWN")
#: Events that name a node of a disk, and nothing else of it.
_NODAL = ("BLOCK_IO_ERROR", "BLOCK_WRITE_THRESHOLD")


class Sieve:
    """Lets through what one can keep pace with; an event that changes the guest's state always passes."""

    def __init__(self) -> None:
        self._second = 0
        self._count: dict[str, int] = {}
        self.dropped = 0

    def __call__(self, message: Message) -> bool:
        name = str(message["event"])
        if int(time.monotonic()) != self._second:
            self._second, self._count = int(time.monotonic()), {}
        count = self._count[name] = self._count.get(name, 0) + 1
        if count <= MOST or name in _STATES or _data(message).get("action") == "stop":
            return True
        self.dropped += 1
        return False


async def disks_of(messages: Sequence[Message], monitor: Monitor) -> dict[str, str]:
    """The alias of the disk of each node, where one of the events names a node.

    Nodes of the images below have the image's number after it: "virtio-disk0/3".
    """
    if not any(message["event"] in _NODAL for message in messages):
        return {}
    return dict(block.owners(await monitor.execute("query-blockstats")))


class Chronicle:
    """Notes what the QEMU of one run of a guest tells."""

    def __init__(self, table: DomainTable, life: Life, entry: Entry, live: Live) -> None:
        self._table = table
        self._life = life
        self._uuid, self._name, self._run = entry.uuid, entry.name, live.id

    def note(self, messages: Sequence[Message], disks: Mapping[str, str]) -> None:
        """Note events in one transaction; ``disks`` is from ``disks_of``."""
        with self._table.store.transaction():
            if self._life.current(self._uuid, self._run) is None:
                return
            for message in messages:
                data = _data(message)
                self._table.store.record_events([self._raw(message)])
                self._understand(str(message["event"]), {**data, "disk": disks.get(str(data.get("node-name")), "")})

    def _understand(self, name: str, data: Data) -> None:
        if handle := _MEANINGS.get(name):
            try:
                handle(self, data)
            except (KeyError, TypeError, ValueError) as problem:  # a QEMU that we do not know, or one that lies
                log.warning("%s: %s says nothing that we understand: %r", self._name, name, problem)

    def channels(self, opened: Mapping[str, bool]) -> None:
        """Note which channels the guest has open, by alias, after a time when nobody listened."""

        def edit(domain: Domain) -> list[DomainEvent]:
            told = []
            for channel in domain.devices.channels:
                if channel.alias and channel.alias.name in opened:
                    first = channel.target.state is None
                    reason = AgentReason.DOMAIN_STARTED if first else AgentReason.UNKNOWN
                    told += self._switch(channel, opened[channel.alias.name], reason)
            return told

        self._revise(edit)

    def control_lost(self) -> None:
        """QEMU lives, and cannot be talked to."""
        self._tell(self._event(events.ControlErrorEvent))

    def _raw(self, message: Message) -> DomainEvent:
        stamp = message["timestamp"]
        assert isinstance(stamp, dict)
        return self._event(
            events.QemuMonitorEvent,
            event=str(message["event"]),
            seconds=int(stamp["seconds"]),
            micros=int(stamp["microseconds"]),
            details=msgspec.json.encode(message["data"]).decode() if "data" in message else "",
        )

    def _event(self, kind: type[E], **fields: Any) -> E:
        return kind(uuid=self._uuid, name=self._name, **fields)

    def _tell(self, *told: DomainEvent) -> None:
        self._table.store.record_events(told)

    def _revise(self, edit: Callable[[Domain], list[DomainEvent]]) -> None:
        """Change the running document; ``edit`` returns what is to be told of it."""

        def step(_: Entry, live: Live) -> list[DomainEvent] | None:
            if not live.xml:
                return None
            domain = parse_domain(live.xml)
            told = edit(domain)
            xml = render(domain, secure=True)
            if xml == live.xml and not told:
                return None
            live.xml, live.summary = xml, summarise(domain)
            return told

        self._life.change(self._uuid, self._run, step)

    def _on_rtc(self, data: Data) -> None:
        # QEMU counts from what the clock was set to at the start.
        def step(_: Entry, live: Live) -> list[DomainEvent]:
            domain, offset = parse_domain(live.xml), int(data["offset"])
            if domain.clock.offset is ClockOffset.VARIABLE:
                if live.clock_base is None:
                    live.clock_base = int(domain.clock.adjustment or 0)
                offset += live.clock_base
                domain.clock.adjustment = str(offset)
                live.xml = render(domain, secure=True)
            return [self._event(events.RtcChangeEvent, offset=offset)]

        self._life.change(self._uuid, self._run, step)

    def _on_reset(self, _: Data) -> None:
        self._tell(self._event(events.RebootEvent))

    def _on_watchdog(self, data: Data) -> None:
        action = _numbered(events.WatchdogAction, data["action"])
        self._tell(self._event(events.WatchdogEvent, action=action))

    def _on_io_error(self, data: Data) -> None:
        disk = self._disk(data["disk"])
        self._tell(
            self._event(
                events.IoErrorEvent,
                path=_path(disk) or "",
                alias=data["disk"],
                action=_IO_ACTIONS[data["action"]],
                reason="enospc" if data.get("nospace") else "",
            )
        )

    def _disk(self, alias: str) -> Disk | None:
        live = self._life.current(self._uuid, self._run)
        disks = parse_domain(live.xml).devices.disks if live else []
        return next((disk for disk in disks if disk.alias and disk.alias.name == alias), None)

    def _on_threshold(self, data: Data) -> None:
        """The uppermost image is told twice, by the disk's name and by its own, since either may be waited for."""
        alias, _, below = data["disk"].partition("/")
        if disk := self._disk(alias):
            fields = {"threshold": data["write-threshold"], "excess": data["amount-exceeded"]}
            path, names = (None, []) if below else (_path(disk), [disk.target.dev])
            index = below or block.index_of(str(data["node-name"]))
            names += [f"{disk.target.dev}[{index}]"] if index else []
            self._tell(*(self._event(events.BlockThresholdEvent, device=n, path=path, **fields) for n in names))

    def _on_tray(self, data: Data) -> None:
        alias, opened = str(data["id"]), bool(data["tray-open"])

        def edit(domain: Domain) -> list[DomainEvent]:
            for disk in domain.devices.disks:
                if disk.alias and disk.alias.name == alias:
                    disk.target.tray = Tray.OPEN if opened else None
                    reason = events.TrayChangeReason.OPEN if opened else events.TrayChangeReason.CLOSE
                    return [self._event(events.TrayChangeEvent, alias=alias, reason=reason)]
            return []

        self._revise(edit)

    def _on_balloon(self, data: Data) -> None:
        def edit(domain: Domain) -> list[DomainEvent]:
            domain.current_memory = int(data["actual"])
            return [self._event(events.BalloonChangeEvent, actual=int(data["actual"]))]

        self._revise(edit)

    def _on_module_size(self, data: Data) -> None:
        alias = str(data.get("id", ""))

        def edit(domain: Domain) -> list[DomainEvent]:
            for module in domain.devices.memories:
                if module.alias and module.alias.name == alias:
                    module.target.current = int(data["size"])
                    return [self._event(events.MemoryDeviceSizeChangeEvent, alias=alias, size=int(data["size"]))]
            return []

        self._revise(edit)

    def _on_port(self, data: Data) -> None:
        def edit(domain: Domain) -> list[DomainEvent]:
            for channel in domain.devices.channels:
                if channel.alias and channel.alias.name == data["id"]:
                    return self._switch(channel, data["open"], AgentReason.CHANNEL)
            return []

        self._revise(edit)

    def _switch(self, channel: Channel, opened: bool, reason: AgentReason) -> list[DomainEvent]:
        state = ChannelState.CONNECTED if opened else ChannelState.DISCONNECTED
        if channel.target.state is state:
            return []
        channel.target.state = state
        if channel.target.name != agent.CHANNEL:
            return []
        told = AgentState.CONNECTED if opened else AgentState.DISCONNECTED
        return [self._event(events.AgentLifecycleEvent, state=told, reason=reason)]

    def _on_suspend(self, _: Data) -> None:
        self._tell(self._event(events.PmsuspendEvent))

    def _on_suspend_disk(self, _: Data) -> None:
        self._tell(self._event(events.PmsuspendDiskEvent))

    def _on_wakeup(self, _: Data) -> None:
        self._tell(self._event(events.PmwakeupEvent))

    def _on_unplug_refused(self, data: Data) -> None:
        if alias := data.get("device"):
            self._tell(self._event(events.DeviceRemovalFailedEvent, alias=alias))

    def _on_acpi_status(self, data: Data) -> None:
        info = data["info"]
        if info["slot-type"] == "DIMM" and info["source"] in _EJECTION and info["status"] in _REFUSED:
            self._on_unplug_refused(info)

    def _on_memory_failure(self, data: Data) -> None:
        self._tell(
            self._event(
                events.MemoryFailureEvent,
                recipient=_numbered(events.MemoryFailureRecipient, data["recipient"]),
                action=_numbered(events.MemoryFailureAction, data["action"]),
                action_required=data["flags"]["action-required"],
                recursive=data["flags"]["recursive"],
            )
        )

    def _on_migration_pass(self, data: Data) -> None:
        self._tell(self._event(events.MigrationIterationEvent, iteration=data["pass"]))

    def _on_crash_loaded(self, _: Data) -> None:
        self._tell(self._event(events.LifecycleEvent, event=events.Lifecycle.CRASHED, detail=1))

    def _on_screen(self, phase: events.GraphicsPhase, data: Data) -> None:
        server, client = data["server"], data["client"]
        names = [("x509dname", client.get("x509_dname")), ("saslUsername", client.get("sasl_username"))]
        self._tell(
            self._event(
                events.GraphicsEvent,
                phase=phase,
                local=_address(server),
                remote=_address(client),
                auth_scheme=server.get("auth", ""),
                subject=tuple((kind, name) for kind, name in names if name),
            )
        )


def _data(message: Message) -> Data:
    data = message.get("data", {})
    assert isinstance(data, dict)  # says QMP's grammar
    return data


def _numbered(numbers: type[Any], word: str) -> Any:
    """libvirt's number for a word of QEMU: "inject-nmi" is INJECTNMI."""
    return numbers[word.replace("-", "").upper()]


def _path(disk: Disk | None) -> str | None:
    """The file or host device of a disk, None for storage on the network."""
    return (disk.source.file or disk.source.dev) if disk and disk.source else None


def _address(end: Data) -> events.GraphicsAddress:
    family = _FAMILIES.get(end["family"], events.AddressFamily.IPV4)
    return events.GraphicsAddress(family=family, node=end["host"], service=str(end.get("service", end.get("port", ""))))


_FAMILIES = {
    "ipv4": events.AddressFamily.IPV4,
    "ipv6": events.AddressFamily.IPV6,
    "unix": events.AddressFamily.UNIX,
}
_IO_ACTIONS = {
    "ignore": events.IoErrorAction.NONE,
    "stop": events.IoErrorAction.PAUSE,
    "report": events.IoErrorAction.REPORT,
}
#: Table 6.46 of ACPI 5.0: an ejection was asked for, or is under way.
_EJECTION = (0x3, 0x103)
#: Tables 6.47 and 6.48 there: failure, not understood, in use, busy, or something else is in the way.
_REFUSED = (0x1, 0x2, 0x80, 0x81, 0x82)


def _screen(phase: events.GraphicsPhase) -> Callable[[Chronicle, Data], None]:
    return lambda chronicle, data: chronicle._on_screen(phase, data)


_MEANINGS: dict[str, Callable[[Chronicle, Data], None]] = {
    "ACPI_DEVICE_OST": Chronicle._on_acpi_status,
    "BALLOON_CHANGE": Chronicle._on_balloon,
    "BLOCK_IO_ERROR": Chronicle._on_io_error,
    "BLOCK_WRITE_THRESHOLD": Chronicle._on_threshold,
    "DEVICE_TRAY_MOVED": Chronicle._on_tray,
    "DEVICE_UNPLUG_GUEST_ERROR": Chronicle._on_unplug_refused,
    "GUEST_CRASHLOADED": Chronicle._on_crash_loaded,
    "MEMORY_DEVICE_SIZE_CHANGE": Chronicle._on_module_size,
    "MEMORY_FAILURE": Chronicle._on_memory_failure,
    "MEM_UNPLUG_ERROR": Chronicle._on_unplug_refused,
    "MIGRATION_PASS": Chronicle._on_migration_pass,
    "RESET": Chronicle._on_reset,
    "RTC_CHANGE": Chronicle._on_rtc,
    "SPICE_CONNECTED": _screen(events.GraphicsPhase.CONNECT),
    "SPICE_DISCONNECTED": _screen(events.GraphicsPhase.DISCONNECT),
    "SPICE_INITIALIZED": _screen(events.GraphicsPhase.INITIALIZE),
    "SUSPEND": Chronicle._on_suspend,
    "SUSPEND_DISK": Chronicle._on_suspend_disk,
    "VNC_CONNECTED": _screen(events.GraphicsPhase.CONNECT),
    "VNC_DISCONNECTED": _screen(events.GraphicsPhase.DISCONNECT),
    "VNC_INITIALIZED": _screen(events.GraphicsPhase.INITIALIZE),
    "VSERPORT_CHANGE": Chronicle._on_port,
    "WAKEUP": Chronicle._on_wakeup,
    "WATCHDOG": Chronicle._on_watchdog,
}
