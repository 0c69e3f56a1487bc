"""The share of the host that a real QEMU gets: its vCPUs, threads and memory, and root's control groups.

No guest here has a system: what they are told is seen on the host, in /proc, /sys and through the monitor.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parts import until

from vmherd.api.aio import Domain, Host, connect
from vmherd.driver.types import Scope, State
from vmherd.errors import (
    ArgumentUnsupported,
    HostError,
    HypervisorError,
    InvalidArgument,
    OperationUnsupported,
    Unsupported,
    VmherdError,
)
from vmherd.guest.demo import DemoGuest
from vmherd.guest.session import Session
from vmherd.hypervisors.qemu.config import DEFAULTS
from vmherd.hypervisors.qemu.tuning import groups
from vmherd.util.cgroup.layout import Layout

pytestmark = pytest.mark.qemu

LIVE, CONFIG = Scope(live=True), Scope(config=True)
MIB = 1 << 20
GUEST = """
<domain type='qemu'>
  <name>share</name>
  <memory unit='MiB'>64</memory>
  {head}
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <controller type='usb' model='none'/>
    {devices}
    <memballoon model='virtio'/>
  </devices>
</domain>
"""
NEED_CPUS = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="pins need two CPUs")


async def start(host: Host, head: str = "", devices: str = "") -> Domain:
    domain = await host.define(GUEST.format(head=head, devices=devices))
    await domain.start()
    return domain


async def threads(domain: Domain) -> dict[str, int]:
    """The ids of QEMU's threads by their names, which QEMU gives with debug-threads."""
    pid = (await domain.info()).pid
    tasks = Path(f"/proc/{pid}/task")
    return {(task / "comm").read_text().strip(): int(task.name) for task in tasks.iterdir()}


async def test_vcpus_come_and_those_that_came_are_known(host: Host) -> None:
    """A guest without a system lets none go."""
    domain = await start(host, "<vcpu current='1'>4</vcpu>")
    await domain.tuning.set_vcpu_count(2)
    await domain.tuning.set_vcpus([3], enabled=True)
    assert [each.number for each in await domain.tuning.vcpu_info()] == [0, 1, 3]
    assert re.findall("<vcpu id=.*/>", await domain.xml()) == [
        "<vcpu id='0' enabled='yes' hotpluggable='no' order='1'/>",
        "<vcpu id='1' enabled='yes' hotpluggable='yes' order='2'/>",
        "<vcpu id='2' enabled='no' hotpluggable='yes'/>",
        "<vcpu id='3' enabled='yes' hotpluggable='yes' order='3'/>",
    ]
    with pytest.raises(HypervisorError, match="device_del"):
        await domain.tuning.set_vcpu_count(2)
    assert await domain.tuning.vcpu_count() == 3
    assert await domain.tuning.vcpu_count(scope=CONFIG) == 1
    with pytest.raises(OperationUnsupported, match="can't be unplugged"):
        await domain.tuning.set_vcpus([0], enabled=False)


async def test_vcpus_that_shall_be_unpluggable_are_there_from_the_start(host: Host) -> None:
    domain = await host.define(GUEST.format(head="<vcpu current='1'>4</vcpu>", devices=""))
    await domain.tuning.set_vcpu_count(3, hotpluggable=True)
    await domain.start()
    assert [each.number for each in await domain.tuning.vcpu_info()] == [0, 1, 2]
    assert "<vcpu id='2' enabled='yes' hotpluggable='yes' order='3'/>" in await domain.xml()


@pytest.mark.skipif(not shutil.which("qemu-system-aarch64"), reason="needs the package qemu-system-arm")
async def test_a_machine_that_keeps_its_vcpus_tells_of_them(host: Host) -> None:
    text = GUEST.format(head="<vcpu current='1'>2</vcpu>", devices="").replace("<features><acpi/></features>", "")
    text = text.replace("arch='x86_64' machine='pc'", "arch='aarch64' machine='virt'")
    domain = await host.define(text)
    await domain.start()
    assert [each.number for each in await domain.tuning.vcpu_info()] == [0]
    with pytest.raises(OperationUnsupported, match="hotplug is not supported"):
        await domain.tuning.set_vcpu_count(2)


