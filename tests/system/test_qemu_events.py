"""What a real QEMU makes everyone hear besides the life of its guest."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from daemons import RunningDaemon
from parts import Ear

from vmherd.api.aio import Host
from vmherd.driver.types import PausedReason
from vmherd.errors import InvalidState, NotResponding
from vmherd.events import (
    GraphicsEvent,
    GraphicsPhase,
    IoErrorAction,
    IoErrorEvent,
    Lifecycle,
    QemuMonitorEvent,
    RebootEvent,
)

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='qemu'>
  <name>web</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/>
    <video><model type='vga'/></video>
  </devices>
</domain>
"""


async def test_resets_visitors_of_the_screen_and_raw_events_are_told(host: Host) -> None:
    domain = await host.create(GUEST)
    port = re.search(r"graphics type='vnc' port='(\d+)'", await domain.xml())
    assert port
    names: list[str] = []

    async def listen_to_qemu() -> None:
        async for event in host.events(QemuMonitorEvent):
            assert isinstance(event, QemuMonitorEvent)
            names.append(event.event)

    listener = asyncio.create_task(listen_to_qemu())
    async with Ear(host) as ear:
        while not any(isinstance(event, RebootEvent) for event in ear.heard):
            await domain.reset()  # the keeper may have to be started yet
            await asyncio.sleep(0.2)
        _, writer = await asyncio.open_connection("127.0.0.1", int(port[1]))
        connected = await ear.wait(GraphicsEvent)
        writer.close()
        async with asyncio.timeout(10):
            while GraphicsPhase.DISCONNECT not in [e.phase for e in ear.heard if isinstance(e, GraphicsEvent)]:
                await asyncio.sleep(0.02)
    listener.cancel()
    assert connected.local.service == port[1]
    assert connected.remote.node == "127.0.0.1"
    assert "RESET" in names
    assert [name for name in names if name.startswith("VNC_")] == ["VNC_CONNECTED", "VNC_DISCONNECTED"]


def broken_disk(folder: Path) -> Path:
    """An image that cannot be read: its compressed content is nonsense."""
    plain, image = folder / "plain", folder / "broken.qcow2"
    plain.write_bytes(bytes(range(256)) * 4096)
    subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", plain, image], check=True)
    with image.open("r+b") as file:
        file.seek(0x50000)  # behind the header and the tables
        file.write(bytes(image.stat().st_size - 0x50000))
    return image


async def test_a_disk_that_fails_pauses_its_guest_and_is_named(host: Host, tmp_path: Path) -> None:
    image = broken_disk(tmp_path)
    disk = f"""<devices><disk type='file' device='disk'><source file='{image}'/>
      <driver name='qemu' type='qcow2' error_policy='stop' rerror_policy='stop'/>
      <target dev='vda' bus='virtio'/></disk>"""
    async with Ear(host) as ear:
        domain = await host.create(GUEST.replace("<devices>", disk))
        async with asyncio.timeout(30):
            while not any(isinstance(event, IoErrorEvent) for event in ear.heard):
                with suppress(InvalidState):  # once more, where nobody listened yet
                    await domain.resume()
                await asyncio.sleep(0.3)
            while ear.told()[-1] != (Lifecycle.SUSPENDED, "io error"):
                await asyncio.sleep(0.05)
        failed = await ear.wait(IoErrorEvent)
    assert (failed.path, failed.alias, failed.action) == (str(image), "virtio-disk0", IoErrorAction.PAUSE)
    assert (await domain.info()).reason == PausedReason.IOERROR


async def test_an_agent_that_is_not_there_is_known_not_to_be_in_each_guest(host: Host) -> None:
    channel = "<devices><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
    for name in ("one", "two"):  # the second is looked after from its very beginning
        xml = GUEST.replace("<name>web", f"<name>{name}").replace("<devices>", channel)
        domain = await host.create(xml, paused=name == "two")
        async with asyncio.timeout(20):
            while "state='disconnected'" not in await domain.xml():
                await asyncio.sleep(0.05)
        if name == "two":
            await domain.resume()
        began = time.monotonic()
        with pytest.raises(NotResponding, match="QEMU guest agent is not connected"):
            await domain.agent.hostname()
        assert time.monotonic() - began < 3


@contextmanager
def listening(daemon: RunningDaemon, *words: str) -> Iterator[list[str]]:
    """What virsh prints while it waits for events; its lines are there after the block."""
    uri = f"qemu+unix:///system?socket={daemon.run / 'libvirt-sock'}"
    lines: list[str] = []
    with subprocess.Popen(["virsh", "-c", uri, *words, "--loop"], stdout=subprocess.PIPE, text=True) as process:
        time.sleep(1.0)  # it says nothing when it listens
        yield lines
        time.sleep(0.5)
        process.send_signal(2)
        assert process.stdout is not None
        lines += [line.strip() for line in process.stdout.read().splitlines() if line.strip()]


@pytest.mark.skipif(not shutil.which("virsh"), reason="asks with virsh, of the package libvirt-clients")
def test_virsh_hears_events_of_every_kind_and_those_of_the_monitor(tmp_path: Path) -> None:
    (tmp_path / "web.xml").write_text(GUEST)
    with RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path / 'root'}") as daemon:
        virsh = daemon.virsh
        virsh("define", str(tmp_path / "web.xml"))
        virsh("start", "web")
        raw = ("qemu-monitor-event", "--event", "^(stop|resu)", "--regex", "--no-case")
        with listening(daemon, "event", "--all") as told, listening(daemon, *raw) as monitor:
            virsh("suspend", "web")
            virsh("resume", "web")
            virsh("reset", "web")
            virsh("desc", "web", "--title", "new")
            assert "is not present" in virsh("metadata", "web", "urn:x")
            virsh("metadata", "web", "urn:x", "--key", "x", "--set", "<a/>")
            assert virsh("domjobinfo", "web").split() == ["Job", "type:", "None"]
            virsh("managedsave", "web")
            completed = virsh("domjobinfo", "web", "--completed", "--keep-completed")
            assert virsh("domjobinfo", "web", "--completed") == completed
            assert virsh("domjobinfo", "web", "--completed").split() == ["Job", "type:", "None"]
        virsh("managedsave-remove", "web")
        assert virsh("domrename", "web", "shop") == "Domain successfully renamed"
        assert virsh("domstate", "shop") == "shut off"
    assert "Operation:        Save" in completed
    assert "Memory processed:" in completed
    text = "\n".join(told)
    for wanted in (
        "event 'lifecycle' for domain 'web': Suspended Paused",
        "event 'lifecycle' for domain 'web': Resumed Unpaused",
        "event 'reboot' for domain 'web'",
        "event 'metadata-change' for domain 'web': type title",
        "event 'metadata-change' for domain 'web': type element, uri urn:x",
        "event 'job-completed' for domain 'web':",
        "event 'lifecycle' for domain 'web': Stopped Saved",
    ):
        assert wanted in text
    names = [line.split()[1] for line in monitor if line.startswith("event")]
    assert names[:2] == ["STOP", "RESUME"]
