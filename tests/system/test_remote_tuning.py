"""What guests get of their host, changed over every way: the driver itself, a vmherd's wire, a libvirtd's wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from vmherd.api.aio import Domain, connect
from vmherd.driver.params import UNLIMITED_KIB
from vmherd.driver.types import CURRENT, Scope
from vmherd.errors import InvalidArgument, InvalidState, VmherdError
from wire import serving

CONFIG = Scope(config=True)
MIB = 1 << 20
CARD = "52:54:00:00:00:01"
GUEST = f"""
<domain type='test'>
  <name>share</name>
  <uuid>11111111-2222-3333-4444-000000000077</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu current='2'>4</vcpu>
  <iothreads>2</iothreads>
  <os><type arch='i686'>hvm</type></os>
  <devices>
    <interface type='bridge'><mac address='{CARD}'/><source bridge='br0'/></interface>
  </devices>
</domain>
"""


@pytest.fixture(params=["direct", "vmherd", "libvirtd"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "direct":
        yield "test:///default"
    elif request.param == "vmherd":
        with serving(tmp_path / "sock") as service:
            yield f"test+unix:///default?socket={service.path}"
            assert not service.mistakes
    else:
        yield request.getfixturevalue("libvirtd").uri("test:///default")


@pytest.fixture
async def domain(uri: str) -> AsyncIterator[Domain]:
    async with await connect(uri) as host:
        domain = await host.define(GUEST)
        await domain.start()
        try:
            yield domain
        finally:
            await domain.poweroff()
            await domain.undefine()


async def test_counts_and_places_of_vcpus_go_both_ways(domain: Domain) -> None:
    tuning = domain.tuning
    assert (await tuning.vcpu_count(), await tuning.vcpu_count(maximum=True)) == (2, 4)
    await tuning.set_vcpu_count(3)
    await tuning.set_vcpu_count(4, scope=CONFIG)
    assert (await tuning.vcpu_count(), await tuning.vcpu_count(scope=CONFIG)) == (3, 4)
    await tuning.pin_vcpu(1, [0])
    assert (await tuning.vcpu_pins())[1] == (0,)
    assert [each.number for each in await tuning.vcpu_info()] == [0, 1, 2]
    await tuning.pin_emulator([2], scope=CONFIG)
    assert await tuning.emulator_pin(scope=CONFIG) == (2,)


async def test_io_threads_go_both_ways(domain: Domain) -> None:
    assert [each.number for each in await domain.tuning.iothreads(scope=CONFIG)] == [1, 2]
    await domain.tuning.add_iothread(9, scope=CONFIG)
    await domain.tuning.pin_iothread(9, [0], scope=CONFIG)
    assert (await domain.tuning.iothreads(scope=CONFIG))[-1].affinity == (0,)
    await domain.tuning.remove_iothread(1, scope=CONFIG)
    assert [each.number for each in await domain.tuning.iothreads(scope=CONFIG)] == [2, 9]


async def test_memory_goes_both_ways(domain: Domain) -> None:
    await domain.tuning.set_memory(32 * MIB, scope=CONFIG)
    await domain.tuning.set_memory(16 * MIB)
    stats = await domain.tuning.memory_stats()
    assert stats.maximum == 64 * MIB
    assert "<currentMemory unit='KiB'>32768</currentMemory>" in await domain.xml(inactive=True)


#: What is set, and what is asked for then; libvirt's test driver has these, too.
PARAMS = [
    ("memory", {"hard_limit": 70000, "swap_hard_limit": 80000}, {"soft_limit": UNLIMITED_KIB}),
    ("numa", {"numa_mode": 0, "numa_nodeset": "0-1"}, {}),
]


@pytest.mark.parametrize(("kind", "params", "others"), PARAMS)
async def test_parameters_go_both_ways(domain: Domain, kind: str, params: Any, others: Any) -> None:
    await getattr(domain.tuning, f"set_{kind}_params")(params, scope=CONFIG)
    told = await getattr(domain.tuning, f"{kind}_params")(scope=CONFIG)
    assert told.items() >= (params | others).items()


async def test_bandwidth_goes_both_ways(domain: Domain) -> None:
    params: Any = {"inbound.average": 100, "inbound.peak": 200, "outbound.average": 50}
    await domain.tuning.set_interface_params(CARD, params, scope=CONFIG)
    told = await domain.tuning.interface_params(CARD, scope=CONFIG)
    assert {name: value for name, value in told.items() if value} == params


@pytest.mark.parametrize(
    ("call", "args", "scope", "kind", "words"),
    [
        ("set_vcpu_count", (5,), CURRENT, InvalidArgument, "5 > 4"),
        ("pin_iothread", (7, [0]), CONFIG, InvalidArgument, "iothreadid 7 not found"),
        ("add_iothread", (1,), CONFIG, InvalidArgument, "already using"),
        ("remove_iothread", (7,), CONFIG, InvalidArgument, "cannot find IOThread '7'"),
    ],
)
async def test_refusals_are_the_same_ones(
    domain: Domain, call: str, args: Any, scope: Scope, kind: type[VmherdError], words: str
) -> None:
    with pytest.raises(kind, match=words) as raised:
        await getattr(domain.tuning, call)(*args, scope=scope)
    assert type(raised.value) is kind


async def test_a_guest_that_is_shut_off_has_nothing_live(domain: Domain) -> None:
    await domain.poweroff()
    try:
        with pytest.raises(InvalidState, match="domain is not running"):
            await domain.tuning.vcpu_count(scope=Scope(live=True))
        assert await domain.tuning.vcpu_count() == 2
    finally:
        await domain.start()
