"""Disks, cards and memory of a real guest: what they are, what they did, and how fast they may be."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest
from parts import Ear

from vmherd.api.aio import Domain, Host
from vmherd.driver.blocks import StatsFilter, StatsGroup
from vmherd.driver.statnames import Kind, kind_of
from vmherd.driver.types import Scope
from vmherd.errors import ArgumentUnsupported, InvalidArgument, InvalidState, OperationUnsupported, Unsupported
from vmherd.events import BlockThresholdEvent, TunableEvent
from vmherd.hypervisors.qemu.monitor import connected

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='qemu'>
  <name>busy</name>
  <memory unit='MiB'>64</memory>
  <vcpu current='1'>2</vcpu>
  <iothreads>1</iothreads>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/>
      <source file='{0}/raw.img'/><target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' copy_on_read='on'/>
      <source file='{0}/top.qcow2'/>
      <backingStore type='file'><format type='qcow2'/><source file='{0}/base.qcow2'/><backingStore/></backingStore>
      <target dev='sda' bus='scsi'/></disk>
    <disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>
    <controller type='scsi' model='virtio-scsi'/>
    <interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>
  </devices>
</domain>
"""

MIB = 1 << 20


@pytest.fixture
def images(tmp_path: Path) -> Path:
    create = ("qemu-img", "create", "-q", "-f")
    (tmp_path / "raw.img").write_bytes(b"first" + bytes(4 * MIB - 5))
    subprocess.run([*create, "qcow2", tmp_path / "base.qcow2", "8M"], check=True)
    top = [*create, "qcow2", "-b", tmp_path / "base.qcow2", "-F", "qcow2", tmp_path / "top.qcow2", "16M"]
    subprocess.run(top, check=True)
    return tmp_path


async def test_counters_sizes_and_limits_of_a_guest(host: Host, images: Path) -> None:
    domain = await host.define(GUEST.format(images))
    await check_idle(host, domain, images)
    await domain.start()
    await check_bulk(host, domain)
    await check_disks(domain, images)
    await check_limits(host, domain)
    await check_threshold(host, domain, images)
    await check_contents(domain)
    with pytest.raises(OperationUnsupported):
        await domain.cards.stats("52:54:00:00:00:01")  # the host does not count user-mode networking


async def check_idle(host: Host, domain: Domain, images: Path) -> None:
    (stats,) = await host.stats()
    told = dict(stats.params)
    assert (stats.id, told["state.state"], told["vcpu.maximum"], told["block.count"]) == (None, 5, 2, 3)
    assert (told["block.0.capacity"], told["block.1.capacity"]) == (4 * MIB, 16 * MIB)
    assert "block.2.capacity" not in told
    assert (await host.stats())[0] is stats
    os.truncate(images / "raw.img", 6 * MIB)
    async with asyncio.timeout(10):  # images are looked at once a second
        while (await host.stats())[0].params["block.0.capacity"] != 6 * MIB:
            await asyncio.sleep(0.1)
    os.truncate(images / "raw.img", 4 * MIB)
    known = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", images / "top.qcow2"]))
    info = await domain.blocks.info("sda")
    assert (info.capacity, info.allocation) == (known["virtual-size"], known["actual-size"])
    assert info.physical == (images / "top.qcow2").stat().st_size
    with pytest.raises(InvalidState):
        await domain.blocks.stats()


async def check_bulk(host: Host, domain: Domain) -> None:
    (stats,) = await host.stats(backing=True, only=StatsFilter.RUNNING)
    told = stats.params
    assert stats.responding
    assert (told["block.count"], told["block.1.backingIndex"], told["block.2.name"]) == (4, 2, "sda")
    assert told["block.2.path"] == str(told["block.1.path"]).replace("top", "base")
    assert (told["block.1.capacity"], told["block.2.capacity"]) == (16 * MIB, 8 * MIB)
    assert {"cpu.user", "vcpu.0.delay", "iothread.1.poll-max-ns", "balloon.rss", "net.count"} <= told.keys()
    for name, value in told.items():
        kind = Kind.STRING if isinstance(value, str) else kind_of(name)
        assert kind_of(name) is kind, name
    assert await host.stats(only=StatsFilter.INACTIVE) == []
    (state,) = await host.stats([domain.uuid, "gone"], StatsGroup.STATE)
    assert dict(state.params) == {"state.state": 1, "state.reason": 1}
    with pytest.raises(ArgumentUnsupported):
        await host.stats(groups=1 << 20, enforce=True)


