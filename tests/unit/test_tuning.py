"""The share of the host that a guest gets: what may be changed of a running guest, of a definition, and how."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from vmherd.driver.params import UNLIMITED_KIB
from vmherd.driver.types import CURRENT, Scope
from vmherd.driver.uri import parse_uri
from vmherd.errors import (
    ArgumentUnsupported,
    InvalidArgument,
    InvalidState,
    OperationUnsupported,
    Unsupported,
    VmherdError,
)
from vmherd.events import TunableEvent
from vmherd.hypervisors.test.driver import TestDriver

LIVE, CONFIG, BOTH = Scope(live=True), Scope(config=True), Scope(live=True, config=True)
MIB = 1 << 20
CARD = "52:54:00:00:00:01"
GUEST = f"""
<domain type='test'>
  <name>web</name>
  <memory unit='MiB'>64</memory>
  <vcpu current='2'>4</vcpu>
  <iothreads>2</iothreads>
  <os><type>hvm</type></os>
  <devices>
    <disk type='file'><driver name='qemu' iothread='2'/><source file='/x'/><target dev='vda' bus='virtio'/></disk>
    <interface type='user'><mac address='{CARD}'/></interface>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""


class Guest:
    """One domain of the test driver, running; ``ask`` and ``change`` are the driver's methods by their names."""

    def __init__(self, driver: TestDriver, uuid: str) -> None:
        self.driver, self.uuid = driver, uuid

    async def ask(self, what: str, *args: Any, scope: Scope = CURRENT, **more: Any) -> Any:
        return await getattr(self.driver, f"domain_{what}")(self.uuid, *args, scope=scope, **more)

    async def xml(self, *, inactive: bool = False) -> str:
        return await self.driver.domain_xml(self.uuid, inactive=inactive)


@pytest.fixture
async def guest() -> AsyncIterator[Guest]:
    driver = await TestDriver.open(parse_uri("test:///default"))
    info = await driver.domain_define(GUEST)
    await driver.domain_start(info.uuid)
    yield Guest(driver, info.uuid)
    await driver.close()


#: What is set, how it is asked for, and what it was and is.
CHANGES = [
    ("set_vcpu_count", (3,), "vcpu_count", (), 2, 3),
    ("set_memory", (32 * MIB,), None, (), None, None),
    ("set_memory_params", ({"soft_limit": 2048},), "memory_params", ("soft_limit",), UNLIMITED_KIB, 2048),
    ("set_blkio_params", ({"weight": 300},), "blkio_params", ("weight",), 0, 300),
    (
        "set_blkio_params",
        ({"device_read_bytes_sec": "/dev/a,1,/dev/b,2"},),
        "blkio_params",
        ("device_read_bytes_sec",),
        "",
        "/dev/a,1,/dev/b,2",
    ),
    ("set_numa_params", ({"numa_nodeset": "0"},), "numa_params", ("numa_nodeset",), "", "0"),
    ("set_perf_events", ({"cpu_clock": True},), "perf_events", ("cpu_clock",), False, True),
    ("pin_vcpu", (3, [0]), "vcpu_pins", (3,), None, (0,)),
    ("pin_emulator", ([0],), "emulator_pin", (), None, (0,)),
]


@pytest.mark.parametrize(("setter", "args", "getter", "key", "before", "after"), CHANGES)
@pytest.mark.parametrize("scope", [LIVE, CONFIG, BOTH])
async def test_a_change_reaches_what_it_is_meant_for_and_nothing_else(
    guest: Guest, scope: Scope, setter: str, args: Any, getter: str | None, key: Any, before: Any, after: Any
) -> None:
    old = {False: await guest.xml(), True: await guest.xml(inactive=True)}
    await guest.ask(setter, *args, scope=scope)
    assert (await guest.xml() != old[False]) == scope.live
    assert (await guest.xml(inactive=True) != old[True]) == scope.config
    if getter is None:
        return
    for part, reached in ((LIVE, scope.live), (CONFIG, scope.config)):
        told = await guest.ask(getter, scope=part)
        value = told[key[0]] if key else told
        assert value == (after if reached else before) or (before is None and not reached)


