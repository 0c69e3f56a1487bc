"""What hosts and hypervisors can do, as documents."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from tried import untried

from vmherd.conf.capabilities import Host, HostCapabilities, PowerManagement, pretty
from vmherd.conf.domain.cpu import CpuTopology
from vmherd.conf.domaincaps import Custom, DomainCapabilities
from vmherd.state.host import describe
from vmherd.util.xmlmodel import Element, parse, render, unknown

DATA = Path(__file__).parent.parent / "data" / "capabilities"
DOCUMENTS = [(HostCapabilities, "host.xml"), (DomainCapabilities, "domain.xml")]


@pytest.mark.parametrize(("cls", "name"), DOCUMENTS)
def test_capabilities_read_and_write_back_unchanged(cls: type[Element], name: str) -> None:
    text = (DATA / name).read_text()
    document = parse(cls, text)
    assert unknown(cls, text) == []
    assert render(document) == text
    assert msgspec.json.decode(msgspec.json.encode(document), type=cls) == document


@pytest.mark.parametrize(("cls", "name"), DOCUMENTS)
def test_golden_files_use_every_field_of_their_own(cls: type[Element], name: str) -> None:
    assert not untried(cls, [parse(cls, (DATA / name).read_text())], "vmherd.conf.domain.")


def test_choices_are_found_by_name() -> None:
    found = parse(DomainCapabilities, (DATA / "domain.xml").read_text())
    assert found.devices is not None
    assert found.devices.disk is not None
    assert found.devices.disk.of("bus") == ["virtio", "sata"]
    assert found.devices.disk.of("model") == []
    assert found.cpu is not None
    custom = next(mode for mode in found.cpu.modes if isinstance(mode, Custom))
    assert [(model.name, model.usable) for model in custom.models] == [("Broadwell", "no"), ("Opteron_G1", "unknown")]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, (0, "B")),
        (1, (1, "B")),
        (1024, (1, "KiB")),
        (1536, (1536, "B")),
        (3 << 20, (3, "MiB")),
        (1 << 70, (1024, "EiB")),
    ],
)
def test_a_size_is_told_in_its_largest_whole_unit(size: int, expected: tuple[int, str]) -> None:
    assert pretty(size) == expected


def test_the_size_of_a_cache_is_also_known_in_bytes() -> None:
    cache = parse(HostCapabilities, (DATA / "host.xml").read_text()).host.cache
    assert cache is not None
    assert cache.banks[0].bytes == 15 << 20


class Kernel:
    """A made-up host: what Linux would show of it, as files below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def show(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    def show_node(self, number: int, cpus: str, distance: str, memory: int, huge: int) -> None:
        node = f"sys/devices/system/node/node{number}"
        self.show(f"{node}/cpulist", cpus)
        self.show(f"{node}/distance", distance)
        self.show(f"{node}/meminfo", f"Node {number} MemTotal:  {memory} kB\nNode {number} MemFree:  7 kB")
        self.show(f"{node}/hugepages/hugepages-2048kB/nr_hugepages", str(huge))

    def show_cpu(self, number: int, socket: int, core: int, siblings: str, mates: str) -> None:
        cpu = f"sys/devices/system/cpu/cpu{number}"
        self.show(f"{cpu}/topology/physical_package_id", str(socket))
        self.show(f"{cpu}/topology/core_id", str(core))
        self.show(f"{cpu}/topology/thread_siblings_list", siblings)
        for index, (level, kind, size) in enumerate(
            [(1, "Data", "32K"), (2, "Unified", "512K"), (3, "Unified", "16384K")]
        ):
            cache = f"{cpu}/cache/index{index}"
            for name, value in (("level", level), ("type", kind), ("size", size), ("id", socket)):
                self.show(f"{cache}/{name}", str(value))
            self.show(f"{cache}/shared_cpu_list", mates)


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """Two sockets that are two nodes, with two cores of two threads each; a third node has only memory."""
    kernel = Kernel(tmp_path)
    kernel.show("etc/machine-id", "7b55704c29f411b2a85c9dc6ff50623f")
    kernel.show("sys/power/state", "freeze mem disk")
    kernel.show("sys/power/disk", "[platform] shutdown reboot suspend")
    kernel.show("sys/kernel/iommu_groups/0/type", "DMA")
    kernel.show("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "8")
    kernel.show("sys/devices/system/node/online", "0-2")
    kernel.show_node(0, "0-1,4-5", "10 21 31", 65536, 8)
    kernel.show_node(1, "2-3,6-7", "21 10 31", 65536, 0)
    kernel.show_node(2, "", "31 31 10", 1024, 0)
    for cpu in range(8):
        socket, core = cpu // 2 % 2, cpu % 2
        kernel.show_cpu(cpu, socket, core, f"{cpu % 4},{cpu % 4 + 4}", "0-1,4-5" if socket == 0 else "2-3,6-7")
    return tmp_path


def test_a_host_is_described_from_what_its_kernel_shows(server: Path) -> None:
    host = describe(server)
    assert host.uuid == "7b55704c-29f4-11b2-a85c-9dc6ff50623f"
    assert host.cpu.topology == CpuTopology(sockets=1, dies=1, cores=2, threads=2)
    assert host.power_management == PowerManagement(suspend_mem=True, suspend_disk=True, suspend_hybrid=True)
    assert host.iommu is not None
    assert host.iommu.support
    assert host.cache is not None
    assert [(bank.level, bank.id, bank.size, bank.unit, bank.cpus) for bank in host.cache.banks] == [
        (3, 0, 16, "MiB", (0, 1, 4, 5)),
        (3, 1, 16, "MiB", (2, 3, 6, 7)),
    ]


def test_every_node_tells_its_memory_distances_and_processors(server: Path) -> None:
    topology = describe(server).topology
    assert topology is not None
    first, second, third = topology.cells.cells
    assert first.memory == 65536 << 10
    page = os.sysconf("SC_PAGE_SIZE")
    assert [(each.size, each.count) for each in first.pages] == [
        (page, ((65536 << 10) - 8 * (2 << 20)) // page),
        (2 << 20, 8),
    ]
    assert [each.value for each in second.distances] == [21, 10, 31]
    assert second.cpus is not None
    assert [(cpu.id, cpu.socket_id, cpu.core_id, cpu.siblings) for cpu in second.cpus.cpus] == [
        (2, 1, 0, (2, 6)),
        (3, 1, 1, (3, 7)),
        (6, 1, 0, (2, 6)),
        (7, 1, 1, (3, 7)),
    ]
    assert third.cpus is not None
    assert third.cpus.cpus == []


def test_what_the_kernel_does_not_tell_is_left_out(tmp_path: Path) -> None:
    host = describe(tmp_path)
    assert (host.uuid, host.topology, host.cache, host.power_management) == (None, None, None, None)
    assert parse(Host, render(host)) == host
