"""The QEMU command that domxml-to-native prints, pasted into a shell."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from pathlib import Path

import pytest

from vmherd.conf.domain import parse_domain
from vmherd.hypervisors.qemu import capabilities, complete, native, validate
from vmherd.hypervisors.qemu.folders import Folders
from vmherd.hypervisors.qemu.monitor import connected

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='qemu'>
  <name>it's</name>
  <memory unit='MiB'>64</memory>
  <os><type>hvm</type></os>
  <devices>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
  </devices>
</domain>
"""


async def test_the_printed_command_runs_in_a_shell_without_vmherd() -> None:
    with tempfile.TemporaryDirectory(prefix="vmherd") as root:  # sockets have short paths
        folders = Folders(
            **{name: Path(root) / name for name in ("state", "run", "log", "cache", "images", "settings")}
        )
        caps = await capabilities.load(capabilities.find_binary(capabilities.host_arch()), folders.cache)
        domain = parse_domain(GUEST)
        complete.complete(domain, caps, new=True)
        validate.check(domain, caps)
        text = native.commands(domain, caps, folders)
        shell = await asyncio.create_subprocess_exec("sh", "-e", "-c", text, start_new_session=True)
        try:
            monitor_path = folders.run / "by-hand" / str(domain.uuid) / "monitor.sock"
            async with asyncio.timeout(30):
                while not monitor_path.exists():
                    await asyncio.sleep(0.05)
            async with connected(monitor_path) as monitor:
                assert (await monitor.execute("query-status"))["status"] == "running"
                await monitor.execute("quit")
            assert await asyncio.wait_for(shell.wait(), 30) == 0
        finally:
            if shell.returncode is None:
                os.killpg(shell.pid, signal.SIGKILL)