@NEED_CPUS
async def test_threads_run_where_they_are_pinned_from_the_start_and_later(host: Host) -> None:
    tune = "<vcpupin vcpu='0' cpuset='1'/><emulatorpin cpuset='0'/><iothreadpin iothread='1' cpuset='1'/>"
    head = f"<vcpu current='1'>2</vcpu><iothreads>1</iothreads><cputune>{tune}</cputune>"
    domain = await start(host, head)
    found = await threads(domain)
    pid = (await domain.info()).pid
    assert pid
    assert os.sched_getaffinity(found["CPU 0/TCG"]) == {1}
    assert os.sched_getaffinity(found["IO iothread1"]) == {1}
    assert os.sched_getaffinity(pid) == {0}
    await domain.tuning.pin_vcpu(0, [0])
    await domain.tuning.pin_vcpu(1, [1])
    await domain.tuning.pin_emulator([1])
    await domain.tuning.pin_iothread(1, [0])
    await domain.tuning.set_vcpu_count(2)
    found = await threads(domain)
    assert os.sched_getaffinity(found["CPU 0/TCG"]) == {0}
    assert os.sched_getaffinity(found["CPU 1/TCG"]) == {1}  # it was pinned before it came
    assert os.sched_getaffinity(pid) == {1}
    assert os.sched_getaffinity(found["IO iothread1"]) == {0}
    (first, second) = await domain.tuning.vcpu_info()
    assert (first.affinity, second.affinity, second.cpu) == ((0,), (1,), 1)
    with pytest.raises(HostError, match="bind"):
        await domain.tuning.pin_vcpu(0, [4000])
    assert (await domain.tuning.vcpu_pins())[0] == (0,)


async def test_io_threads_come_go_and_are_configured(host: Host) -> None:
    domain = await start(host, "<iothreads>1</iothreads>")
    await domain.tuning.add_iothread(5, scope=Scope(live=True, config=True))
    await domain.tuning.set_iothread(5, {"poll_max_ns": 1000, "thread_pool_min": 70, "thread_pool_max": 80})
    await domain.tuning.set_iothread(5, {"thread_pool_min": 2, "thread_pool_max": 8})
    assert "IO iothread5" in await threads(domain)
    assert "<iothread id='5' thread_pool_min='2' thread_pool_max='8'/>" in await domain.xml()
    await domain.tuning.remove_iothread(5)
    assert [each.number for each in await domain.tuning.iothreads()] == [1]
    assert [each.number for each in await domain.tuning.iothreads(scope=CONFIG)] == [1, 5]


async def test_memory_is_asked_for_and_told(host: Host) -> None:
    domain = await start(host)
    await domain.tuning.set_memory(32 * MIB)
    await domain.tuning.set_memory_stats_period(7)
    stats = await domain.tuning.memory_stats()
    assert stats.current == 64 * MIB  # nobody in the guest follows
    assert stats.last_update == 0
    assert "<stats period='7'/>" in await domain.xml()
    await domain.tuning.set_max_memory(128 * MIB, scope=CONFIG)
    assert (await host.domains())[0].max_memory == 64 * MIB
    with pytest.raises(ArgumentUnsupported, match="cpu_clock"):
        await domain.tuning.set_perf_events({"cpu_clock": True})


@pytest.mark.packages
async def test_a_linux_lets_vcpus_and_memory_go(host: Host, demo: DemoGuest) -> None:
    boot = f"<kernel>{demo.kernel}</kernel><initrd>{demo.initrd}</initrd><cmdline>{demo.cmdline}</cmdline>"
    text = GUEST.format(head="<vcpu current='1'>2</vcpu>", devices="<serial type='pty'/>").replace(
        "</os>", f"{boot}</os>"
    )
    domain = await host.define(text.replace(">64<", ">256<"))
    await domain.start(paused=True)
    console = await domain.open_console()
    try:
        await domain.resume()
        session = Session(console)
        await session.login("root", "demo", patience=120)
        await domain.tuning.set_vcpu_count(2)
        await session.run("sleep 1; echo 1 >/sys/devices/system/cpu/cpu1/online")
        assert await session.run("cat /sys/devices/system/cpu/online") == "0-1\n"
        await domain.tuning.set_vcpu_count(1)
        assert await session.run("cat /sys/devices/system/cpu/present") == "0\n"
        assert await domain.tuning.vcpu_count() == 1
        await domain.tuning.set_memory_stats_period(1)
        await domain.tuning.set_memory(200 * MIB)
        async with asyncio.timeout(20):
            while (await host.domains())[0].memory != 200 * MIB or not (await domain.tuning.memory_stats()).last_update:
                await asyncio.sleep(0.1)
        stats = await domain.tuning.memory_stats()
        assert stats.current == 200 * MIB
        assert 0 < (stats.unused or 0) < (stats.available or 0) <= 200 * MIB
        assert "<currentMemory unit='KiB'>204800</currentMemory>" in await domain.xml()
        assert "<currentMemory unit='KiB'>262144</currentMemory>" in await domain.xml(inactive=True)
    finally:
        await console.close()