async def check_disks(domain: Domain, images: Path) -> None:
    await domain.blocks.resize("vda", 5 * MIB)
    assert (await domain.blocks.info(str(images / "raw.img"))).capacity == 5 * MIB
    await domain.blocks.resize("sda", 17 * MIB + 1)
    assert (await domain.blocks.info("sda")).capacity == 17 * MIB + 512
    async with asyncio.timeout(20):
        while (await domain.blocks.stats("vda"))["rd_bytes"] < 512:  # the firmware looks for something to boot
            await asyncio.sleep(0.05)
    assert (await domain.blocks.stats())["rd_operations"] >= 1
    assert await domain.blocks.errors() == {}
    for wrong in ("hda", "nothing", str(images)):
        with pytest.raises(InvalidArgument):
            await domain.blocks.info(wrong)
    with pytest.raises(OperationUnsupported):
        await domain.blocks.resize("hda", MIB)


async def check_limits(host: Host, domain: Domain) -> None:
    blocks, both = domain.blocks, Scope(live=True, config=True)
    async with Ear(host) as ear:
        await blocks.set_iotune("vda", {"read_bytes_sec": 5, "read_bytes_sec_max": 9, "group_name": "g"}, scope=both)
        await blocks.set_iotune("sda", {"group_name": "g"})
    assert {"blkdeviotune.disk": "sda", "blkdeviotune.group_name": "g"} in [
        event.params for event in ear.heard if isinstance(event, TunableEvent)
    ]
    shared = await blocks.iotune("sda")
    assert (shared["read_bytes_sec"], shared["read_bytes_sec_max"], shared["group_name"]) == (5, 9, "g")
    assert (await blocks.iotune("vda", scope=Scope(config=True)))["read_bytes_sec"] == 5
    assert (await blocks.iotune("sda", scope=Scope(config=True)))["read_bytes_sec"] == 0
    for bad, error in (
        ({"total_iops_sec": 1, "read_iops_sec": 1}, InvalidArgument),
        ({"read_bytes_sec_max": 4}, Unsupported),
        ({"write_iops_sec_max": 4}, Unsupported),
        ({"fast": 1}, ArgumentUnsupported),
        ({"total_iops_sec": 1 << 60}, ArgumentUnsupported),
    ):
        with pytest.raises(error):
            await blocks.set_iotune("vda", bad, scope=both)
    assert await blocks.iotune("sda") == shared


async def check_threshold(host: Host, domain: Domain, images: Path) -> None:
    with pytest.raises(InvalidArgument):
        await domain.blocks.set_threshold("vda[99]", 2 * MIB)
    async with Ear(host) as ear:
        while len(found := [event for event in ear.heard if isinstance(event, BlockThresholdEvent)]) < 2:
            await domain.blocks.set_threshold("vda", 2 * MIB)
            (stats,) = await host.stats(groups=StatsGroup.BLOCK)
            assert stats.params["block.0.threshold"] == 2 * MIB
            await write(domain, images)
            await asyncio.sleep(0.2)  # the first event is lost where the keeper has only begun to listen
    assert [(each.device, each.path, each.threshold) for each in found[:2]] == [
        ("vda", str(images / "raw.img"), 2 * MIB),
        ("vda[4]", str(images / "raw.img"), 2 * MIB),
    ]
    assert (await domain.blocks.info("vda")).allocation == 3 * MIB + 4096


async def write(domain: Domain, images: Path) -> None:
    """Write to the disk as the guest would; meanwhile others get their answers, though somebody has the monitor."""
    async with connected(images / "run" / "guests" / domain.uuid / "monitor.sock") as monitor:
        words = 'qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend "write 3M 4k"'
        await monitor.execute("human-monitor-command", {"command-line": words})
        assert (await domain.stats()).responding


async def check_contents(domain: Domain) -> None:
    assert await domain.blocks.peek("vda", 0, 5) == b"first"
    for disk, offset, error in (("vda", 5 * MIB, InvalidArgument), ("sda", 0, ArgumentUnsupported)):
        with pytest.raises(error):
            await domain.blocks.peek(disk, offset, 1)
    assert (await domain.blocks.peek_memory(0xFFFFFFF0, 1, physical=True)) == b"\xea"  # the jump at the reset vector
    with pytest.raises(InvalidArgument):
        await domain.blocks.peek_memory(0, 5 * MIB)