async def test_cpu_time_is_told_in_full_of_a_running_guest_and_as_set_of_a_definition(guest: Guest) -> None:
    await guest.ask("set_scheduler_params", {"vcpu_quota": 20000}, scope=LIVE)
    live, config = await guest.ask("scheduler_params", scope=LIVE), await guest.ask("scheduler_params", scope=CONFIG)
    assert (live["vcpu_quota"], live["vcpu_period"], live["cpu_shares"], live["global_quota"]) == (
        20000,
        100000,
        1024,
        -1,
    )
    assert set(config.values()) == {0}


@pytest.mark.parametrize(
    ("setter", "args", "more", "scope", "kind", "words"),
    [
        ("set_vcpu_count", (0,), {}, LIVE, InvalidArgument, "0 processors"),
        ("set_vcpu_count", (5,), {}, LIVE, InvalidArgument, "for the live domain: 5 > 4"),
        ("set_vcpu_count", (5,), {}, CONFIG, InvalidArgument, "for the persistent domain: 5 > 4"),
        ("set_vcpu_count", (8,), {"maximum": True}, LIVE, OperationUnsupported, "maximum vcpu count of a live domain"),
        ("set_vcpu_count", (1,), {}, LIVE, Unsupported, "hotpluggable vcpus to reach"),
        ("set_vcpus", ([0],), {"enabled": False}, LIVE, OperationUnsupported, "can't be unplugged"),
        ("set_vcpus", ([0],), {"enabled": False}, CONFIG, InvalidArgument, "can't be modified"),
        ("set_vcpus", ([1],), {"enabled": True}, LIVE, InvalidArgument, "already in requested state"),
        ("set_vcpus", ([9],), {"enabled": True}, LIVE, InvalidArgument, "vcpu 9 is not present in live config"),
        ("pin_vcpu", (9, [0]), {}, LIVE, InvalidArgument, "vcpu 9 is out of range of live cpu count 4"),
        ("pin_vcpu", (9, [0]), {}, CONFIG, InvalidArgument, "range of persistent cpu count 4"),
        ("pin_vcpu", (0, []), {}, LIVE, InvalidArgument, "Empty cpu list"),
        ("pin_iothread", (9, [0]), {}, CONFIG, InvalidArgument, "iothreadid 9 not found"),
        ("add_iothread", (1,), {}, CONFIG, InvalidArgument, "already using iothread_id '1'"),
        ("add_iothread", (0,), {}, CONFIG, InvalidArgument, "zero"),
        ("remove_iothread", (9,), {}, CONFIG, InvalidArgument, "cannot find IOThread '9'"),
        ("remove_iothread", (2,), {}, CONFIG, InvalidArgument, "being used by disk 'vda'"),
        ("set_iothread", (1, {"poll_grow": 2}), {}, CONFIG, OperationUnsupported, "persistent polling"),
        ("set_iothread", (1, {"thread_pool_min": 3}), {}, CONFIG, InvalidState, r"\(3\) can't be greater"),
        ("set_memory", (128 * MIB,), {}, LIVE, InvalidArgument, "higher than max memory"),
        ("set_max_memory", (128 * MIB,), {}, LIVE, InvalidState, "on an active domain"),
        ("set_memory_params", ({"min_guarantee": 1},), {}, CONFIG, ArgumentUnsupported, "'min_guarantee'"),
        (
            "set_memory_params",
            ({"hard_limit": 2, "swap_hard_limit": 1},),
            {},
            CONFIG,
            InvalidArgument,
            "lower than or equal to swap_hard_limit",
        ),
        ("set_scheduler_params", ({"vcpu_quota": 5},), {}, LIVE, InvalidArgument, "[1000, 17592186044415]"),
        ("set_blkio_params", ({"device_weight": "/dev/a"},), {}, CONFIG, InvalidArgument, "unable to parse"),
        ("set_numa_params", ({"numa_mode": 2},), {}, LIVE, Unsupported, "must be set if 'placement'"),
        ("set_blkio_params", ({"device_weight": "/dev/a,x"},), {}, CONFIG, InvalidArgument, "invalid value 'x'"),
        ("set_numa_params", ({"numa_mode": 2},), {}, CONFIG, Unsupported, "must be set if 'placement'"),
        ("set_numa_params", ({"numa_nodeset": "x"},), {}, CONFIG, InvalidArgument, "Invalid nodeset"),
        ("set_interface_params", ("nic", {}), {}, CONFIG, InvalidArgument, "'nic' is not a known interface"),
    ],
)
async def test_what_cannot_be_is_refused_in_libvirts_words_and_changes_nothing(
    guest: Guest, setter: str, args: Any, more: Any, scope: Scope, kind: type[VmherdError], words: str
) -> None:
    before = await guest.xml(), await guest.xml(inactive=True)
    with pytest.raises(kind, match=words if "\\" in words else re.escape(words)) as raised:
        await guest.ask(setter, *args, scope=scope, **more)
    assert type(raised.value) is kind
    assert (await guest.xml(), await guest.xml(inactive=True)) == before