# Control groups


@pytest.fixture
def layout() -> Layout:
    found = groups.usable(DEFAULTS) if os.geteuid() == 0 else Layout({})
    if not {"cpu", "cpuacct", "memory", "cpuset", "blkio"} <= set(found.controllers):
        pytest.skip("control groups are for root, on a host whose controllers can be used")
    return found


def files(layout: Layout, domain: Domain, controller: str) -> Path:
    """The folder of the guest's group."""
    (found,) = (layout.controllers[controller].root / "machine").glob(f"qemu-*-{domain.name}-{domain.uuid[:8]}.vmherd")
    return found


def left(layout: Layout, domain: Domain) -> list[Path]:
    roots = [hierarchy.root for hierarchy in layout.hierarchies]
    return [path for root in roots for path in (root / "machine").glob(f"*{domain.uuid[:8]}*")]


@pytest.mark.root
async def test_limits_are_set_at_the_start_changed_later_and_gone_at_the_end(host: Host, layout: Layout) -> None:
    if layout.controllers["cpu"].unified:
        pytest.skip("reads the files of v1")
    head = """
      <memtune><hard_limit unit='MiB'>600</hard_limit><soft_limit unit='MiB'>300</soft_limit></memtune>
      <vcpu current='1'>2</vcpu>
      <cputune><shares>500</shares><quota>50000</quota><emulator_quota>60000</emulator_quota></cputune>
    """
    domain = await start(host, head)
    cpu, memory = files(layout, domain, "cpu"), files(layout, domain, "memory")
    pid = (await domain.info()).pid
    assert str(pid) in (memory / "cgroup.procs").read_text().split()
    assert (memory / "memory.limit_in_bytes").read_text().strip() == str(600 * MIB)
    assert (cpu / "cpu.shares").read_text().strip() == "500"
    found = await threads(domain)
    assert (cpu / "vcpu0/cpu.cfs_quota_us").read_text().strip() == "50000"
    assert (cpu / "vcpu0/tasks").read_text().split() == [str(found["CPU 0/TCG"])]
    assert str(pid) in (cpu / "emulator/tasks").read_text().split()

    await domain.tuning.set_vcpu_count(2)
    assert (cpu / "vcpu1/cpu.cfs_quota_us").read_text().strip() == "50000"
    await domain.tuning.set_scheduler_params({"vcpu_quota": 40000, "global_quota": 90000, "vcpu_period": 50000})
    assert (cpu / "vcpu1/cpu.cfs_period_us").read_text().strip() == "50000"
    assert (cpu / "cpu.cfs_quota_us").read_text().strip() == "90000"
    assert (await domain.tuning.scheduler_params())["vcpu_quota"] == 40000
    await domain.tuning.set_memory_params({"hard_limit": 700 * 1024, "swap_hard_limit": 800 * 1024})
    await domain.tuning.set_memory_params({"hard_limit": 400 * 1024, "swap_hard_limit": 500 * 1024})
    assert (memory / "memory.limit_in_bytes").read_text().strip() == str(400 * MIB)
    await domain.tuning.set_numa_params({"numa_nodeset": "0"})
    stats = await domain.tuning.cpu_stats()
    assert stats.total > 0
    assert abs(sum(stats.cpus) - stats.total) < 1

    os.kill(pid or 0, signal.SIGSTOP)  # the guest as a whole is limited without asking QEMU
    await domain.tuning.set_scheduler_params({"cpu_shares": 300})
    await domain.tuning.set_memory_params({"soft_limit": 200 * 1024})
    assert (cpu / "cpu.shares").read_text().strip() == "300"
    os.kill(pid or 0, signal.SIGKILL)
    await until(domain, State.SHUTOFF)
    assert left(layout, domain) == []


