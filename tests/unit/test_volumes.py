"""Volumes in a folder: streams, copies, wiping, hostile names and images."""

from __future__ import annotations

import asyncio
import os
import struct
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vmherd.driver.storage import StorageDriver, WipeAlgorithm
from vmherd.driver.uri import parse_uri
from vmherd.errors import (
    AlreadyExists,
    Busy,
    Cancelled,
    Denied,
    DocumentError,
    HostError,
    InvalidArgument,
    OperationFailed,
    OperationUnsupported,
    Unsupported,
    VmherdError,
    VolumeNotFound,
)
from vmherd.events import PoolRefreshEvent
from vmherd.resources.storage.driver import LocalStorage

POOL = "<pool type='dir'><name>p</name><target><path>{}</path></target></pool>"
MIB = 1 << 20


class Pool:
    """An active pool, and short words for what is done in it."""

    def __init__(self, driver: StorageDriver, uuid: str, folder: Path) -> None:
        self.driver = driver
        self.uuid = uuid
        self.folder = folder

    async def make(self, name: str, size: int, *, kind: str = "raw", more: str = "", allocation: int = 0) -> None:
        xml = (
            f"<volume><name>{name}</name><capacity>{size}</capacity><allocation>{allocation}</allocation>"
            f"<target><format type='{kind}'/></target>{more}</volume>"
        )
        await self.driver.volume_create(self.uuid, xml)

    async def clone(self, source: str, name: str, *, kind: str = "raw", size: int = 0, reflink: bool = False) -> None:
        xml = (
            f"<volume><name>{name}</name><capacity>{size}</capacity><allocation>0</allocation>"
            f"<target><format type='{kind}'/></target></volume>"
        )
        await self.driver.volume_create(self.uuid, xml, source=(self.uuid, source), reflink=reflink)

    async def refresh(self) -> None:
        await self.driver.pool_refresh(self.uuid)

    async def names(self) -> list[str]:
        return [info.name for info in await self.driver.volume_list(self.uuid)]


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[Pool]:
    driver = await LocalStorage.open(parse_uri(f"qemu:///embed?root={tmp_path / 'root'}"))
    folder = tmp_path / "pool"
    folder.mkdir()
    info = await driver.pool_create(POOL.format(folder))
    yield Pool(driver, info.uuid, folder)
    assert not list(folder.glob(".vmherd*")), "nothing half is left"
    await driver.close()


def image(path: Path, *words: str) -> None:
    subprocess.run(["qemu-img", "create", "-q", *words[:-1], str(path), words[-1]], check=True, capture_output=True)


async def fill(pool: Pool, name: str, *parts: bytes | int, offset: int = 0, length: int = 0) -> None:
    content = await pool.driver.volume_upload(pool.uuid, name, offset=offset, length=length, sparse=True)
    try:
        for part in parts:
            await (content.skip(part) if isinstance(part, int) else content.write(part))
        await content.finish()
    finally:
        await content.close()


async def read(pool: Pool, name: str, *, offset: int = 0, length: int = 0, sparse: bool = False) -> list[bytes | int]:
    content = await pool.driver.volume_download(pool.uuid, name, offset=offset, length=length, sparse=sparse)
    found: list[bytes | int] = []
    while part := await content.read():
        found.append(part)
    await content.finish()
    return found


@pytest.mark.parametrize("allocation", [0, 4 * MIB])
async def test_what_is_written_is_read(pool: Pool, allocation: int) -> None:
    await pool.make("a", 4 * MIB, allocation=allocation)
    data = os.urandom(MIB)
    events = await pool.driver.events(PoolRefreshEvent)
    await fill(pool, "a", data, 2 * MIB, data[:5])
    assert (await anext(events)).uuid == pool.uuid
    wanted = data + bytes(2 * MIB) + data[:5] + bytes(MIB - 5)
    assert b"".join(await read(pool, "a")) == wanted  # type: ignore[arg-type]
    found = await read(pool, "a", sparse=True)
    assert sum(part for part in found if isinstance(part, int)) >= 2 * MIB
    assert b"".join(bytes(part) if isinstance(part, int) else part for part in found) == wanted
    await fill(pool, "a", b"xy", 3, b"z", offset=10, length=6)
    assert b"".join(await read(pool, "a", offset=8, length=10)) == data[8:10] + b"xy\0\0\0z" + data[16:18]  # type: ignore[arg-type]


async def test_more_than_was_announced_is_refused(pool: Pool) -> None:
    await pool.make("a", MIB)
    with pytest.raises(HostError, match="No space left"):
        await fill(pool, "a", bytes(10), length=9)
    with pytest.raises(HostError, match="No space left"):
        await fill(pool, "a", (1 << 63) - 5, 10)
    assert await read(pool, "a", offset=2 * MIB) == []


