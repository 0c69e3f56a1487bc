"""What QEMU's events become: events for everyone, and changes of the running document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from qemu.qmp import Message

from vmherd.conf.domain import parse_domain
from vmherd.driver.uri import parse_uri
from vmherd.events import (
    AddressFamily,
    AgentLifecycleEvent,
    AgentReason,
    AgentState,
    BalloonChangeEvent,
    BlockThresholdEvent,
    DeviceRemovalFailedEvent,
    DomainEvent,
    GraphicsAddress,
    GraphicsEvent,
    GraphicsPhase,
    IoErrorAction,
    IoErrorEvent,
    MemoryFailureAction,
    MemoryFailureEvent,
    MemoryFailureRecipient,
    QemuMonitorEvent,
    RebootEvent,
    RtcChangeEvent,
    TrayChangeEvent,
    TrayChangeReason,
    WatchdogAction,
    WatchdogEvent,
)
from vmherd.hypervisors.qemu.folders import for_uri
from vmherd.hypervisors.qemu.heard import MOST, Chronicle, Sieve
from vmherd.hypervisors.qemu.life import Life
from vmherd.state.domains import DomainRecord, DomainTable, Entry, Live, Summary
from vmherd.state.jobs import Jobs
from vmherd.state.store import Store

A = "11111111-1111-1111-1111-111111111111"
WHO: dict[str, Any] = {"uuid": A, "name": "web"}
XML = f"""
<domain type='qemu' id='1'>
  <name>web</name><uuid>{A}</uuid><memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <clock offset='variable' adjustment='3600' basis='utc'/>
  <devices>
    <disk type='file' device='cdrom'><source file='/x.iso'/><target dev='hda' bus='ide'/><alias name='ide0-0-0'/></disk>
    <disk type='file' device='disk'><source file='/x.img'/><target dev='vda' bus='virtio'/>
      <alias name='virtio-disk0'/></disk>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/><alias name='channel0'/></channel>
    <channel type='unix'><target type='virtio' name='other'/><alias name='channel1'/></channel>
  </devices>
</domain>"""
DISKS = {"libvirt-1-format": "virtio-disk0", "libvirt-2-storage": "virtio-disk0/2"}


class Guest:
    """One run of a guest, and what is told of it."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(None)
        self.table = DomainTable(self.store)
        live = Live(id=1, xml=XML, summary=Summary(), ready=True)
        entry = self.table.insert(Entry(A, "web", DomainRecord(live=live)), [])
        folders = for_uri(parse_uri(f"qemu:///embed?root={folder}"))
        self.chronicle = Chronicle(self.table, Life(self.table, folders, Jobs(folder / "jobs")), entry, live)

    def hear(self, *messages: tuple[str, dict[str, object]]) -> list[DomainEvent]:
        before = self.store.last_seq()
        self.chronicle.note([message(*each) for each in messages], DISKS)
        heard = self.store.events_after(before)
        return [each for each in heard if not isinstance(each, QemuMonitorEvent)]

    @property
    def document(self) -> Any:
        live = self.table.get(A).live
        assert live is not None
        return parse_domain(live.xml)


def message(event: str, data: dict[str, object]) -> Message:
    return Message({"event": event, "timestamp": {"seconds": 5, "microseconds": 7}, "data": data})


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


IO_ERROR = {"device": "", "node-name": "libvirt-1-format", "operation": "write", "reason": "No space left on device"}
SERVER = {"host": "127.0.0.1", "service": "5900", "family": "ipv4", "websocket": False, "auth": "vencrypt+x509+sasl"}
CLIENT = {"host": "::1", "service": "4711", "family": "ipv6", "x509_dname": "CN=me"}
OST = {"device": "dimm0", "slot": "0", "slot-type": "DIMM"}


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("RESET", {"guest": True, "reason": "guest-reset"}, RebootEvent(**WHO)),
        ("WATCHDOG", {"action": "inject-nmi"}, WatchdogEvent(**WHO, action=WatchdogAction.INJECTNMI)),
        (
            "BLOCK_IO_ERROR",
            IO_ERROR | {"action": "stop", "nospace": True},
            IoErrorEvent(**WHO, path="/x.img", alias="virtio-disk0", action=IoErrorAction.PAUSE, reason="enospc"),
        ),
        (
            "BLOCK_WRITE_THRESHOLD",
            {"node-name": "libvirt-2-storage", "amount-exceeded": 5, "write-threshold": 100},
            BlockThresholdEvent(**WHO, device="vda[2]", path=None, threshold=100, excess=5),
        ),
        (
            "VNC_INITIALIZED",
            {"server": SERVER, "client": CLIENT},
            GraphicsEvent(
                **WHO,
                phase=GraphicsPhase.INITIALIZE,
                local=GraphicsAddress(family=AddressFamily.IPV4, node="127.0.0.1", service="5900"),
                remote=GraphicsAddress(family=AddressFamily.IPV6, node="::1", service="4711"),
                auth_scheme="vencrypt+x509+sasl",
                subject=(("x509dname", "CN=me"),),
            ),
        ),
        # Whoever takes a device out of the document tells that it is gone, in one transaction.
        ("DEVICE_DELETED", {"device": "net1", "path": "/machine/peripheral/net1"}, None),
        (
            "ACPI_DEVICE_OST",
            {"info": OST | {"source": 3, "status": 0x81}},
            DeviceRemovalFailedEvent(**WHO, alias="dimm0"),
        ),
        ("ACPI_DEVICE_OST", {"info": OST | {"source": 3, "status": 0}}, None),
        ("DEVICE_UNPLUG_GUEST_ERROR", {"device": "cpu1", "path": "/x"}, DeviceRemovalFailedEvent(**WHO, alias="cpu1")),
        (
            "MEMORY_FAILURE",
            {"recipient": "guest", "action": "inject", "flags": {"action-required": True, "recursive": False}},
            MemoryFailureEvent(
                **WHO,
                recipient=MemoryFailureRecipient.GUEST,
                action=MemoryFailureAction.INJECT,
                action_required=True,
            ),
        ),
        ("NIC_RX_FILTER_CHANGED", {"name": "net0", "path": "/x"}, None),
    ],
)
def test_an_event_of_qemu_is_told_as_libvirt_tells_it(
    guest: Guest, name: str, data: dict[str, object], told: DomainEvent | None
) -> None:
    heard = guest.hear((name, data))
    assert [msgspec.structs.replace(each, seq=0, time=0.0) for each in heard] == ([told] if told else [])


