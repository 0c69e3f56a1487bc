"""The host as Linux shows it: machines recorded as their files, and the one the tests run on."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from vmherd.api.aio import connect
from vmherd.conf.domain.sysinfo import Sysinfo
from vmherd.driver.host import HostCpuMap, HostCpuTimes, HostInfo, SuspendTarget, version_number
from vmherd.errors import (
    ArgumentUnsupported,
    InvalidArgument,
    InvalidState,
    NotSupported,
    OperationFailed,
    OperationUnsupported,
    ReadOnly,
    Unsupported,
    VmherdError,
)
from vmherd.state.node import firmware, memory, processors, sleep
from vmherd.util.xmlmodel import parse

PAGE = os.sysconf("SC_PAGE_SIZE")


def write(root: Path, **files: str) -> None:
    """Files by their paths, with "__" for "/"."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """Two sockets of two cores of two threads, each socket a NUMA node, and CPU 7 offline."""
    write(
        tmp_path,
        proc__cpuinfo="processor\t: 0\ncpu MHz\t\t: 2399.998\n",
        proc__stat="cpu  100 20 50 1000 7 3 2 9 0 0\ncpu0 60 10 30 500 3 2 1 4 0 0\ncpu10 1 1 1 1 1 1 1 1 1 1",
        proc__meminfo="MemTotal: 4096 kB\nMemFree: 1024 kB\nBuffers: 16 kB\nCached: 32 kB",
        sys__devices__system__node__online="0-1",
        sys__devices__system__cpu__present="0-7",
        sys__devices__system__cpu__online="0-6",
    )
    for node, cpus in enumerate(("0-3", "4-6")):
        folder = f"sys__devices__system__node__node{node}"
        write(
            tmp_path,
            **{
                f"{folder}__cpulist": cpus,
                f"{folder}__meminfo": f"Node {node} MemTotal: 2048 kB\nNode {node} MemFree: {512 + node} kB",
                f"{folder}__hugepages__hugepages-2048kB__free_hugepages": str(3 + node),
                f"{folder}__hugepages__hugepages-2048kB__nr_hugepages": "5",
            },
        )
    for cpu in range(7):
        folder = f"sys__devices__system__cpu__cpu{cpu}__topology"
        siblings = f"{cpu // 2 * 2}-{cpu // 2 * 2 + 1}"
        facts = {
            "physical_package_id": cpu // 4,
            "core_id": cpu // 2 % 2,
            "die_id": 0,
            "thread_siblings_list": siblings,
        }
        write(tmp_path, **{f"{folder}__{name}": str(value) for name, value in facts.items()})
    return tmp_path


def test_processors_are_told_by_their_places(server: Path) -> None:
    found = processors.info(server)
    wanted = HostInfo(
        model=found.model, memory=4 << 20, cpus=7, mhz=2399, nodes=2, sockets=1, cores=2, threads=2
    )  # fmt: skip
    assert found == wanted
    assert processors.cpu_map(server) == HostCpuMap(present=8, online=(0, 1, 2, 3, 4, 5, 6))


def test_an_uneven_machine_is_told_as_one_socket_of_cores(server: Path) -> None:
    write(server, sys__devices__system__node__node1__cpulist="4-5", sys__devices__system__cpu__present="0-6")
    found = processors.info(server)
    assert (found.nodes, found.sockets, found.cores, found.threads) == (1, 1, 7, 1)


def test_cpu_times_join_what_libvirt_joins(server: Path) -> None:
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert processors.times(server, None) == HostCpuTimes(
        user=100 * tick + 20 * tick, system=50 * tick + 3 * tick + 2 * tick, idle=1000 * tick, iowait=7 * tick
    )
    assert processors.times(server, 0).idle == 500 * tick
    with pytest.raises(InvalidArgument, match="no CPU 1"):
        processors.times(server, 1)


def test_memory_is_told_of_the_host_and_of_its_nodes(server: Path) -> None:
    assert memory.stats(server, None).cached == 32 << 10
    assert memory.stats(server, 1).free == 513 << 10
    assert memory.cells_free(server, 0, None) == [512 << 10, 513 << 10]
    assert memory.cells_free(server, 1, 9) == [513 << 10]
    assert memory.free(server) == 1025 << 10
    with pytest.raises(InvalidArgument, match="no NUMA node 2"):
        memory.stats(server, 2)
    with pytest.raises(VmherdError, match=r"start cell 2 out of range \(0-1\)"):
        memory.cells_free(server, 2, 1)


def test_huge_pages_are_counted_and_set_by_node(server: Path) -> None:
    huge = 2 << 20
    assert memory.free_pages(server, [PAGE, huge], 0, 2) == [[(512 << 10) // PAGE, 3], [(513 << 10) // PAGE, 4]]
    assert memory.allocate(server, {huge: 4}, 1, None, add=True) == 1
    pools = [server / f"sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/nr_hugepages" for node in (0, 1)]
    assert [pool.read_text() for pool in pools] == ["5\n", "9\n"]
    assert memory.allocate(server, {huge: 2}, 0, None, add=False) == 2
    assert [pool.read_text() for pool in pools] == ["2\n", "2\n"]
    write(server, **{"sys__kernel__mm__hugepages__hugepages-2048kB__nr_hugepages": "0"})
    assert memory.allocate(server, {huge: 7}, None, None, add=False) == 1
    assert (server / "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages").read_text() == "7\n"
    with pytest.raises(OperationFailed, match="page size 7 is not available on node 0"):
        memory.free_pages(server, [7 << 10], 0, 1)
    with pytest.raises(OperationUnsupported, match="ordinary pages"):
        memory.allocate(server, {PAGE: 10}, 0, 1, add=False)


def test_merging_of_pages_is_a_setting_where_the_kernel_has_it(server: Path) -> None:
    with pytest.raises(OperationUnsupported, match="does not merge"):
        memory.merging(server)
    write(server, sys__kernel__mm__ksm__pages_to_scan="100", sys__kernel__mm__ksm__full_scans="7")
    assert memory.merging(server) == {"shm_pages_to_scan": 100, "shm_full_scans": 7}
    memory.set_merging(server, {"shm_pages_to_scan": 50})
    assert memory.merging(server)["shm_pages_to_scan"] == 50
    for name, error in (("shm_full_scans", InvalidArgument), ("shm_merge_across_nodes", OperationUnsupported)):
        with pytest.raises(error, match=name):
            memory.set_merging(server, {"shm_pages_to_scan": 1, name: 1})
    assert memory.merging(server)["shm_pages_to_scan"] == 50, "a refused call changes nothing"


def test_firmware_tells_what_may_be_read_of_it(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="SMBIOS"):
        firmware.sysinfo(tmp_path)
    folder = "sys__class__dmi__id__"
    write(tmp_path, **{f"{folder}bios_vendor": "Some <B&B>", f"{folder}product_name": "Box", f"{folder}board_name": ""})
    found = parse(Sysinfo, firmware.sysinfo(tmp_path))
    assert [(each.name, each.value) for each in found.bios] == [("vendor", "Some <B&B>")]
    assert [(each.name, each.value) for each in found.system] == [("product", "Box")]
    assert not found.base_boards


async def test_the_host_sleeps_after_notice_with_an_alarm_set(tmp_path: Path) -> None:
    with pytest.raises(ArgumentUnsupported, match="Suspend-to-RAM"):
        await sleep.suspend(tmp_path, SuspendTarget.MEM, 60)
    write(tmp_path, sys__power__state="freeze mem", sys__class__rtc__rtc0__wakealarm="", sys__power__disk="[platform]")
    with pytest.raises(InvalidArgument, match="too short"):
        await sleep.suspend(tmp_path, SuspendTarget.MEM, 59)
    await sleep.suspend(tmp_path, SuspendTarget.MEM, 60, notice=0.05)
    with pytest.raises(InvalidState, match="about to sleep"):
        await sleep.suspend(tmp_path, SuspendTarget.MEM, 60)
    assert (tmp_path / "sys/class/rtc/rtc0/wakealarm").read_text() == "+61\n"
    async with asyncio.timeout(5):
        while (tmp_path / "sys/power/state").read_text() != "mem\n":
            await asyncio.sleep(0.01)


async def test_this_host_answers_as_its_kernel_tells(tmp_path: Path) -> None:
    async with await connect(f"qemu:///embed?root={tmp_path}", readonly=True) as host:
        info, times = await host.hardware.info(), await host.hardware.cpu_times()
        assert info.cpus == os.cpu_count()
        assert info.nodes * info.sockets * info.cores * info.threads >= info.cpus
        assert info.memory == os.sysconf("SC_PHYS_PAGES") * PAGE
        assert times.user
        assert 0 < await host.hardware.free_memory() < info.memory
        assert len(await host.hardware.cells_free_memory()) >= info.nodes
        with pytest.raises(ReadOnly):
            await host.hardware.allocate_pages({2 << 20: 1})
        with pytest.raises(InvalidArgument, match="xyz"):
            await host.max_vcpus("xyz")


async def test_the_test_driver_has_the_host_of_libvirts() -> None:
    async with await connect("test:///default") as host:
        info = await host.hardware.info()
        assert (info.model, info.memory >> 20, info.cpus, info.nodes) == ("i686", 3072, 16, 2)
        assert await host.hardware.cells_free_memory(1) == [4 << 20]
        assert await host.hardware.cpu_map() == HostCpuMap(present=8, online=(0, 2, 4))
        assert await host.max_vcpus() == 32
        assert "LENOVO" in await host.hardware.sysinfo()
        assert "Westmere" in await host.hardware.cpu_model_names("x86_64")
        with pytest.raises(NotSupported):
            await host.hardware.memory()
        with pytest.raises(InvalidArgument, match="cannot find architecture foo"):
            await host.hardware.cpu_model_names("foo")


def test_versions_are_numbers_as_libvirt_makes_them() -> None:
    assert [version_number(text) for text in ("9.0.0", "7.2.22", "8.1")] == [9_000_000, 7_002_022, 8_001_000]
