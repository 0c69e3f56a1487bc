"""Statistics in bulk: of a thousand guests that rest, and of twenty that run, two of which are stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from pathlib import Path

from benchmarks.figure import Figure, middle
from vmherd.api.aio import Host, connect

RESTING, RUNNING, STOPPED = 1000, 20, 2
_TURNS = 30
_TARGET = 5.0

_GUEST = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>16</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/>
      <source file='{image}'/><target dev='vda' bus='virtio'/></disk>
    <interface type='user'/>
  </devices>
</domain>
"""


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="vmherd-bench-") as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> list[Figure]:
    async with await connect(f"qemu:///embed?root={folder / 'resting'}") as host:
        await _define(host, folder, RESTING)
        resting = await _milliseconds(host)
    async with await connect(f"qemu:///embed?root={folder / 'running'}") as host:
        await _define(host, folder, RUNNING)
        domains = [await host.domain(info.uuid) for info in await host.domains()]
        await asyncio.gather(*(domain.start(paused=True) for domain in domains))
        try:
            running = await _milliseconds(host)
            pids = [(await domain.info()).pid or 0 for domain in domains[:STOPPED]]
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            stopped = await _milliseconds(host)
        finally:
            await asyncio.gather(*(domain.poweroff() for domain in domains))
    return [
        _figure(f"statistics of {RESTING} guests that rest", resting, target=_TARGET),
        _figure(f"statistics of {RUNNING} guests that run", running),
        _figure(f"statistics of {RUNNING} guests that run, {STOPPED} of them stopped", stopped, against=running),
    ]


async def _define(host: Host, folder: Path, count: int) -> None:
    for number in range(count):
        image = folder / f"{number}.img"
        image.write_bytes(bytes(512))
        await host.define(_GUEST.format(name=f"g{number}", image=image))


async def _milliseconds(host: Host) -> float:
    """The median time of one question, after a first one."""
    await host.stats()
    times = []
    for _ in range(_TURNS):
        begin = time.perf_counter()
        await host.stats()
        times.append(time.perf_counter() - begin)
    return middle(times)


def _figure(what: str, value: float, *, target: float | None = None, against: float | None = None) -> Figure:
    return Figure(
        what=what,
        value=value,
        unit="ms",
        ratio=value / against if against else None,
        against=f"all of them answering: {against:.1f} ms" if against else "",
        target=f"<= {target:g} ms" if target else "",
        reached=value <= target if target else None,
    )
