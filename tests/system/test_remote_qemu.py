"""A real guest over the wire: of a vmherd, and of a libvirtd."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from parts import Ear, echoes, make_echo_disk, stop_all, until

from vmherd.api.aio import Domain, Host, connect
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