@pytest.mark.root
async def test_a_limit_that_the_kernel_refuses_changes_nothing(host: Host, layout: Layout) -> None:
    domain = await start(host)
    before = await domain.xml()
    refused: list[tuple[type[VmherdError], dict[str, int | float | bool | str]]] = [
        (InvalidArgument, {"device_read_bytes_sec": "/dev/null,100"}),
        (InvalidArgument, {"device_read_bytes_sec": "/nowhere,100"}),
    ]
    for kind, params in refused:
        with pytest.raises(kind):
            await domain.tuning.set_blkio_params(params)
    with pytest.raises(HostError):  # more than the guest has as a whole
        await domain.tuning.set_scheduler_params({"global_quota": 50000, "vcpu_quota": 90000})
    quota = files(layout, domain, "cpu") / "cpu.cfs_quota_us"
    assert layout.controllers["cpu"].unified or quota.read_text().strip() == "-1"
    with pytest.raises(HostError):
        await domain.tuning.set_numa_params({"numa_nodeset": "4000"})
    assert await domain.xml() == before


@pytest.mark.root
async def test_access_to_a_disk_is_limited_from_the_start_and_later(host: Host, layout: Layout) -> None:
    disks = [Path("/dev") / path.name for path in Path("/sys/block").iterdir()]
    disk = next((path for path in disks if path.is_block_device()), None)
    if disk is None or layout.controllers["blkio"].unified:
        pytest.skip("reads the files of v1, of a block device")
    head = f"<blkiotune><device><path>{disk}</path><read_bytes_sec>1000000</read_bytes_sec></device></blkiotune>"
    domain = await start(host, head)
    reads = files(layout, domain, "blkio") / "blkio.throttle.read_bps_device"
    number = f"{os.major(disk.stat().st_rdev)}:{os.minor(disk.stat().st_rdev)}"
    assert reads.read_text().strip() == f"{number} 1000000"
    await domain.tuning.set_blkio_params(
        {"device_read_bytes_sec": f"{disk},2000", "device_write_iops_sec": f"{disk},7"}
    )
    assert reads.read_text().strip() == f"{number} 2000"
    await domain.tuning.set_blkio_params({"device_read_bytes_sec": f"{disk},0"})
    assert reads.read_text() == ""
    assert (await domain.tuning.blkio_params())["device_write_iops_sec"] == f"{disk},7"


@pytest.mark.root
async def test_the_group_of_a_start_that_fails_is_gone(host: Host, layout: Layout) -> None:
    disk = "<disk type='file'><source file='/nowhere/at-all'/><target dev='vda'/></disk>"
    domain = await host.define(GUEST.format(head="<cputune><shares>9</shares></cputune>", devices=disk))
    with pytest.raises(VmherdError):
        await domain.start()
    assert left(layout, domain) == []


@pytest.fixture
async def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
        (tmp_path / name).mkdir(mode=0o700)
    async with await connect("qemu:///session") as host:
        yield host


async def test_sessions_have_no_control_groups(session: Host) -> None:
    """Pins need none; limits are refused, as libvirt does, and so is a start with them."""
    domain = await session.define(GUEST.format(head="<vcpu>1</vcpu>", devices=""))
    for call in (domain.tuning.memory_params(), domain.tuning.scheduler_params(), domain.tuning.blkio_params()):
        with pytest.raises(Unsupported, match="not available in session mode"):
            await call
    await domain.tuning.pin_vcpu(0, [0])
    limited = (await domain.xml()).replace("<vcpu ", "<memtune><hard_limit>900000</hard_limit></memtune><vcpu ")
    domain = await session.define(limited)
    with pytest.raises(Unsupported, match="control group 'memory'"):
        await domain.start()


# Bandwidth


@pytest.mark.root
async def test_bandwidth_is_limited_from_the_start_and_later(host: Host) -> None:
    card = """<interface type='ethernet'><mac address='52:54:00:00:00:07'/><target dev='vhshare0'/>
      <bandwidth><inbound average='1000' peak='2000' burst='512'/></bandwidth></interface>"""
    if os.geteuid() != 0:
        pytest.skip("network devices are root's")
    domain = await start(host, devices=card)

    def rates() -> str:
        return subprocess.run(["tc", "class", "show", "dev", "vhshare0"], capture_output=True, text=True).stdout

    assert "rate 8Mbit ceil 16Mbit" in rates()
    await domain.tuning.set_interface_params("vhshare0", {"inbound.average": 500})
    assert "rate 4Mbit ceil 4Mbit" in rates()
    assert (await domain.tuning.interface_params("52:54:00:00:00:07"))["inbound.average"] == 500
    await domain.tuning.set_interface_params("vhshare0", {"inbound.average": 0})
    assert "rate" not in rates()
