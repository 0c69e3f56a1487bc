"""Guests' memory on a real QEMU: each way to back it, each kind of module, nodes, IOMMUs and clocks.

Most guests here are started and asked through the monitor only; the last one is a Linux that tells what it sees.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vmherd.api.aio import Domain, Host
from vmherd.errors import HostError, VmherdError
from vmherd.guest.demo import DemoGuest
from vmherd.guest.session import Session
from vmherd.hypervisors.qemu.monitor import connected

pytestmark = pytest.mark.qemu

UUID = "0b0e0a5e-6f4d-4c0e-9a37-1f2d3c4b5a69"
PAGES = Path("/proc/sys/vm/nr_hugepages")
HUGE_PAGE = 2 << 20

GUEST = """
<domain type='qemu'>
  <name>memory</name>
  <uuid>{uuid}</uuid>
  {head}
  <os><type arch='x86_64' machine='q35'>hvm</type>{os}</os>
  <features><acpi/><ioapic driver='qemu'/></features>
  {tail}
  <devices>
    <controller type='usb' model='none'/>
    {devices}
    <serial type='pty'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""
NODES = """
<vcpu>2</vcpu>
<cpu>
  <numa>
    <cell id='0' cpus='0' memory='128' unit='MiB'>
      <distances><sibling id='1' value='21'/></distances>
      <cache level='1' associativity='direct' policy='writeback'>
        <size value='64' unit='KiB'/><line value='64' unit='B'/>
      </cache>
    </cell>
    <cell id='1' cpus='1' memory='64' unit='MiB' memAccess='shared'/>
    <interconnects>
      <latency initiator='0' target='0' type='access' value='5'/>
      <latency initiator='0' target='1' type='access' value='10'/>
      <bandwidth initiator='0' target='0' type='access' value='200' unit='GiB'/>
      <bandwidth initiator='0' target='1' type='access' value='100' unit='GiB'/>
    </interconnects>
  </numa>
</cpu>
"""
ROOM = "<maxMemory slots='4' unit='GiB'>2</maxMemory><memory unit='MiB'>192</memory>"
MODULE = "<memory model='{}' {}>{}<target><size unit='MiB'>{}</size>{}</target></memory>"


def document(head: str = "<memory unit='MiB'>64</memory>", devices: str = "", *, os: str = "", tail: str = "") -> str:
    return GUEST.format(uuid=UUID, head=head, os=os, tail=tail, devices=devices)


async def ask(folder: Path, command: str, **arguments: object) -> Any:
    async with connected(folder / "run" / "guests" / UUID / "monitor.sock", patience=5) as monitor:
        return await monitor.execute(command, dict(arguments) or None)


async def started(host: Host, xml: str) -> Domain:
    domain = await host.define(xml)
    await domain.start(paused=True)
    return domain


@pytest.mark.parametrize(
    ("backing", "shared"),
    [
        ("<source type='memfd'/><access mode='shared'/>", True),
        ("<source type='file'/><access mode='shared'/><allocation mode='immediate' threads='2'/>", True),
        ("<access mode='private'/><discard/>", False),
        ("<nosharepages/>", False),
    ],
    ids=["anonymous files", "files filled at once", "private files", "plain"],
)
async def test_memory_is_backed_as_told(backing: str, shared: bool, host: Host, tmp_path: Path) -> None:
    xml = document(f"<memory unit='KiB'>60001</memory><memoryBacking>{backing}</memoryBacking>")
    domain = await started(host, xml)
    (memory,) = await ask(tmp_path, "query-memdev")
    assert (memory["size"], memory["share"]) == (59 << 20, shared)
    file = tmp_path / "state" / "ram" / UUID / "pc.ram"
    assert file.exists() is ("file" in backing or "private" in backing)
    assert "<memory unit='KiB'>60416</memory>" in await domain.xml()
    await domain.poweroff()
    assert not file.parent.exists()


@pytest.fixture
def huge_pages(tmp_path: Path) -> Iterator[Path]:
    """A hugetlbfs of one's own with 32 pages, where that is allowed."""
    before = PAGES.read_text()
    mount = tmp_path / "huge"
    mount.mkdir()
    try:
        PAGES.write_text("32")
    except OSError as problem:
        pytest.skip(f"{PAGES} cannot be raised: {problem.strerror}")
    if int(PAGES.read_text()) < 32:
        PAGES.write_text(before)
        pytest.skip("the host has no 64 MiB in one piece for huge pages")
    if subprocess.run(["mount", "-t", "hugetlbfs", "none", mount], check=False).returncode:
        PAGES.write_text(before)
        pytest.skip("a hugetlbfs cannot be mounted")
    try:
        yield mount
    finally:
        subprocess.run(["umount", mount], check=True)
        PAGES.write_text(before)


def free_pages() -> int:
    told = Path("/proc/meminfo").read_text().split("HugePages_Free:")[1]
    return int(told.split()[0])


@pytest.mark.parametrize("source", ["", "<source type='memfd'/>"], ids=["hugetlbfs", "anonymous files"])
async def test_huge_pages_are_taken_and_given_back(source: str, host: Host, huge_pages: Path) -> None:
    before = free_pages()
    backing = f"<memoryBacking><hugepages/>{source}</memoryBacking>"
    domain = await started(host, document("<memory unit='MiB'>32</memory>" + backing))
    assert before - free_pages() == (32 << 20) // HUGE_PAGE
    await domain.poweroff()
    assert free_pages() == before
    assert list((huge_pages / "vmherd").glob("*")) == []


