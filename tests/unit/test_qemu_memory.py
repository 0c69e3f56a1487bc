"""QEMU guests' memory, clocks and IOMMU: what is rounded, chosen by the host's means, or refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from standins import Numbers
from vmherd.conf.domain import Domain, parse_domain
from vmherd.errors import DocumentError, HostError
from vmherd.hypervisors.qemu import alias, complete, memory, validate
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import Launch, build, environment
from vmherd.hypervisors.qemu.host.hostmemory import HostMemory

DATA = Path(__file__).parents[1] / "data" / "qemu"
HOST = HostMemory(files=Path("/ram"), nodes={0: frozenset({0, 1}), 1: frozenset({2, 3})})
HUGE = HostMemory(files=Path("/ram"), hugepages={2 << 20: Path("/huge")}, nodes=HOST.nodes)
NODE = "<cpu><numa><cell id='0' memory='64' unit='MiB'/></numa></cpu>"
ROOM = "<maxMemory slots='1' unit='MiB'>512</maxMemory>"
DIMM = "<memory model='dimm'><target><size unit='MiB'>{}</size><node>0</node></target>{}</memory>"
BACKING = "<memoryBacking>{}</memoryBacking>"


@pytest.fixture(scope="module")
def caps() -> Capabilities:
    """What QEMU 7.2 of Debian 12 can do."""
    return msgspec.json.decode((DATA / "capabilities-7.2.json").read_bytes(), type=Capabilities)


def guest(caps: Capabilities, head: str = "", devices: str = "", *, machine: str = "q35", size: int = 64) -> Domain:
    domain = parse_domain(
        f"<domain type='qemu'><name>web</name><memory unit='MiB'>{size}</memory>{head}"
        f"<os><type arch='x86_64' machine='{machine}'>hvm</type></os><devices>{devices}</devices></domain>"
    )
    complete.complete(domain, caps, new=True)
    validate.check(domain, caps)
    alias.assign(domain)
    memory.align(domain)
    return domain


def launch(host: HostMemory = HOST, incoming: str = "") -> Launch:
    return Launch(
        folder=Path("/run"),
        monitor_fd=9,
        opener=Numbers(),
        host=Numbers(),
        memory=host,
        now=datetime(2026, 1, 2, tzinfo=UTC),
        incoming=incoming,
    )


def objects(domain: Domain, caps: Capabilities, host: HostMemory = HOST) -> dict[str, dict[str, Any]]:
    """The objects of memory by their id."""
    argv = build(domain, caps, launch(host))
    found = [json.loads(word) for word in argv if word.startswith('{"qom-type"') or '"memory-backend' in word]
    return {each["id"]: each for each in found if each["qom-type"] != "secret"}


REFUSED = [
    (BACKING.format("<hugepages/><allocation mode='ondemand'/>"), "", "domain/memoryBacking/allocation/@mode"),
    (BACKING.format("<hugepages/><source type='anonymous'/>"), "", "domain/memoryBacking/source/@type"),
    ("<launchSecurity type='sev'><policy>1</policy></launchSecurity>", "", "domain/launchSecurity"),
    ("<launchSecurity type='s390-pv'/>", "", "domain/launchSecurity"),
    (ROOM, "", "domain/maxMemory"),
    (NODE, DIMM.format(2, ""), "domain/maxMemory"),
    (NODE + ROOM, DIMM.format(2, "") * 2, "domain/maxMemory/@slots"),
    (NODE + ROOM, DIMM.format(2, "<address type='dimm' slot='1'/>"), "domain/devices/memory[1]/address/@slot"),
    (NODE + ROOM, DIMM.format(2, "<address type='pci' slot='5'/>"), "domain/devices/memory[1]/address/@type"),
    (NODE + ROOM, DIMM.format(2, "").replace("<node>0</node>", ""), "domain/devices/memory[1]/target/node"),
    ("", "<memory model='sgx-epc'><target><size>2048</size></target></memory>", "domain/devices/memory[1]/@model"),
    ("", "<iommu model='smmuv3'/>", "domain/devices/iommu/@model"),
    ("", "<iommu model='intel'><driver intremap='on'/></iommu>", "domain/devices/iommu/driver/@intremap"),
    ("", "<iommu model='intel'><driver eim='on'/></iommu>", "domain/devices/iommu/driver/@eim"),
    ("<vcpu>256</vcpu>", "", "domain/vcpu"),
    ("<clock><timer name='platform'/></clock>", "", "domain/clock/timer[1]/@name"),
    ("<clock><timer name='armvtimer'/></clock>", "", "domain/clock/timer[1]/@name"),
    ("<clock><timer name='rtc' track='boot'/></clock>", "", "domain/clock/timer[1]/@track"),
    ("<clock><timer name='rtc' tickpolicy='discard'/></clock>", "", "domain/clock/timer[1]/@tickpolicy"),
    ("<clock><timer name='pit' tickpolicy='merge'/></clock>", "", "domain/clock/timer[1]/@tickpolicy"),
    ("<features><hyperv><synic state='on'/></hyperv></features>", "", "domain/features/hyperv/synic"),
    ("<features><kvm><hint-dedicated state='on'/></kvm></features>", "", "domain/features/kvm/hint-dedicated"),
    ("<features><gic version='2'/></features>", "", "domain/features/gic"),
]


@pytest.mark.parametrize(("head", "devices", "place"), REFUSED)
def test_what_no_such_machine_has_is_refused(head: str, devices: str, place: str, caps: Capabilities) -> None:
    with pytest.raises(DocumentError) as caught:
        guest(caps, head, devices, size=66 if devices.startswith("<memory") else 64)
    assert caught.value.place == place
    assert caught.value.hint


@pytest.mark.parametrize("model", ["intel", "virtio"])
def test_an_older_board_has_no_iommu(model: str, caps: Capabilities) -> None:
    with pytest.raises(DocumentError, match="only for Q35"):
        guest(caps, "", f"<iommu model='{model}'/>", machine="pc")


def test_an_iommu_is_in_the_root_complex(caps: Capabilities) -> None:
    behind = "<iommu model='virtio'><address type='pci' bus='0x01' slot='0x00'/></iommu>"
    with pytest.raises(DocumentError):
        guest(caps, "", behind)


def test_sizes_are_rounded_up(caps: Capabilities) -> None:
    """A node to whole MiB, a module to 2 MiB, and the rest follows."""
    cell = NODE.replace("memory='64' unit='MiB'", f"memory='{(64 << 10) + 1}'")
    domain = guest(caps, cell + ROOM, DIMM.format(5, ""), size=256)
    assert domain.devices.memories[0].target.size == 6 << 20
    assert domain.memory.size == (65 + 6) << 20
    assert domain.current_memory == domain.memory.size


def test_a_size_beyond_counting_is_refused(caps: Capabilities) -> None:
    domain = guest(caps, NODE)
    assert domain.cpu
    assert domain.cpu.numa
    domain.cpu.numa.cells[0].memory = (1 << 63) - 1024
    with pytest.raises(DocumentError, match="more than can be counted"):
        memory.align(domain)


def test_huge_pages_need_a_mounted_hugetlbfs(caps: Capabilities) -> None:
    huge = guest(caps, BACKING.format("<hugepages/>"))
    assert objects(huge, caps, HUGE)["pc.ram"]["mem-path"] == "/huge"
    with pytest.raises(HostError, match="no hugetlbfs is mounted"):
        objects(huge, caps)
    with pytest.raises(HostError, match="1048576 KiB"):
        pages = "<hugepages><page size='1' unit='GiB'/></hugepages>"
        objects(guest(caps, BACKING.format(pages)), caps, HUGE)


def test_pages_of_ordinary_size_are_no_huge_pages(caps: Capabilities) -> None:
    domain = guest(caps, BACKING.format("<hugepages><page size='4'/></hugepages>"))
    assert objects(domain, caps)["pc.ram"]["qom-type"] == "memory-backend-ram"


def test_nodes_must_be_there(caps: Capabilities) -> None:
    with pytest.raises(HostError, match="no NUMA node 7"):
        objects(guest(caps, "<numatune><memory mode='restrictive' nodeset='7'/></numatune>"), caps)
    with pytest.raises(HostError, match="advises"):
        objects(guest(caps, "<numatune><memory mode='strict' placement='auto'/></numatune>"), caps)


@pytest.mark.parametrize(("cpus", "apart"), [("2", True), ("1", False), ("1-2", True)])
def test_threads_that_fill_memory_run_beside_it_where_qemu_may(cpus: str, apart: bool, caps: Capabilities) -> None:
    tune = f"<cputune><emulatorpin cpuset='{cpus}'/></cputune><numatune><memory mode='strict' nodeset='1'/></numatune>"
    domain = guest(caps, tune + BACKING.format("<allocation mode='immediate'/>"))
    assert ("tc-pc.ram" in objects(domain, caps)) is apart


def test_restrictive_memory_is_not_bound_by_qemu_and_refused_at_start(caps: Capabilities) -> None:
    domain = guest(caps, "<numatune><memory mode='restrictive' nodeset='0'/></numatune>")
    assert "policy" not in objects(domain, caps)["pc.ram"]
    with pytest.raises(DocumentError, match="control group 'cpuset'"):
        validate.check_enforced(domain)
    validate.check_enforced(domain, frozenset({"cpuset"}))


def test_cpus_in_no_node_are_in_the_first(caps: Capabilities) -> None:
    cells = "<cell id='0' memory='65536'/><cell id='1' cpus='1' memory='65536'/>"
    argv = build(guest(caps, f"<vcpu>3</vcpu><cpu><numa>{cells}</numa></cpu>"), caps, launch())
    assert "node,nodeid=0,cpus=0,cpus=2,memdev=ram-node0" in argv


def test_the_state_of_a_guest_comes_from_elsewhere(caps: Capabilities) -> None:
    argv = build(guest(caps), caps, launch(incoming="tcp:[::]:49152"))
    assert argv[argv.index("-incoming") + 1] == "tcp:[::]:49152"


def test_a_time_zone_of_its_own_is_told_by_the_environment(caps: Capabilities) -> None:
    domain = guest(caps, "<clock offset='timezone' timezone='Asia/Tokyo'/>")
    assert environment(domain, launch(), {})["TZ"] == "Asia/Tokyo"
    assert "base=localtime" in build(domain, caps, launch())
