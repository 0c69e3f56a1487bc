"""Guests of the QEMU driver, from definition to the end, with real QEMU processes.

Most need no operating system in the guest: a machine that has nothing to boot lives as well as any other.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from pathlib import Path

import pytest
from parts import Ear, make_disk, processes, until

from vmherd.api.aio import Domain, Host, connect
from vmherd.driver.types import PausedReason, RunningReason, ShutoffReason, State
from vmherd.errors import (
    Busy,
    DocumentError,
    DomainNotFound,
    HostError,
    HypervisorError,
    InvalidState,
    NotResponding,
    VmherdError,
)
from vmherd.events import Lifecycle

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  {top}
  <devices>
    <serial type='pty'/>
    {devices}
  </devices>
</domain>
"""

FULL = """
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='user'><model type='virtio'/></interface>
    <graphics type='vnc' port='-1' autoport='yes'/>
    <video><model type='vga'/></video>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='virtio'/>
"""


def guest(name: str = "web", *, top: str = "", devices: str = "") -> str:
    return GUEST.format(name=name, top=top, devices=devices)


async def test_every_operation_on_a_guest_with_all_common_devices(host: Host, tmp_path: Path) -> None:
    domain = await host.define(guest(devices=FULL.format(disk=make_disk(tmp_path))))
    assert await domain.state() is State.SHUTOFF
    async with Ear(host) as ear:
        await domain.start()
        info = await domain.info()
        assert (info.state, info.reason, info.responding) == (State.RUNNING, RunningReason.BOOTED, True)
        assert info.memory == 32 << 20
        await domain.suspend()
        info = await domain.info()
        assert (info.state, info.reason) == (State.PAUSED, PausedReason.USER)
        await domain.resume()
        info = await domain.info()
        assert (info.state, info.reason) == (State.RUNNING, RunningReason.UNPAUSED)
        await domain.reset()
        assert await domain.state() is State.RUNNING
        await domain.poweroff()
        info = await domain.info()
        assert (info.state, info.reason, info.id) == (State.SHUTOFF, ShutoffReason.DESTROYED, None)
        await domain.undefine()
        await ear.hear(Lifecycle.UNDEFINED)
    assert ear.told() == [
        (Lifecycle.RESUMED, "unpaused"),
        (Lifecycle.STARTED, "booted"),
        (Lifecycle.SUSPENDED, "paused"),
        (Lifecycle.RESUMED, "unpaused"),
        (Lifecycle.SHUTDOWN, "host"),
        (Lifecycle.STOPPED, "destroyed"),
        (Lifecycle.UNDEFINED, "removed"),
    ]


async def test_the_live_document_tells_what_qemu_chose(host: Host, tmp_path: Path) -> None:
    domain = await host.define(guest(devices=FULL.format(disk=make_disk(tmp_path))))
    await domain.start()
    live, kept = await domain.xml(), await domain.xml(inactive=True)
    assert "/dev/pts/" in live
    assert "<alias name='virtio-disk0'/>" in live
    assert " id='" in live.splitlines()[0]
    assert "port='59" in live
    assert "/dev/pts/" not in kept
    assert "<alias" not in kept
    assert "port='-1'" in kept


async def test_a_guest_started_paused_waits_for_resume(host: Host) -> None:
    domain = await host.define(guest())
    await domain.start(paused=True)
    info = await domain.info()
    assert (info.state, info.reason) == (State.PAUSED, PausedReason.USER)
    await domain.resume()
    assert await domain.state() is State.RUNNING


async def test_a_transient_guest_is_gone_when_its_process_ends(host: Host) -> None:
    domain = await host.create(guest())
    await domain.poweroff()
    with pytest.raises(DomainNotFound):
        await domain.info()


async def test_a_console_is_for_one_at_a_time_unless_taken_by_force(host: Host) -> None:
    domain = await host.define(guest())
    await domain.start(paused=True)
    console = await domain.open_console()
    with pytest.raises(Busy):
        await domain.open_console()
    other = await domain.open_console(force=True)
    await console.close()
    with pytest.raises(Busy):
        await domain.open_console()
    await other.close()
    await (await domain.open_console()).close()


async def test_a_qemu_that_dies_is_reported_as_crashed_and_leaves_nothing(host: Host, tmp_path: Path) -> None:
    domain = await host.define(guest())
    await domain.start()
    pid = (await domain.info()).pid
    assert pid
    async with Ear(host) as ear:
        os.kill(pid, signal.SIGKILL)
        await ear.hear(Lifecycle.STOPPED)
    assert ear.told() == [(Lifecycle.STOPPED, "crashed")]
    assert (await domain.info()).reason == ShutoffReason.CRASHED
    assert not list((tmp_path / "run" / "guests").iterdir())


