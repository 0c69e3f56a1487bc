"""What a real QEMU makes everyone hear besides the life of its guest."""

from __future__ import annotations

import asyncio
import re

import pytest
from parts import Ear

from vmherd.api.aio import Host
from vmherd.events import GraphicsEvent, GraphicsPhase, QemuMonitorEvent, RebootEvent

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