async def test_what_is_refused_of_the_definition_is_not_done_to_the_running_guest_either(guest: Guest) -> None:
    await guest.ask("add_iothread", 7, scope=CONFIG)
    with pytest.raises(InvalidArgument):
        await guest.ask("add_iothread", 7, scope=BOTH)
    assert [each.number for each in await guest.ask("iothreads", scope=LIVE)] == [1, 2]


async def test_vcpus_that_come_later_can_be_unplugged_and_keep_their_order(guest: Guest) -> None:
    await guest.ask("set_vcpus", [3], enabled=True, scope=LIVE)
    await guest.ask("set_vcpu_count", 4, scope=LIVE)
    states = re.findall("<vcpu id=.*/>", await guest.xml())
    assert states == [
        "<vcpu id='0' enabled='yes' hotpluggable='no' order='1'/>",
        "<vcpu id='1' enabled='yes' hotpluggable='no' order='2'/>",
        "<vcpu id='2' enabled='yes' hotpluggable='yes' order='4'/>",
        "<vcpu id='3' enabled='yes' hotpluggable='yes' order='3'/>",
    ]
    await guest.ask("set_vcpu_count", 2, scope=LIVE)
    assert await guest.ask("vcpu_count", scope=LIVE) == 2


async def test_a_definition_with_fewer_vcpus_has_fewer_states(guest: Guest) -> None:
    await guest.ask("set_vcpu_count", 3, hotpluggable=True, scope=CONFIG)
    await guest.ask("set_vcpu_count", 2, maximum=True, scope=CONFIG)
    text = await guest.xml(inactive=True)
    assert "<vcpu placement='static'>2</vcpu>" in text
    assert text.count("<vcpu id=") == 2


async def test_only_restrictive_memory_moves_to_other_nodes_while_the_guest_runs(guest: Guest) -> None:
    await guest.ask("set_numa_params", {"numa_nodeset": "0", "numa_mode": 0}, scope=LIVE)
    with pytest.raises(InvalidState, match="requires restrictive"):
        await guest.ask("set_numa_params", {"numa_nodeset": "0"}, scope=LIVE)
    with pytest.raises(InvalidState, match="can't change numatune mode"):
        await guest.ask("set_numa_params", {"numa_mode": 1}, scope=LIVE)


async def test_bandwidth_is_set_a_direction_at_a_time(guest: Guest) -> None:
    both = {"inbound.average": 100, "inbound.peak": 200, "outbound.average": 50}
    await guest.ask("set_interface_params", CARD, both, scope=CONFIG)
    await guest.ask("set_interface_params", CARD, {"inbound.average": 0}, scope=CONFIG)
    told = await guest.ask("interface_params", CARD, scope=CONFIG)
    assert {name: value for name, value in told.items() if value} == {"outbound.average": 50}


async def test_listeners_hear_of_limits_of_running_guests(guest: Guest) -> None:
    async with await guest.driver.events() as events:
        await guest.ask("pin_vcpu", 1, [0], scope=CONFIG)
        await guest.ask("pin_vcpu", 1, [0], scope=BOTH)
        await guest.ask("set_scheduler_params", {"cpu_shares": 100}, scope=LIVE)
        heard = [await anext(events), await anext(events)]
    assert [event.params for event in heard if isinstance(event, TunableEvent)] == [
        {"cputune.vcpupin1": "0"},
        {"cputune.cpu_shares": 100},
    ]