async def test_an_upload_that_breaks_off_leaves_the_volume_as_it_was(pool: Pool) -> None:
    await pool.make("a", MIB)
    await fill(pool, "a", b"before")
    content = await pool.driver.volume_upload(pool.uuid, "a")
    for _ in range(20):
        await content.write(b"after" * 100_000)
    guest = subprocess.run(["qemu-io", "-f", "raw", "-c", "write 0 1", pool.folder / "a"], capture_output=True)
    assert b"lock" in guest.stderr, "no guest gets it meanwhile"
    with pytest.raises(Busy, match="'a' is busy with 'upload'"):
        await pool.driver.volume_wipe(pool.uuid, "a")
    with pytest.raises(Busy):
        await pool.driver.volume_download(pool.uuid, "a")
    await content.close()
    assert (await read(pool, "a", length=6)) == [b"before"]


async def test_a_file_is_uploaded_and_saved_by_the_kernel(pool: Pool, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.write(b"begin")
        file.seek(10 << 30)
        file.write(b"end")
    await pool.make("a", 1)
    told: list[tuple[int, int]] = []
    content = await pool.driver.volume_upload(pool.uuid, "a", sparse=True)
    await content.take_from(tmp_path / "file", told=lambda done, total: told.append((done, total)))
    assert told[-1] == ((10 << 30) + 3, (10 << 30) + 3)
    info = await pool.driver.volume_find(pool.uuid, "a")
    assert (info.capacity, info.allocation < MIB) == ((10 << 30) + 3, True)
    content = await pool.driver.volume_download(pool.uuid, "a", sparse=True)
    await content.save_to(tmp_path / "back")
    back = (tmp_path / "back").stat()
    assert (back.st_size, back.st_blocks < 100) == ((10 << 30) + 3, True)


@pytest.mark.parametrize(("kind", "size"), [("raw", 8), ("qcow2", 8), ("vmdk", 4), ("qed", 8), ("vdi", 4)])
async def test_a_clone_has_the_content_in_another_format(pool: Pool, kind: str, size: int) -> None:
    await pool.make("a", 4 * MIB)
    await fill(pool, "a", os.urandom(100_000))
    await pool.clone("a", "b", kind=kind, size=size * MIB)
    await pool.clone("b", "c")
    assert (await pool.driver.volume_find(pool.uuid, "b")).capacity == size * MIB
    assert (pool.folder / "c").read_bytes() == (pool.folder / "a").read_bytes() + bytes((size - 4) * MIB)


async def test_a_copy_of_an_image_with_a_base_stands_on_it_if_that_is_asked_for(pool: Pool) -> None:
    base = "<backingStore><path>{}</path><format type='qcow2'/></backingStore>"
    await pool.make("base", MIB, kind="qcow2")
    await pool.make("top", MIB, kind="qcow2", more=base.format(pool.folder / "base"))
    xml = await pool.driver.volume_xml(pool.uuid, "top")
    copied = (pool.uuid, "top")
    await pool.driver.volume_create(pool.uuid, xml.replace("<name>top", "<name>copy"), source=copied)
    assert f"<path>{pool.folder / 'base'}</path>" in await pool.driver.volume_xml(pool.uuid, "copy")
    await pool.clone("top", "whole", kind="qcow2")
    assert "backingStore" not in await pool.driver.volume_xml(pool.uuid, "whole")
    other = base.format(pool.folder / "whole")
    with pytest.raises(OperationUnsupported, match="different backing store"):
        xml = f"<volume><name>x</name><target><format type='qcow2'/></target>{other}</volume>"
        await pool.driver.volume_create(pool.uuid, xml, source=copied)


async def test_a_format_that_cannot_grow_is_refused_before_the_work(pool: Pool) -> None:
    await pool.make("a", MIB)
    with pytest.raises(Unsupported, match="cannot be larger"):
        await pool.clone("a", "b", kind="vmdk", size=2 * MIB)


@pytest.mark.parametrize(
    ("algorithm", "last"),
    [(WipeAlgorithm.ZERO, 0), (WipeAlgorithm.DOD, 0xFF), (WipeAlgorithm.BSI, 0x7F), (WipeAlgorithm.NNSA, 0)],
)
async def test_a_wipe_leaves_its_last_pattern(pool: Pool, algorithm: WipeAlgorithm, last: int) -> None:
    await pool.make("a", 5 * MIB, allocation=5 * MIB)
    (pool.folder / "a").write_bytes(b"secret" * MIB)
    await pool.driver.volume_wipe(pool.uuid, "a", algorithm=algorithm)
    assert (pool.folder / "a").read_bytes() == bytes([last]) * 6 * MIB


@pytest.mark.parametrize("algorithm", WipeAlgorithm)
async def test_a_wipe_overwrites_what_there_is_and_nothing_else(pool: Pool, algorithm: WipeAlgorithm) -> None:
    await pool.make("a", 1 << 30)
    await fill(pool, "a", b"secret" * 1000, offset=12345)
    await pool.driver.volume_wipe(pool.uuid, "a", algorithm=algorithm)
    info = await pool.driver.volume_find(pool.uuid, "a")
    assert info.capacity == 1 << 30
    assert info.allocation < MIB, "holes stay"
    assert b"secret" not in b"".join(await read(pool, "a", length=MIB))  # type: ignore[arg-type]


async def test_what_is_in_use_is_left_alone(pool: Pool) -> None:
    await pool.make("a", MIB, kind="qcow2")
    socket = pool.folder.parent / "sock"
    words = [
        *("--blockdev", f"file,node-name=f,filename={pool.folder / 'a'}", "--blockdev", "qcow2,node-name=q,file=f"),
        *("--nbd-server", f"addr.type=unix,addr.path={socket}", "--export", "nbd,id=e,node-name=q,writable=on"),
    ]
    guest = subprocess.Popen(["qemu-storage-daemon", *words])
    try:
        while not socket.exists():
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        for work in (
            pool.driver.volume_delete(pool.uuid, "a"),
            pool.driver.volume_wipe(pool.uuid, "a"),
            pool.driver.volume_resize(pool.uuid, "a", 2 * MIB),
            pool.driver.volume_upload(pool.uuid, "a"),
            pool.clone("a", "b"),
        ):
            with pytest.raises(Busy, match="in use"):
                await work
        assert b"".join(await read(pool, "a")).startswith(b"QFI"), "reading harms nobody"  # type: ignore[arg-type]
    finally:
        guest.terminate()
        guest.wait()
    await pool.driver.volume_resize(pool.uuid, "a", 2 * MIB)
    await pool.driver.volume_delete(pool.uuid, "a")


async def test_a_work_is_seen_and_ended(pool: Pool) -> None:
    await pool.make("a", 64 * MIB, allocation=64 * MIB)
    before = (pool.folder / "a").read_bytes()
    work = asyncio.create_task(pool.driver.volume_wipe(pool.uuid, "a", algorithm=WipeAlgorithm.PFITZNER33))
    while (job := await pool.driver.volume_job(pool.uuid, "a")) is None or not job.total:
        await asyncio.sleep(0.01)
    assert (job.operation, job.total) == ("wipe", 33 * 64 * MIB)
    await pool.driver.volume_abort(pool.uuid, "a")
    with pytest.raises(Cancelled):
        await work
    assert await pool.driver.volume_job(pool.uuid, "a") is None
    assert len((pool.folder / "a").read_bytes()) == len(before)


async def test_a_copy_that_is_cancelled_leaves_nothing(pool: Pool) -> None:
    await pool.make("a", 600 * MIB, allocation=0)
    (pool.folder / "a").write_bytes(os.urandom(MIB) * 200)
    work = asyncio.create_task(pool.clone("a", "b", kind="qcow2"))
    while not list(pool.folder.glob(".vmherd*")):
        await asyncio.sleep(0.001)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert os.listdir(pool.folder) == ["a"]


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "a\nb", "\x1b[2J", "x" * 256, ".vmherd-new-x", "\udcff"])
async def test_a_name_cannot_lead_elsewhere(pool: Pool, name: str) -> None:
    with pytest.raises(VmherdError):
        await pool.make(name, 1)
    assert os.listdir(pool.folder) == []


