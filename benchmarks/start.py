"""How long a minimal guest takes from nothing to running, against QEMU alone."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figure import Figure, middle
from vmherd.api.aio import Domain, connect

ROUNDS = 15
PROGRAM = "qemu-system-x86_64"

GUEST = """
<domain type='qemu'>
  <name>bench</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as root:
        ours, raw = asyncio.run(_alternate(Path(root)))
    ratio = middle(ours) / middle(raw)
    return [
        Figure(
            what="start of a minimal guest",
            value=middle(ours),
            unit="ms",
            ratio=ratio,
            against=f"QEMU alone, spawn to an answered cont: {middle(raw):.1f} ms",
            target="<= 2 times",
            reached=ratio <= 2,
        )
    ]


async def _alternate(root: Path) -> tuple[list[float], list[float]]:
    """Seconds of each round, ours and QEMU's in turn."""
    ours: list[float] = []
    raw: list[float] = []
    async with await connect(f"qemu:///embed?root={root}") as host:
        domain = await host.define(GUEST)
        for _ in range(ROUNDS):
            ours.append(await _start(domain))
            raw.append(await asyncio.to_thread(_raw, root / "raw.sock"))
    return ours, raw


async def _start(domain: Domain) -> float:
    began = time.perf_counter()
    await domain.start()
    took = time.perf_counter() - began
    await domain.poweroff()
    return took


def _raw(path: Path) -> float:
    """QEMU with the same machine, driven by hand."""
    monitor = f"unix:{path},server=on,wait=off"
    argv = [PROGRAM, "-S", "-M", "pc,usb=off", "-accel", "tcg", "-m", "32", "-nodefaults", "-display", "none"]
    path.unlink(missing_ok=True)
    began = time.perf_counter()
    with subprocess.Popen([*argv, "-qmp", monitor]) as child:
        with _connected(path) as connection:
            _ask(connection, ["qmp_capabilities", "cont"])
            took = time.perf_counter() - began
        child.kill()
    return took


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    while True:
        try:
            connection.connect(str(path))
        except OSError:
            time.sleep(0.001)
        else:
            return connection


def _ask(connection: socket.socket, commands: Sequence[str]) -> None:
    with connection.makefile("rwb") as stream:
        stream.readline()  # the greeting
        for command in commands:
            stream.write(json.dumps({"execute": command}).encode())
            stream.flush()
            while b'"return"' not in stream.readline():
                pass