def test_each_event_is_told_raw_too_to_who_asks(guest: Guest) -> None:
    guest.hear(("BALLOON_CHANGE", {"actual": 32 << 20}), ("STOP", {}))
    first, _, last = guest.store.events_after(0)
    assert isinstance(first, QemuMonitorEvent)
    assert (first.event, first.seconds, first.micros, first.details) == ("BALLOON_CHANGE", 5, 7, '{"actual":33554432}')
    assert isinstance(last, QemuMonitorEvent)


def test_a_clock_that_varies_adds_up_from_what_it_was_at_the_start(guest: Guest) -> None:
    heard = guest.hear(("RTC_CHANGE", {"offset": 10}), ("RTC_CHANGE", {"offset": 20}))
    assert [each.offset for each in heard if isinstance(each, RtcChangeEvent)] == [3610, 3620]
    assert guest.document.clock.adjustment == "3620"


def test_trays_balloons_and_channels_are_kept_in_the_document(guest: Guest) -> None:
    (tray,) = guest.hear(("DEVICE_TRAY_MOVED", {"device": "", "id": "ide0-0-0", "tray-open": True}))
    assert isinstance(tray, TrayChangeEvent)
    assert (tray.alias, tray.reason) == ("ide0-0-0", TrayChangeReason.OPEN)
    assert guest.document.devices.disks[0].target.tray == "open"
    (balloon,) = guest.hear(("BALLOON_CHANGE", {"actual": 32 << 20}))
    assert isinstance(balloon, BalloonChangeEvent)
    assert guest.document.current_memory == guest.table.get(A).info.memory == 32 << 20
    assert guest.hear(("VSERPORT_CHANGE", {"id": "channel1", "open": True})) == []
    assert [each.target.state for each in guest.document.devices.channels] == [None, "connected"]


def test_the_agent_comes_and_goes_with_its_channel(guest: Guest) -> None:
    guest.chronicle.channels({"channel0": False, "serial0": True})
    heard = guest.hear(*(("VSERPORT_CHANGE", {"id": "channel0", "open": opened}) for opened in (True, True, False)))
    told = [each for each in guest.store.events_after(0) if isinstance(each, AgentLifecycleEvent)]
    assert [(each.state, each.reason) for each in told] == [
        (AgentState.DISCONNECTED, AgentReason.DOMAIN_STARTED),
        (AgentState.CONNECTED, AgentReason.CHANNEL),
        (AgentState.DISCONNECTED, AgentReason.CHANNEL),
    ]
    assert len(heard) == 2


def test_an_event_of_a_run_that_is_over_is_told_to_nobody(guest: Guest) -> None:
    def begin_anew(entry: Entry) -> list[DomainEvent]:
        assert entry.live
        entry.live.id = 2
        return []

    guest.table.change(A, begin_anew)
    assert guest.hear(("RESET", {"guest": True})) == []
    assert guest.store.last_seq() == 0


def test_an_event_that_is_not_as_it_should_be_keeps_nobody_from_hearing_the_next(guest: Guest) -> None:
    heard = guest.hear(("WATCHDOG", {"action": "sing"}), ("DEVICE_TRAY_MOVED", {}), ("RTC_CHANGE", {}), ("RESET", {}))
    assert [type(each) for each in heard] == [RebootEvent]
    assert len(guest.store.events_after(0)) == 5  # all of them raw


def test_a_guest_that_floods_qemu_with_events_is_heard_in_moderation() -> None:
    sieve = Sieve()
    floods = [message("BLOCK_IO_ERROR", {"action": "report"})] * 10 * MOST
    assert MOST <= sum(map(sieve, floods)) <= 2 * MOST  # a second may end meanwhile
    assert sieve(message("BLOCK_IO_ERROR", {"action": "stop"}))
    assert sieve(message("SHUTDOWN", {}))