async def test_without_huge_pages_the_start_says_so(host: Host) -> None:
    if "hugetlbfs" in Path("/proc/self/mounts").read_text():
        pytest.skip("this host has a hugetlbfs")
    domain = await host.define(document("<memory unit='MiB'>32</memory><memoryBacking><hugepages/></memoryBacking>"))
    with pytest.raises(HostError, match="no hugetlbfs is mounted") as caught:
        await domain.start()
    assert "mount -t hugetlbfs" in caught.value.hint


async def test_each_kind_of_module_is_there(host: Host, tmp_path: Path) -> None:
    file = f"<source><path>{tmp_path}/{{}}</path></source>"
    modules = [
        MODULE.format("dimm", "", "", 64, "<node>0</node>"),
        MODULE.format(
            "nvdimm", "access='shared'", file.format("nvdimm"), 34, "<node>1</node><label><size>128</size></label>"
        ),
        MODULE.format("virtio-pmem", "access='shared'", file.format("pmem"), 32, ""),
        MODULE.format(
            "virtio-mem", "", "", 256, "<node>0</node><block unit='MiB'>2</block><requested>65536</requested>"
        ),
    ]
    await started(host, document(ROOM.replace("192", "578") + NODES, "".join(modules)))
    found = {each["data"]["id"]: (each["type"], each["data"]) for each in await ask(tmp_path, "query-memory-devices")}
    assert {name: kind for name, (kind, _) in found.items()} == {
        "dimm0": "dimm",
        "nvdimm1": "nvdimm",
        "virtiopmem0": "virtio-pmem",
        "virtiomem0": "virtio-mem",
    }
    assert found["virtiomem0"][1]["requested-size"] == 64 << 20
    assert (tmp_path / "nvdimm").stat().st_size == 34 << 20


async def test_nodes_are_backed_one_by_one(host: Host, tmp_path: Path) -> None:
    tune = "<numatune><memory mode='strict' nodeset='0'/></numatune>"
    filled = "<memoryBacking><allocation mode='immediate'/></memoryBacking>"  # by threads beside the memory
    await started(host, document("<memory unit='MiB'>192</memory>" + tune + filled + NODES))
    found = {each["id"]: each for each in await ask(tmp_path, "query-memdev")}
    assert {name: each["size"] >> 20 for name, each in found.items()} == {"ram-node0": 128, "ram-node1": 64}
    assert [found[name]["share"] for name in sorted(found)] == [False, True]
    assert found["ram-node0"]["policy"] == "bind"
    assert found["ram-node0"]["prealloc"]
    assert found["ram-node0"]["host-nodes"] == [0]


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        ("<numatune><memory mode='preferred' nodeset='77'/></numatune>", "no NUMA node 77"),
        ("<numatune><memory placement='auto'/></numatune>", "advises"),
    ],
)
async def test_what_this_host_cannot_keep_is_refused_at_start(head: str, problem: str, host: Host) -> None:
    domain = await host.define(document("<memory unit='MiB'>32</memory>" + head))
    with pytest.raises(VmherdError, match=problem):
        await domain.start()


#: Extended interrupts (eim) would take KVM.
INTEL = "<iommu model='intel'><driver intremap='on' caching_mode='on' iotlb='on' aw_bits='48'/></iommu>"


@pytest.mark.parametrize(("iommu", "kind"), [(INTEL, "intel-iommu"), ("<iommu model='virtio'/>", "virtio-iommu-pci")])
async def test_an_iommu_is_there(iommu: str, kind: str, host: Host, tmp_path: Path) -> None:
    await started(host, document(devices=iommu))
    (found,) = [
        each for each in await ask(tmp_path, "qom-list", path="/machine/peripheral") if each["name"] == "iommu0"
    ]
    assert found["type"] == f"child<{kind}>"


@pytest.mark.packages
async def test_a_guest_sees_its_memory(host: Host, demo: DemoGuest, tmp_path: Path) -> None:
    boot = f"<kernel>{demo.kernel}</kernel><initrd>{demo.initrd}</initrd><cmdline>{demo.cmdline}</cmdline>"
    clock = "<clock offset='absolute' start='1000000000'><timer name='hpet' present='no'/></clock>"
    modules = MODULE.format("dimm", "", "", 64, "<node>1</node>")
    source = f"<source><path>{tmp_path}/nvdimm</path></source>"
    modules += MODULE.format("nvdimm", "access='shared'", source, 34, "<node>0</node>")
    xml = document(ROOM.replace("192", "290") + NODES, modules + INTEL, os=boot, tail=clock)
    domain = await started(host, xml)
    console = await domain.open_console()
    try:
        await domain.resume()
        session = Session(console)
        await session.login("root", "demo", patience=120)
        assert await session.run("date -u +%Y-%m-%d") == "2001-09-09\n"
        nodes = await session.run("cd /sys/devices/system/node; cat node*/cpulist; cat node0/distance")
        assert nodes.split("\n")[:3] == ["0", "1", "10 21"]
        tables = (await session.run("ls /sys/firmware/acpi/tables")).split()
        assert {"SRAT", "SLIT", "HMAT", "DMAR", "NFIT"} <= set(tables)
        assert "HPET" not in tables
    finally:
        await console.close()
