"""What processes and guests get of the host where control groups are of version 2 alone, as on most hosts."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmherd.api.aio import connect
from vmherd.util.cgroup import limits
from vmherd.util.cgroup.group import Group
from vmherd.util.cgroup.layout import detect

pytestmark = pytest.mark.kernel("control groups of version 2 alone")

MIB = 1 << 20
ROOT = Path("/sys/fs/cgroup")
GUEST = """
<domain type='qemu'>
  <name>limited</name>
  <memory unit='MiB'>64</memory>
  <vcpu current='1'>2</vcpu>
  <memtune><hard_limit unit='MiB'>600</hard_limit><soft_limit unit='MiB'>300</soft_limit></memtune>
  <cputune><shares>500</shares><quota>50000</quota><emulator_quota>60000</emulator_quota></cputune>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices><controller type='usb' model='none'/><memballoon model='none'/></devices>
</domain>
"""


@pytest.fixture
def group() -> Iterator[Group]:
    group = Group(detect(), "machine/own")
    group.create()
    yield group
    group.remove()


def inside(group: Group, program: str) -> subprocess.Popen[bytes]:
    """A Python program that begins when it is in the group."""
    words = [sys.executable, "-S", "-c", f"input()\n{program}"]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    group.add(child.pid)
    assert child.stdin is not None
    child.stdin.write(b"\n")
    child.stdin.close()
    return child


def used(group: Group) -> float:
    """Seconds of CPU."""
    return int(group.read("cpu", "cpu.stat").split()[1]) / 1e6


def test_a_quota_holds_back_who_wants_more(group: Group) -> None:
    limits.set_cpu_quota(group, 100_000, 20_000)
    child = inside(group, "while True: pass")
    time.sleep(0.5)
    before, began = used(group), time.monotonic()
    time.sleep(2)
    share = (used(group) - before) / (time.monotonic() - began)
    child.kill()
    child.wait()
    assert share < 0.3, "a fifth of a CPU is allowed"


def test_who_takes_more_memory_than_allowed_is_killed(group: Group) -> None:
    limits.set_memory(group, 60 * MIB, None, 60 * MIB)
    child = inside(group, f"x = b'x' * {200 * MIB}")
    assert child.wait(30) == -9


async def test_a_guest_has_its_limits_gets_others_and_leaves_nothing(tmp_path: Path) -> None:
    async with await connect(f"qemu:///embed?root={tmp_path}") as host:
        domain = await host.define(GUEST)
        await domain.start()
        (group,) = (ROOT / "machine").glob("qemu-*-limited-*.vmherd")

        def told(*names: str) -> list[str]:
            return [(group / name).read_text().strip() for name in names]

        assert told("memory.max", "memory.high") == [str(600 * MIB), str(300 * MIB)]
        assert told("vcpu0/cpu.max", "emulator/cpu.max") == ["50000 100000", "60000 100000"]
        assert len(told("vcpu0/cgroup.threads")[0].split()) == 1
        await domain.tuning.set_vcpu_count(2)
        assert told("vcpu1/cpu.max") == ["50000 100000"]
        changed = {"vcpu_quota": 40000, "global_quota": 90000, "vcpu_period": 50000, "cpu_shares": 512}
        await domain.tuning.set_scheduler_params(changed)
        assert told("cpu.max", "vcpu1/cpu.max", "cpu.weight") == ["90000 100000", "40000 50000", "50"]
        await domain.tuning.set_memory_params({"hard_limit": 400 * 1024})
        assert told("memory.max") == [str(400 * MIB)]
        await domain.poweroff()
        assert not group.exists()