async def test_a_qemu_asked_to_leave_by_signal_is_a_shutdown_by_the_host(host: Host) -> None:
    domain = await host.define(guest())
    await domain.start()
    pid = (await domain.info()).pid
    assert pid
    os.kill(pid, signal.SIGTERM)
    await until(domain, State.SHUTOFF)


async def test_a_hung_qemu_is_said_to_be_hung_and_can_be_ended(host: Host) -> None:
    domain = await host.define(guest())
    await domain.start()
    pid = (await domain.info()).pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    info = await domain.info()
    assert (info.state, info.responding) == (State.RUNNING, False)
    assert not (await domain.stats()).responding
    assert [each.name for each in await host.domains()] == ["web"]
    await domain.poweroff()
    assert (await domain.info()).reason == ShutoffReason.DESTROYED


async def test_a_second_start_and_operations_on_a_stopped_guest_are_refused(host: Host) -> None:
    domain = await host.define(guest())
    for operation in (domain.shutdown, domain.suspend, domain.resume, domain.reset, domain.poweroff):
        with pytest.raises(InvalidState):
            await operation()
    await domain.start()
    with pytest.raises(InvalidState, match="already running"):
        await domain.start()


async def test_a_missing_disk_is_named_and_nothing_stays(host: Host, tmp_path: Path) -> None:
    domain = await host.define(guest(devices=FULL.format(disk=tmp_path / "absent.qcow2")))
    with pytest.raises(HostError, match=r"disk vda: .*absent.qcow2 does not exist") as caught:
        await domain.start()
    assert caught.value.hint
    await assert_clean(domain, tmp_path)


async def test_a_disk_in_use_says_so_in_qemus_words_with_advice(host: Host, tmp_path: Path) -> None:
    devices = FULL.format(disk=make_disk(tmp_path))
    await (await host.define(guest(devices=devices))).start()
    second = await host.define(guest("second", devices=devices))
    with pytest.raises(HypervisorError, match="lock") as caught:
        await second.start()
    assert "another guest" in caught.value.hint
    info = await second.info()
    assert (info.state, info.reason) == (State.SHUTOFF, ShutoffReason.FAILED)


async def test_a_damaged_disk_ends_the_start_with_qemus_own_message(host: Host, tmp_path: Path) -> None:
    (tmp_path / "bad.qcow2").write_bytes(b"no qcow2 at all" * 100)
    domain = await host.define(guest(devices=FULL.format(disk=tmp_path / "bad.qcow2")))
    with pytest.raises(HypervisorError, match="qcow2"):
        await domain.start()
    await assert_clean(domain, tmp_path)


async def test_a_missing_emulator_is_named(host: Host) -> None:
    with pytest.raises(VmherdError, match="/nonexistent/qemu"):
        await host.define(guest(devices="<emulator>/nonexistent/qemu</emulator>"))


async def test_an_emulator_that_is_none_is_refused_with_its_own_words(host: Host, tmp_path: Path) -> None:
    fake = tmp_path / "fake-qemu"
    fake.write_text("#!/bin/sh\necho this is no hypervisor >&2\nexit 3\n")
    fake.chmod(0o755)
    with pytest.raises(VmherdError, match="no hypervisor"):
        await host.define(guest(devices=f"<emulator>{fake}</emulator>"))
    assert str(fake) not in " ".join(processes(tmp_path).values())


async def assert_clean(domain: Domain, root: Path) -> None:
    info = await domain.info()
    assert (info.state, info.reason) == (State.SHUTOFF, ShutoffReason.FAILED)
    assert not list((root / "run" / "guests").iterdir())
    assert not [line for line in processes(root).values() if "qemu-system" in line]


async def test_malformed_documents_are_refused_before_anything_happens(host: Host) -> None:
    for text in ("", "<domain", guest().replace("type='qemu'", "type='vapor'"), guest().replace("32<", "lots<")):
        with pytest.raises(DocumentError):
            await host.define(text)
    assert await host.domains() == []


async def test_a_cancelled_start_leaves_nothing(host: Host, tmp_path: Path) -> None:
    domain = await host.define(guest())
    for delay in (0.0, 0.005, 0.02, 0.05, 0.1):
        task = asyncio.create_task(domain.start())
        await asyncio.sleep(delay)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            assert await domain.state() is State.SHUTOFF
            assert not list((tmp_path / "run" / "guests").iterdir())
        else:
            await domain.poweroff()


