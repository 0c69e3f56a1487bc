"""virsh, unchanged, tunes a real guest through the daemon."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import RunningDaemon

from vmherd.hypervisors.qemu.config import DEFAULTS
from vmherd.hypervisors.qemu.tuning import groups

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(not shutil.which("virsh"), reason="asks with virsh, of the package libvirt-clients"),
]

GUEST = """
<domain type='qemu'>
  <name>share</name>
  <memory unit='MiB'>64</memory>
  <vcpu current='1'>4</vcpu>
  <iothreads>1</iothreads>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <controller type='usb' model='none'/>
    <interface type='user'><mac address='52:54:00:00:00:09'/></interface>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""

#: What is asked, in this order, and what is in the answer then.
ASKED = [
    ("setvcpus share 2", ""),
    ("setvcpus share 3 --config --hotpluggable", ""),
    ("setvcpu share 3 --enable", ""),
    ("vcpucount share", r"maximum +config +4\n.*current +config +3\n.*current +live +3"),
    ("vcpuinfo share", r"VCPU: +3\n.*State: +running"),
    ("vcpupin share 1 0", ""),
    ("vcpupin share", r"\n1 +0\n"),
    ("emulatorpin share 0", ""),
    ("emulatorpin share", r"\*: 0"),
    ("iothreadadd share 3 --live --config", ""),
    ("iothreadset share 3 --poll-max-ns 1000", ""),
    ("iothreadpin share 3 0", ""),
    ("iothreadinfo share", r"\n3 +0"),
    ("iothreaddel share 3", ""),
    ("setmem share 32M --config", ""),
    ("setmaxmem share 128M --config", ""),
    ("dommemstat share --period 2", ""),
    ("dommemstat share", r"actual 65536\n.*rss \d+"),
    ("domiftune share 52:54:00:00:00:09 --inbound 100,200 --config", ""),
    ("domiftune share 52:54:00:00:00:09 --config", r"inbound.average: 100\n.*inbound.peak *: 200"),
    ("numatune share", r"numa_mode +: strict"),
    ("perf share", r"cmt +: disabled"),
]
#: The same of what takes control groups.
LIMITED = [
    ("schedinfo share --set vcpu_quota=30000 cpu_shares=200", r"vcpu_quota +: 30000"),
    ("schedinfo share --config", r"vcpu_quota +: 0"),
    ("memtune share --hard-limit 700000", ""),
    ("memtune share", r"hard_limit +: 700000"),
    ("blkiotune share", r"device_weight +:"),
    ("cpu-stats share --total", r"cpu_time +\d"),
]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[RunningDaemon]:
    with RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path / 'root'}") as running:
        document = tmp_path / "share.xml"
        document.write_text(GUEST)
        running.virsh("define", str(document))
        running.virsh("start", "share")
        yield running
        running.virsh("destroy", "share")


def test_virsh_changes_and_shows_what_a_guest_gets(daemon: RunningDaemon) -> None:
    limited = os.geteuid() == 0 and {"cpu", "cpuacct", "memory", "blkio"} <= set(groups.usable(DEFAULTS).controllers)
    for words, answer in [*ASKED, *(LIMITED if limited else [])]:
        said = daemon.virsh(*words.split())
        assert "error" not in said, f"{words}: {said}"
        assert re.search(answer, said, re.DOTALL), f"{words}: {said}"
