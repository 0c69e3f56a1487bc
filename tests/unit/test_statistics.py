"""What statistics rest on: sizes of images, who answers, limits of disks, filters and types."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vmherd.conf.domain import parse_domain
from vmherd.driver.blocks import BlockInfo, StatsFilter
from vmherd.driver.params import Kind, Params
from vmherd.driver.statnames import kind_of
from vmherd.driver.types import DomainInfo, State
from vmherd.errors import HostError, HypervisorError, NotResponding
from vmherd.hypervisors.qemu.folders import Folders
from vmherd.hypervisors.qemu.host import imagesize
from vmherd.hypervisors.qemu.pulse import Pulse
from vmherd.hypervisors.qemu.statistics import kvm
from vmherd.state.domains import Live, Summary
from vmherd.state.tuning import throttle
from vmherd.util.aside import aside

QCOW2 = b"QFI\xfb" + b"\0" * 20 + (5 << 20).to_bytes(8, "big")
VMDK = b"KDMV" + b"\0" * 8 + (7).to_bytes(8, "little")


@pytest.mark.parametrize(
    ("format_", "header", "capacity"),
    [
        ("qcow2", QCOW2, 5 << 20),
        ("vmdk", VMDK, 7 * 512),
        ("raw", QCOW2, 4096),  # a guest may write that on its disk: nobody believes it
        ("qcow2", VMDK, None),
        ("qcow2", b"QFI\xfb", None),
        ("vdi", b"\0" * 64 + b"\x7f\x10\xda\xbe" + b"\0" * 300 + (9).to_bytes(8, "little"), 9),
    ],
)
def test_an_image_is_as_large_as_its_declared_format_says(
    tmp_path: Path, format_: str, header: bytes, capacity: int | None
) -> None:
    path = tmp_path / "image"
    path.write_bytes(header.ljust(4096 if capacity is not None else len(header), b"\0"))
    found = imagesize.measure(str(path), format_)
    if capacity is None:
        assert found is None
    else:
        assert found == BlockInfo(capacity=capacity, allocation=path.stat().st_blocks * 512, physical=4096)


def test_a_pipe_in_place_of_an_image_keeps_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert imagesize.measure(str(tmp_path / "pipe"), "raw") is None


async def test_work_that_hangs_is_left_behind() -> None:
    release = threading.Event()
    began = time.monotonic()
    with pytest.raises(HostError):
        await aside(0.05, release.wait)
    assert time.monotonic() - began < 5
    release.set()
    assert await aside(5.0, int, "7") == 7
    with pytest.raises(ValueError, match="invalid"):
        await aside(5.0, int, "seven")


class Hypervisor:
    """A monitor that greets and answers when it is told to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.awake = asyncio.Event()
        self.callers = 0

    async def serve(self) -> asyncio.Server:
        self._path.parent.mkdir(parents=True)
        return await asyncio.start_unix_server(self._answer, self._path)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.callers += 1
        await self.awake.wait()
        writer.write(b'{"QMP": {}}\r\n{"return": {}}\r\n{"event": "RESET"}\r\n{"return": {"actual": 5}}\r\n')
        writer.write(b'{"error": {"class": "GenericError"}}\r\n')
        await writer.drain()
        writer.close()


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(**dict.fromkeys(("state", "run", "log", "cache", "images", "settings"), tmp_path))


QUESTIONS = [("query-balloon", None), ("query-nothing", None)]


def running(pid: int) -> Live:
    return Live(id=1, xml="", summary=Summary(), pid=pid)


async def test_a_silent_guest_is_asked_once_until_it_answers(folders: Folders) -> None:
    hypervisor = Hypervisor(folders.query("one"))
    pulse, live = Pulse(folders), running(os.getpid())
    async with await hypervisor.serve():
        with pytest.raises(NotResponding, match="within"):
            await pulse.ask("one", live, QUESTIONS, patience=0.05)
        for _ in range(20):
            with pytest.raises(NotResponding, match="asked before"):
                await pulse.ask("one", live, QUESTIONS, patience=5.0)
        assert hypervisor.callers == 1
        hypervisor.awake.set()
        async with asyncio.timeout(10):
            while pulse.silent("one", live):
                await asyncio.sleep(0.01)
        assert await pulse.ask("one", live, QUESTIONS) == [{"actual": 5}, None]
        together = await asyncio.gather(*(pulse.ask("one", live, QUESTIONS) for _ in range(10)))
        assert together == [[{"actual": 5}, None]] * 10
    with pytest.raises(HypervisorError):
        await pulse.ask("two", live, QUESTIONS)


async def test_a_question_whose_asker_went_away_is_nobodys_fault(folders: Folders) -> None:
    hypervisor = Hypervisor(folders.query("one"))
    pulse, live = Pulse(folders), running(os.getpid())
    async with await hypervisor.serve():
        first = asyncio.create_task(pulse.ask("one", live, QUESTIONS))
        async with asyncio.timeout(10):
            while not hypervisor.callers:
                await asyncio.sleep(0.01)
        first.cancel()
        second = asyncio.create_task(pulse.ask("one", live, QUESTIONS, patience=10.0))
        await asyncio.sleep(0.05)
        assert hypervisor.callers == 1
        hypervisor.awake.set()
        assert await second == [{"actual": 5}, None]


