"""Twenty guests of a session at once: all run, all stop, and nothing of them stays."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from parts import processes, stop_all

from vmherd.api.aio import Domain, Host, connect
from vmherd.driver.types import State
from vmherd.errors import NotResponding

pytestmark = pytest.mark.qemu

COUNT = 20

GUEST = """
<domain type='qemu'>
  <name>g{number}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <interface type='user'><model type='virtio'/></interface>
    <serial type='pty'/>
    <graphics type='vnc' autoport='yes'/>
  </devices>
</domain>
"""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folders of a user who has just arrived."""
    for name in ("STATE_HOME", "CACHE_HOME", "CONFIG_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name.lower()))
    return tmp_path


def descriptors() -> Counter[str]:
    """What we have open, apart from the folder that is read to find out.

    Pipes, sockets and processes count by their kind: what an earlier test has left may go meanwhile.
    """
    found: Counter[str] = Counter()
    for name in os.listdir("/proc/self/fd"):
        try:
            found[re.sub(r":\[\d+\]", "", os.readlink(f"/proc/self/fd/{name}"))] += 1
        except FileNotFoundError:
            continue
    return found


async def closed_again(before: Counter[str]) -> None:
    """Wait until nothing is open that was not before."""
    deadline = time.monotonic() + 20
    while more := descriptors() - before:  # the keeper, a child of ours, is the last to go
        assert time.monotonic() < deadline, f"still open: {dict(more)}"
        await asyncio.sleep(0.05)


def left(home: Path) -> list[Path]:
    """Sockets, and whatever a guest that runs needs."""
    run = home / "runtime_dir" / "vmherd" / "qemu"
    return [*(path for path in home.rglob("*") if path.is_socket()), *(run / "guests").iterdir()]


async def start_all(host: Host) -> list[Domain]:
    domains = await asyncio.gather(*(host.define(GUEST.format(number=number)) for number in range(COUNT)))
    await asyncio.gather(*(domain.start() for domain in domains))
    return domains


async def stopped_guests_make_nobody_wait(host: Host, domains: list[Domain]) -> None:
    stopped = {domain.name: (await domain.info()).pid or 0 for domain in domains[:2]}
    for pid in stopped.values():
        os.kill(pid, signal.SIGSTOP)
    started = time.monotonic()
    for _ in range(5):
        found = await host.stats()
        assert {stats.name for stats in found if not stats.responding} == set(stopped)
        assert all(stats.params["vcpu.0.time"] for stats in found if stats.responding)
        assert all(stats.params["cpu.time"] for stats in found)
    assert time.monotonic() - started < 5
    with pytest.raises(NotResponding):
        await domains[0].suspend()
    for pid in stopped.values():
        os.kill(pid, signal.SIGCONT)
    assert all(stats.responding for stats in await host.stats())


async def test_twenty_guests_of_a_session_run_and_leave_nothing(home: Path) -> None:
    at_first = descriptors()
    async with await connect("qemu:///session") as host:
        await host.version()  # from here on everything is loaded that stays
        before = descriptors()
        try:
            domains = await start_all(host)
            assert {info.state for info in await host.domains()} == {State.RUNNING}
            assert len({info.pid for info in await host.domains()} - {None}) == COUNT
            assert all(info.responding for info in await asyncio.gather(*(domain.info() for domain in domains)))
            await stopped_guests_make_nobody_wait(host, domains)
            lines = [line for domain in domains for line in (await domain.xml()).splitlines()]
            assert len({line for line in lines if "<source path='/dev/pts/" in line}) == COUNT
            assert len({line for line in lines if "port='59" in line}) == COUNT
            assert sum("qemu-system" in line for line in processes(home).values()) == COUNT
        finally:
            await stop_all(host)
        assert {info.state for info in await host.domains()} == {State.SHUTOFF}
        await closed_again(before)
        await asyncio.gather(*(domain.undefine() for domain in domains))
        assert await host.domains() == []
    async with asyncio.timeout(20):
        while processes(home):  # the keeper leaves by itself
            await asyncio.sleep(0.1)
    assert left(home) == []
    await closed_again(at_first)