async def test_links_and_odd_files_lead_nowhere(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    (pool.folder / "out").symlink_to(tmp_path / "secret")
    (pool.folder / "inside").symlink_to("real")
    (pool.folder / "real").write_bytes(b"image")
    os.mkfifo(pool.folder / "fifo")
    (pool.folder / "bad\udcff").touch()
    (pool.folder / "bad\x1b").touch()
    await pool.refresh()
    assert await pool.names() == ["inside", "out", "real"]
    assert await read(pool, "inside") == [b"image"]
    for work in (
        read(pool, "out"),
        fill(pool, "out", b"x"),
        pool.driver.volume_wipe(pool.uuid, "out"),
        pool.driver.volume_resize(pool.uuid, "out", 100),
        pool.clone("out", "copy"),
    ):
        with pytest.raises(Denied, match="leads out of its pool"):
            await work
    await pool.driver.volume_delete(pool.uuid, "out")
    assert (tmp_path / "secret").read_text() == "mine"
    with pytest.raises(AlreadyExists):
        await pool.make("fifo", 1)


async def test_an_image_cannot_make_us_read_what_is_in_no_pool(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"s" * MIB)
    folder = pool.folder
    image(folder / "base", "-f", "raw", "1M")
    image(folder / "good", "-f", "qcow2", "-b", "base", "-F", "raw", "1M")
    image(folder / "steals", "-f", "qcow2", "-u", "-b", str(tmp_path / "secret"), "-F", "raw", "1M")
    image(folder / "climbs", "-f", "qcow2", "-u", "-b", "../secret", "-F", "raw", "1M")
    image(folder / "asks", "-f", "qcow2", "-u", "-b", 'json:{"file.filename":"/etc/passwd"}', "-F", "raw", "1M")
    image(folder / "itself", "-f", "qcow2", "-u", "-b", "itself", "-F", "qcow2", "1M")
    image(folder / "probes", "-f", "qcow2", "-u", "-b", "good", "-F", "qcow2", "1M")
    told = (folder / "probes").read_bytes()
    (folder / "probes").write_bytes(told.replace(b"\xe2\x79\x2a\xca", b"\x01\x02\x03\x04"))
    image(folder / "elsewhere", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data'},data_file_raw=on", "1M")
    (folder / "flat").write_text(f'# Disk DescriptorFile\nRW 2048 FLAT "{tmp_path / "secret"}" 0\n')
    await pool.refresh()
    for name in ("steals", "climbs", "asks", "itself", "probes", "elsewhere"):
        with pytest.raises((Denied, OperationFailed)):
            await pool.clone(name, "copy")
    await pool.clone("good", "copy")
    await pool.clone("flat", "flat-copy")
    assert (folder / "flat-copy").read_bytes() == (folder / "flat").read_bytes(), "what looks raw is raw"


async def test_lies_in_headers_are_harmless(pool: Pool) -> None:
    qcow = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 1 << 60, 1 << 31, 63, 1 << 63, 9, 1 << 31, 8, 8, 1 << 31, 1, 8)
    for number, head in enumerate(
        (
            qcow,
            qcow[:30],
            b"QFI\xfb",
            b"LUKS\xba\xbe\0\1" + b"\xff" * 500,
            b"QED\0" + b"\xff" * 99,
            b"KDMV" + b"\xff" * 99,
            b"conectix" + b"\xff" * 30,
        )
    ):
        (pool.folder / str(number)).write_bytes(head)
    await pool.refresh()
    assert len(await pool.names()) == 7
    for number in range(7):
        await pool.driver.volume_xml(pool.uuid, str(number))
        with pytest.raises(VmherdError):
            await pool.clone(str(number), "copy", kind="vdi")
    await pool.refresh()
    assert len(await pool.names()) == 7


async def test_sizes_that_cannot_be_are_refused(pool: Pool) -> None:
    with pytest.raises(DocumentError):
        await pool.make("a", 1 << 63)
    with pytest.raises(HostError):
        await pool.make("a", (1 << 63) - 1)
    await pool.make("a", MIB, allocation=MIB)
    with pytest.raises(InvalidArgument, match="more than a volume can have"):
        await pool.driver.volume_resize(pool.uuid, "a", 1 << 63)
    with pytest.raises(InvalidArgument, match="below existing allocation"):
        await pool.driver.volume_resize(pool.uuid, "a", 1, shrink=True)
    with pytest.raises(OperationFailed, match="Not enough space"):
        await pool.driver.volume_resize(pool.uuid, "a", 1 << 60, allocate=True)
    await pool.make("b", MIB)
    with pytest.raises(InvalidArgument, match="unless shrink flag"):
        await pool.driver.volume_resize(pool.uuid, "b", 1)
    await pool.driver.volume_resize(pool.uuid, "b", 1, shrink=True)
    await pool.driver.volume_delete(pool.uuid, "b")
    with pytest.raises(VolumeNotFound):
        await pool.driver.volume_resize(pool.uuid, "b", 1)
    assert os.listdir(pool.folder) == ["a"]


async def test_another_process_sees_what_was_made(pool: Pool, tmp_path: Path) -> None:
    other = await LocalStorage.open(parse_uri(f"qemu:///embed?root={tmp_path / 'root'}"))
    assert await other.volume_list(pool.uuid) == []
    await pool.make("a", MIB)
    assert [info.name for info in await other.volume_list(pool.uuid)] == ["a"]
    await other.volume_delete(pool.uuid, "a")
    assert await pool.names() == []
    await other.close()