FILTERS: list[tuple[int, Callable[[DomainInfo], bool]]] = [
    (0, lambda _: True),
    (StatsFilter.ACTIVE, lambda info: info.active),
    (StatsFilter.ACTIVE | StatsFilter.INACTIVE, lambda _: True),
    (StatsFilter.PAUSED | StatsFilter.SHUTOFF, lambda info: info.state in (State.PAUSED, State.SHUTOFF)),
    (StatsFilter.ACTIVE | StatsFilter.TRANSIENT, lambda info: info.active and not info.persistent),
    (StatsFilter.OTHER, lambda info: info.state is State.CRASHED),
]


@pytest.mark.parametrize(("only", "wanted"), FILTERS)
def test_a_filter_wants_one_of_each_kind(only: int, wanted: Callable[[DomainInfo], bool]) -> None:
    for state in (State.RUNNING, State.PAUSED, State.SHUTOFF, State.CRASHED):
        for persistent in (True, False):
            number = None if state is State.SHUTOFF else 1
            info = DomainInfo(uuid="", name="", state=state, id=number, persistent=persistent)
            assert StatsFilter(only).wants(info) is wanted(info)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("state.state", Kind.INT),
        ("vcpu.12.state", Kind.INT),
        ("vcpu.12.time", Kind.ULLONG),
        ("block.count", Kind.UINT),
        ("block.3.name", Kind.STRING),
        ("block.3.backingIndex", Kind.UINT),
        ("net.0.rx.bytes", Kind.ULLONG),
        ("iothread.1.poll-grow", Kind.UINT),
        ("dirtyrate.vcpu.0.megabytes_per_second", Kind.LLONG),
        ("vcpu.0.exits.sum", None),
    ],
)
def test_a_counter_has_libvirts_type(name: str, kind: Kind | None) -> None:
    assert kind_of(name) is kind


SCHEMAS = [
    {
        "provider": "kvm",
        "target": "vcpu",
        "stats": [
            {"name": "exits", "type": "cumulative"},
            {"name": "guest_mode", "type": "instant", "unit": "boolean"},
            {"name": "halt_wait_hist", "type": "log2-histogram"},
        ],
    },
    {"provider": "kvm", "target": "vm", "stats": [{"name": "max_mmu_page_hash_collisions", "type": "peak"}]},
]


def test_what_kvm_counts_ends_in_what_kind_of_number_it_is() -> None:
    """No machine that this is tested on has KVM: the answers are as QEMU's documentation has them."""
    found = [
        {"name": "exits", "value": 7},
        {"name": "guest_mode", "value": True},
        {"name": "halt_wait_hist", "value": [1, 2]},
    ]
    replies = [SCHEMAS, [{"provider": "kvm", "qom-path": "/machine/cpu[0]", "stats": found}]]
    assert list(kvm.counted(replies, "vcpu")) == [("/machine/cpu[0]", [("exits.sum", 7), ("guest_mode.cur", True)])]
    peak = {"provider": "kvm", "stats": [{"name": "max_mmu_page_hash_collisions", "value": 3}]}
    assert list(kvm.counted([SCHEMAS, [peak]], "vm")) == [("", [("max_mmu_page_hash_collisions.max", 3)])]
    assert list(kvm.counted([None, None], "vm")) == []
    assert list(kvm.counted([], "vm")) == []


OLD = "<read_bytes_sec>10</read_bytes_sec><read_bytes_sec_max>20</read_bytes_sec_max><size_iops_sec>3</size_iops_sec>"


BYTES = {"read_bytes_sec": 10, "read_bytes_sec_max": 20}
SHARED = {"total_iops_sec": 99, "total_iops_sec_max_length": 5, "group_name": "g"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"total_iops_sec": 7},
            {"total_iops_sec": 7, "read_bytes_sec": 10, "read_bytes_sec_max": 20, "size_iops_sec": 3},
        ),
        ({"write_bytes_sec": 9, "total_bytes_sec_max": 0}, {"write_bytes_sec": 9, "size_iops_sec": 3}),
        ({"group_name": "g"}, SHARED),
        ({"group_name": "g", "total_iops_sec_max_length": 0}, SHARED | {"total_iops_sec_max_length": 1}),
    ],
)
def test_limits_that_are_not_told_stay_and_a_group_shares_them(given: Params, expected: dict[str, object]) -> None:
    shared = "<total_iops_sec>99</total_iops_sec><group_name>g</group_name>"
    shared += "<total_iops_sec_max_length>5</total_iops_sec_max_length>"
    disks = "".join(
        f"<disk type='file'><source file='/{dev}'/><target dev='{dev}' bus='virtio'/><iotune>{limits}</iotune></disk>"
        for dev, limits in (("vda", OLD), ("vdb", shared))
    )
    text = "<domain type='qemu'><name>a</name><memory>1</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>"
    domain = parse_domain(f"{text}<devices>{disks}</devices></domain>")
    throttle.Limiting("vda", given)(domain)
    found = [
        {name: value for name, value in throttle.params(disk.iotune).items() if value} for disk in domain.devices.disks
    ]
    assert found[0] == expected
    if "group_name" in given:
        assert found[1] == expected
