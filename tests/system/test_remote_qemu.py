"""A real guest over the wire: of a vmherd, and of a libvirtd."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from parts import Ear, echoes, make_echo_disk, stop_all, until

from vmherd.api.aio import Domain, Host, connect
from vmherd.driver.blocks import StatsFilter, StatsGroup
from vmherd.driver.types import PausedReason, Scope, ShutoffReason, State
from vmherd.errors import AlreadyExists, InvalidArgument, InvalidState, VmherdError
from vmherd.events import LifecycleEvent
from wire import serving

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='qemu'>
  <name>far</name>
  <title>Far away</title>
  <memory unit='MiB'>64</memory>
  <vcpu current='1'>2</vcpu>
  <iothreads>1</iothreads>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='user'><mac address='52:54:00:11:22:33'/><model type='virtio'/></interface>
    <serial type='pty'/>
    <console type='pty'/>
    <graphics type='vnc' port='-1' autoport='yes'/>
    <video><model type='vga'/></video>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""
MIB = 1 << 20
LIVE, CONFIG = Scope(live=True), Scope(config=True)


@pytest.fixture(params=["vmherd", "libvirtd"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "vmherd":
        with serving(tmp_path / "sock", f"qemu:///embed?root={tmp_path}") as service:
            yield f"qemu+unix:///embed?root={tmp_path}&socket={service.path}"
            assert not service.mistakes
    else:
        yield request.getfixturevalue("libvirtd").uri()


@pytest.fixture
async def host(uri: str) -> AsyncIterator[Host]:
    async with await connect(uri) as host:
        yield host
        await stop_all(host)
        for info in await host.domains():
            await (await host.domain(info.uuid)).undefine()


@pytest.fixture
async def guest(host: Host, tmp_path: Path) -> Domain:
    return await host.define(GUEST.format(disk=make_echo_disk(tmp_path)))


async def test_a_guest_lives_and_talks_over_the_wire(host: Host, guest: Domain) -> None:
    info = await guest.info()
    assert (info.state, info.persistent, info.title, info.max_memory) == (State.SHUTOFF, True, "Far away", 64 << 20)
    async with Ear(host) as ear:
        await guest.start()
        await echoes(guest)
        with pytest.raises(InvalidState):
            await guest.start()
        await guest.suspend()
        info = await guest.info()
        assert (info.state, info.reason) == (State.PAUSED, PausedReason.USER)
        await guest.resume()
        await guest.reset()
        await echoes(guest)
        await guest.poweroff()
        await until(guest, State.SHUTOFF)
        async with asyncio.timeout(5):
            while not any(detail == "destroyed" for _, detail in ear.told()):
                await asyncio.sleep(0.05)
    lives = [event.event.name for event in ear.heard if isinstance(event, LifecycleEvent)]
    order = [lives.index(name) for name in ("STARTED", "SUSPENDED", "STOPPED")]
    assert order == sorted(order)
    assert "RESUMED" in lives
    info = await guest.info()
    assert (info.state, info.reason) == (State.SHUTOFF, ShutoffReason.DESTROYED)
    with pytest.raises(InvalidState):
        await guest.open_console()


async def test_a_console_has_one_reader(guest: Domain) -> None:
    await guest.start()
    console = await guest.open_console()
    with pytest.raises(VmherdError, match=r"[Aa]ctive console session|in use|somebody"):
        async with asyncio.timeout(20):
            second = await guest.open_console()
            await second.read()  # libvirt's tells it in the stream
    taken = await guest.open_console(force=True)
    await taken.close()
    await console.close()


async def test_documents_are_checked_at_the_other_end(host: Host, guest: Domain, tmp_path: Path) -> None:
    text = await guest.xml(inactive=True)
    assert "<emulator>/usr/bin/qemu-system-x86_64</emulator>" in text
    with pytest.raises(AlreadyExists):
        await host.define(text.replace(guest.uuid, "11111111-2222-3333-4444-555555555555"))
    with pytest.raises(VmherdError, match="machine"):
        await host.define(text.replace("machine='pc", "machine='nonsense-"))


async def test_the_host_of_the_guests_answers(host: Host) -> None:
    info = await host.hardware.info()
    assert info.memory > 1 << 28
    assert await host.hardware.cpu_times(0) != await host.hardware.cpu_times()
    with pytest.raises(InvalidArgument):
        await host.hardware.cpu_times(4096)
    assert (await host.hardware.memory()).free > 0
    assert (await host.hardware.memory(0)).cached is None
    assert await host.max_vcpus("qemu") == 16
    with pytest.raises(InvalidArgument, match="unknown type 'nix'"):
        await host.max_vcpus("nix")
    compared = await host.compare_cpu("<cpu><model>EPYC-Milan</model></cpu>")
    assert compared.result in ("incompatible", "superset")
    assert bool(compared.lacks) is (compared.result == "incompatible")
    assert "aes" in await host.cpu_features("Westmere")
    assert "<model fallback='forbid'>Penryn</model>" in await host.baseline_cpu(
        ["<cpu><model>Penryn</model></cpu>", "<cpu><model>Penryn</model></cpu>"]
    )
    assert {"qemu64", "EPYC"} <= {model.name for model in await host.cpu_models()}


async def test_screens_keys_and_displays_come_over_the_wire(guest: Domain) -> None:
    await guest.start()
    picture = await guest.screen.picture()
    assert picture.data.startswith({"image/png": b"\x89PNG", "image/x-portable-pixmap": b"P6"}[picture.mime])
    assert len(picture.data) > 1000
    with pytest.raises(VmherdError):
        await guest.screen.picture(7)
    await guest.screen.press(["KEY_LEFTCTRL", "KEY_A"], hold=0.01)
    await guest.screen.interrupt()
    display = socket.socket(fileno=await guest.screen.connect(skip_auth=True))
    with display:
        display.settimeout(5)
        assert (await asyncio.to_thread(display.recv, 12)).startswith(b"RFB 003")


async def test_tuning_is_read_as_it_was_written(guest: Domain) -> None:
    tuning = guest.tuning
    await tuning.pin_vcpu(1, [0], scope=CONFIG)
    await tuning.set_scheduler_params({"cpu_shares": 777}, scope=CONFIG)
    await tuning.set_memory_params({"hard_limit": 1 << 20}, scope=CONFIG)
    await tuning.set_blkio_params({"weight": 500}, scope=CONFIG)
    await tuning.set_numa_params({"numa_mode": 0, "numa_nodeset": "0"}, scope=CONFIG)
    await tuning.set_max_memory(96 << 20, scope=CONFIG)
    await tuning.add_iothread(5, scope=CONFIG)
    assert (await tuning.vcpu_pins(scope=CONFIG))[1] == (0,)
    assert (await tuning.scheduler_params(scope=CONFIG))["cpu_shares"] == 777
    assert (await tuning.memory_params(scope=CONFIG))["hard_limit"] == 1 << 20
    assert (await tuning.blkio_params(scope=CONFIG))["weight"] == 500
    assert (await tuning.numa_params(scope=CONFIG))["numa_nodeset"] == "0"
    assert (await guest.info()).max_memory == 96 << 20
    assert [thread.number for thread in await tuning.iothreads(scope=CONFIG)] == [1, 5]
    assert await tuning.vcpu_count(maximum=True, scope=CONFIG) == 2
    with pytest.raises(InvalidState):
        await tuning.vcpu_count(scope=LIVE)
    with pytest.raises(VmherdError, match="cpu_sharez"):
        await tuning.set_scheduler_params({"cpu_sharez": 5}, scope=CONFIG)


async def test_a_running_guest_is_tuned(guest: Domain) -> None:
    tuning = guest.tuning
    await guest.start(paused=True)
    assert await tuning.vcpu_count(scope=LIVE) == 1
    assert await tuning.vcpu_count(maximum=True, scope=LIVE) == 2
    (vcpu,) = await tuning.vcpu_info()
    assert vcpu.affinity
    await tuning.pin_vcpu(0, [0], scope=LIVE)
    assert (await tuning.vcpu_info())[0].affinity == (0,)
    await tuning.add_iothread(6, scope=LIVE)
    assert 6 in [thread.number for thread in await tuning.iothreads(scope=LIVE)]
    await tuning.remove_iothread(6, scope=LIVE)
    assert (await tuning.cpu_stats()).total > 0
    assert (await tuning.memory_stats()).resident


async def test_a_saved_guest_goes_on_over_the_wire(host: Host, guest: Domain, tmp_path: Path) -> None:
    driver, image = host._driver, tmp_path / "image"
    await guest.start()
    await echoes(guest)
    await driver.domain_save(guest.uuid, image)
    info = await guest.info()
    assert (info.state, info.reason) == (State.SHUTOFF, ShutoffReason.SAVED)
    assert "<name>far</name>" in await driver.saved_xml(image)
    await driver.domain_restore(image)
    await echoes(guest)
    await driver.domain_managed_save(guest.uuid)
    assert (await guest.info()).managed_save
    await driver.domain_managed_save_remove(guest.uuid)
    assert not (await guest.info()).managed_save


async def test_disks_cards_and_counters_are_told_over_the_wire(host: Host, guest: Domain) -> None:
    blocks = guest.blocks
    (idle,) = await host.stats()
    assert (idle.id, idle.params["state.state"], idle.params["block.0.name"]) == (None, 5, "vda")
    await blocks.set_iotune("vda", {"read_iops_sec": 7}, scope=CONFIG)
    assert (await blocks.iotune("vda", scope=CONFIG))["read_iops_sec"] == 7
    capacity = (await blocks.info("vda")).capacity
    assert capacity == idle.params["block.0.capacity"]
    await guest.start()
    await echoes(guest)
    (busy,) = await host.stats(groups=StatsGroup.CPU_TOTAL | StatsGroup.BLOCK, only=StatsFilter.ACTIVE, enforce=True)
    assert busy.params["cpu.time"]
    assert (await guest.stats(StatsGroup.STATE)).params == {"state.state": 1, "state.reason": 1}
    counters = await blocks.stats("vda")
    assert counters["rd_bytes"] >= busy.params["block.0.rd.bytes"] >= 512
    assert counters.keys() == (await blocks.stats()).keys()
    assert await blocks.errors() == {}
    await blocks.resize("vda", capacity + MIB)
    assert (await blocks.info("vda")).capacity == capacity + MIB
    await blocks.set_iotune("vda", {"total_bytes_sec": 1 << 30, "group_name": "g"}, scope=LIVE)
    limits = await blocks.iotune("vda", scope=LIVE)
    assert (limits["total_bytes_sec"], limits["read_iops_sec"], limits["group_name"]) == (1 << 30, 7, "g")
    await blocks.set_threshold("vda", MIB)
    assert (await guest.stats(StatsGroup.BLOCK)).params["block.0.threshold"] == MIB
    assert await blocks.peek_memory(0xFFFFFFF0, 1, physical=True) == b"\xea"
    for refused in (blocks.info("vdz"), blocks.peek("vda", 0, 1), guest.cards.stats("nothing")):
        with pytest.raises(InvalidArgument if refused.__name__ != "peek" else VmherdError):
            await refused
