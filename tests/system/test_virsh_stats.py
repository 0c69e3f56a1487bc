"""virsh's commands about disks, cards and statistics, unchanged, with a real guest behind the daemon."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from daemons import RunningDaemon

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(not shutil.which("virsh"), reason="asks with virsh, of the package libvirt-clients"),
]

CARD = "<interface type='ethernet'><mac address='52:54:00:00:00:09'/><target dev='vmherd-t0'/></interface>"
GUEST = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/>
      <source file='{folder}/{name}.img'/><target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>
    <interface type='user'><mac address='52:54:00:00:00:08'/></interface>{card}
  </devices>
</domain>
"""

#: What virsh is asked, and words of its answer; while the guest is off, and while it runs.
OFF = {
    "domblkinfo busy vda": ("Capacity:       4194304",),
    "domblkinfo busy --all": ("hda      -          -",),
    "domblkinfo busy hda": ("does not currently have a source assigned",),
    "domblkstat busy": ("is not running",),
    "blkdeviotune busy vda --read-iops-sec 7 --config": ("",),
    "blkdeviotune busy vda": ("read_iops_sec  : 7", "group_name"),
    "domstats busy": ("state.state=5", "block.0.capacity=4194304", "vcpu.maximum=1"),
    "domstats --list-active": ("",),
}
ON = {
    "domblkinfo busy vda --human": ("Capacity:       4.000 MiB",),
    "domblkstat busy vda": ("vda rd_req ", "vda flush_operations 0"),
    "domblkstat busy": ("rd_req ",),
    "domblkerror busy": ("No errors found",),
    "domblklist busy --details": ("file   disk     vda",),
    "blkdeviotune busy vda --group-name g --total-bytes-sec 1000": ("",),
    "blkdeviotune busy vda": ("total_bytes_sec: 1000", "read_iops_sec  : 7", "group_name     : g"),
    "blkdeviotune busy vda --read-bytes-sec 5 --total-bytes-sec 6": ("cannot be set at the same time",),
    "blockresize busy vda 6M": ("'vda' is resized",),
    "domblkthreshold busy vda 1M": ("",),
    "domblkthreshold busy vdz 1M": ("not assigned to domain",),
    "domstats busy --block --enforce": ("block.0.capacity=6291456", "block.0.threshold=1048576"),
    "domstats --cpu-total --vcpu --balloon --state": ("cpu.time=", "vcpu.0.time=", "balloon.rss=", "state.state=1"),
    "domstats --list-inactive": ("",),
    "domstats --backing --raw": ("dirtyrate.calc_mode=page-sampling",),
    "domstats --nowait": ("state.state=1", "cpu.time="),
    "domdirtyrate-calc busy --seconds 1": ("successfully",),
    "domif-getlink busy 52:54:00:00:00:08": ("up",),
    "domifstat busy 52:54:00:00:00:08": ("nothing counts",),
}


def test_virsh_asks_for_disks_cards_and_statistics(tmp_path: Path) -> None:
    card = CARD if os.geteuid() == 0 and Path("/dev/net/tun").exists() else ""
    (tmp_path / "busy.img").write_bytes(bytes(4 << 20))
    with RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path / 'root'}") as daemon:
        (tmp_path / "busy.xml").write_text(GUEST.format(name="busy", folder=tmp_path, card=card))
        assert "defined" in daemon.virsh("define", str(tmp_path / "busy.xml"))
        expect(daemon, OFF)
        assert "started" in daemon.virsh("start", "busy")
        try:
            expect(daemon, ON)
            if card:
                expect(daemon, {"domifstat busy vmherd-t0": ("vmherd-t0 rx_bytes ", "vmherd-t0 tx_drop 0")})
            check_a_stopped_one(daemon)
        finally:
            daemon.virsh("destroy", "busy")


def expect(daemon: RunningDaemon, answers: dict[str, tuple[str, ...]]) -> None:
    for command, words in answers.items():
        said = daemon.virsh(*command.split())
        assert all(word in said for word in words), f"{command}: {said}"
        assert any(words) or not said, f"{command}: {said}"


def check_a_stopped_one(daemon: RunningDaemon) -> None:
    """A QEMU that stands still keeps nobody waiting, and counts again once it goes on."""
    (pid,) = daemon.folder.glob("root/run/guests/*/qemu.pid")
    os.kill(int(pid.read_text()), signal.SIGSTOP)
    try:
        began = time.monotonic()
        said = daemon.virsh("domstats", "busy")
        assert time.monotonic() - began < 5
        assert "cpu.time=" in said
        assert "rd.reqs" not in said
        began = time.monotonic()
        assert "its QEMU" in daemon.virsh("suspend", "busy")
        assert time.monotonic() - began < 5
    finally:
        os.kill(int(pid.read_text()), signal.SIGCONT)
    deadline = time.monotonic() + 20
    while "rd.reqs" not in daemon.virsh("domstats", "busy"):
        assert time.monotonic() < deadline