START = """
import asyncio, sys
from vmherd.api.aio import connect
async def main():
    async with await connect(sys.argv[1]) as host:
        domain = await host.domain("web")
        print("ready", flush=True)
        await domain.start()
        print("started", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.parametrize("delay", [0.0, 0.004, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2])
async def test_a_manager_killed_at_any_moment_of_a_start_leaves_the_truth(
    host: Host, uri: str, tmp_path: Path, delay: float
) -> None:
    await host.define(guest())
    manager = await asyncio.create_subprocess_exec(sys.executable, "-c", START, uri, stdout=asyncio.subprocess.PIPE)
    assert manager.stdout is not None
    await manager.stdout.readline()
    await asyncio.sleep(delay)
    manager.kill()
    rest = await manager.stdout.read()
    await manager.wait()
    async with await connect(uri) as after:
        domain = await after.domain("web")
        state = await domain.state()
        qemus = [line for line in processes(tmp_path).values() if "qemu-system" in line]
        if b"started" in rest:
            assert state is State.RUNNING
        if state is State.RUNNING:
            assert len(qemus) == 1
            assert (await domain.info()).responding
        else:
            assert state is State.SHUTOFF
            assert qemus == []
            await domain.start()
        await domain.poweroff()


async def test_guests_outlive_manager_and_keeper_and_are_found_again(host: Host, uri: str, tmp_path: Path) -> None:
    domain = await host.define(guest())
    await domain.start()
    before = await domain.info()
    kill_keeper(tmp_path)
    async with await connect(uri) as after:
        info = await (await after.domain("web")).info()
        assert (info.state, info.pid, info.id) == (State.RUNNING, before.pid, before.id)
        await (await after.domain("web")).suspend()
    assert (await domain.info()).state is State.PAUSED


async def test_what_happened_while_nobody_looked_is_found_out(host: Host, uri: str, tmp_path: Path) -> None:
    domain = await host.define(guest())
    await domain.start()
    pid = (await domain.info()).pid
    assert pid
    kill_keeper(tmp_path)
    kill(pid)
    async with await connect(uri) as after:
        info = await (await after.domain("web")).info()
    assert (info.state, info.reason) == (State.SHUTOFF, ShutoffReason.CRASHED)


def kill_keeper(root: Path) -> None:
    (pid,) = (pid for pid, line in processes(root).items() if "vmherd.hypervisors.qemu.keeper" in line)
    kill(pid)


def kill(pid: int) -> None:
    """SIGKILL, and wait until the kernel has taken the process apart, locks and all."""
    fd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([fd], [], [], 10)
    os.close(fd)


async def test_twenty_guests_start_and_stop_at_once_without_leaks(host: Host, tmp_path: Path) -> None:
    domains = [await host.define(guest(f"g{n}", devices="<graphics type='vnc' autoport='yes'/>")) for n in range(20)]
    await asyncio.gather(*(domain.start() for domain in domains))
    assert {info.state for info in await host.domains()} == {State.RUNNING}
    documents = [await domain.xml() for domain in domains]
    assert len({line for text in documents for line in text.splitlines() if "port='59" in line}) == 20
    await asyncio.gather(*(domain.poweroff() for domain in domains))
    assert {info.state for info in await host.domains()} == {State.SHUTOFF}
    assert not list((tmp_path / "run" / "guests").iterdir())
    assert not [line for line in processes(tmp_path).values() if "qemu-system" in line]


async def test_autostart_happens_with_the_first_connection_after_a_boot(uri: str, tmp_path: Path) -> None:
    async with await connect(uri) as host:
        await (await host.define(guest())).set_autostart(True)
        assert await (await host.domain("web")).state() is State.SHUTOFF
    for mark in (tmp_path / "run").glob("autostarted-*"):
        mark.unlink()  # what a boot of the host does to the run folder
    async with await connect(uri) as host:
        assert (await (await host.domain("web")).state()) is not State.RUNNING  # nobody waits, but who leaves
    async with await connect(uri) as host:
        domain = await host.domain("web")
        assert await domain.state() is State.RUNNING
        await domain.poweroff()


async def test_a_hung_qemu_does_not_keep_others_waiting(host: Host) -> None:
    hung, other = await host.define(guest("hung")), await host.define(guest("other"))
    await hung.start()
    await other.start()
    pid = (await hung.info()).pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    suspending = asyncio.create_task(hung.suspend())
    async with asyncio.timeout(3):
        await other.suspend()
        assert len(await host.domains()) == 2
    suspending.cancel()
    with pytest.raises((asyncio.CancelledError, NotResponding)):
        await suspending
    await hung.poweroff()
