"""The life of volumes over the wire: virsh's streams and flags, daemons that are killed, disks without room."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from daemons import RunningDaemon

from vmherd.api.aio import connect
from vmherd.driver.storage import StorageDriver, WipeAlgorithm
from vmherd.errors import Cancelled, InvalidArgument, InvalidState, SecretNotFound, VmherdError

MIB = 1 << 20


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[RunningDaemon]:
    with RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path / 'root'}") as running:
        running.virsh("pool-create-as", "p", "dir", "--target", str(tmp_path / "pool"), "--build")
        yield running


def uri(daemon: RunningDaemon) -> str:
    return f"qemu+unix:///system?socket={daemon.run / 'libvirt-sock'}"


def with_holes(path: Path) -> Path:
    """A file of 10 GiB with 3 MiB of data."""
    with path.open("wb") as file:
        for at in (0, 5 << 30, (10 << 30) - MIB):
            file.seek(at)
            file.write(os.urandom(MIB))
    return path


def same(one: Path, other: Path) -> bool:
    """Whether the data of two files with holes is the same."""
    with one.open("rb") as first, other.open("rb") as second:
        for at in (0, MIB, 5 << 30, (10 << 30) - MIB):
            first.seek(at)
            second.seek(at)
            if first.read(MIB) != second.read(MIB):
                return False
    return one.stat().st_size == other.stat().st_size


def test_virsh_moves_the_data_of_a_file_with_holes_and_nothing_else(daemon: RunningDaemon, tmp_path: Path) -> None:
    file, back = with_holes(tmp_path / "file"), tmp_path / "back"
    daemon.virsh("vol-create-as", "p", "a", "1M", "--allocation", "0")
    began = time.monotonic()
    assert daemon.virsh("vol-upload", "a", str(file), "--pool", "p", "--sparse") == ""
    assert daemon.virsh("vol-download", "a", str(back), "--pool", "p", "--sparse") == ""
    assert time.monotonic() - began < 10, "10 GiB take far longer"
    volume = tmp_path / "pool/a"
    assert same(file, volume)
    assert same(file, back)
    assert volume.stat().st_blocks < 10 * MIB // 512
    assert "10.00 GiB" in daemon.virsh("vol-info", "a", "--pool", "p")
    assert "Physical:       10.00 GiB" in daemon.virsh("vol-info", "a", "--pool", "p", "--physical")


def test_virsh_moves_parts_of_volumes(daemon: RunningDaemon, tmp_path: Path) -> None:
    file, back = tmp_path / "file", tmp_path / "back"
    file.write_bytes(b"0123456789" * MIB)
    daemon.virsh("vol-create-as", "p", "a", "10M")
    daemon.virsh("vol-upload", "a", str(file), "--pool", "p")
    assert (tmp_path / "pool/a").read_bytes() == file.read_bytes()
    daemon.virsh("vol-download", "a", str(back), "--pool", "p", "--offset", "5", "--length", "7")
    assert back.read_bytes() == b"5678901"
    file.write_bytes(b"abc")
    daemon.virsh("vol-upload", "a", str(file), "--pool", "p", "--offset", "1", "--length", "3")
    assert (tmp_path / "pool/a").read_bytes()[:6] == b"0abc45"
    assert "No space left" in daemon.virsh("vol-upload", "a", str(file), "--pool", "p", "--length", "2")


def test_virsh_makes_changes_and_removes_volumes(daemon: RunningDaemon, tmp_path: Path) -> None:
    def ask(*words: str) -> str:
        return daemon.virsh(*words, "--pool", "p")

    pool = tmp_path / "pool"
    daemon.virsh("vol-create-as", "p", "a.qcow2", "8M", "--format", "qcow2", "--prealloc-metadata")
    assert (pool / "a.qcow2").stat().st_size > 8 * MIB, "all of its tables are there"
    assert "metadata preallocation" in daemon.virsh("vol-create-as", "p", "x", "8M", "--prealloc-metadata")
    daemon.virsh("vol-create-as", "p", "b", "8M")
    assert "cannot share blocks" in ask("vol-clone", "b", "c", "--reflink") or (pool / "c").exists()
    assert "successfully changed" in ask("vol-resize", "b", "1M", "--delta")
    assert "successfully changed" in ask("vol-resize", "b", "20M", "--allocate")
    assert (pool / "b").stat().st_blocks * 512 >= 20 * MIB
    assert "can't shrink capacity below existing allocation" in ask("vol-resize", "b", "1M", "--shrink")
    for algorithm in ("zero", "nnsa", "dod", "bsi", "schneier", "pfitzner7", "random", "trim"):
        assert "wiped" in ask("vol-wipe", "b", "--algorithm", algorithm)
    assert "20.00 MiB" in ask("vol-info", "b")
    path = str(pool / "b")
    assert (daemon.virsh("vol-name", path), daemon.virsh("vol-pool", path), ask("vol-key", "b")) == ("b", "p", path)
    assert "failed to get vol" in daemon.virsh("vol-name", str(tmp_path / "elsewhere"))
    assert "deleted" in ask("vol-delete", "a.qcow2", "--delete-snapshots")
    assert sorted(os.listdir(pool)) == ["b"]


LUKS = """<volume><name>{}</name><capacity unit='MiB'>4</capacity><allocation>0</allocation><target>
<format type='{}'/><encryption format='luks'><secret type='passphrase' uuid='{}'/></encryption></target></volume>"""
PLAIN = "<volume><name>{}</name><capacity unit='MiB'>4</capacity><target><format type='{}'/></target></volume>"
SECRET = "<secret><usage type='volume'><volume>{}</volume></usage></secret>"


async def test_an_encrypted_volume_is_made_and_copied(daemon: RunningDaemon, tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    async with await connect(uri(daemon)) as host:
        here = await host.pools.find("p")
        secret = await host.secrets.define(SECRET.format(pool / "locked"))
        await secret.set_value(b"passphrase")
        await here.create_volume(LUKS.format("made", "raw", secret.uuid))
        # One whose key is made in less time than is safe.
        words = ["--object", "secret,id=s,data=passphrase", "-o", "key-secret=s,iter-time=10", pool / "locked", "4M"]
        while subprocess.run(["qemu-img", "create", "-q", "-f", "luks", *words], capture_output=True).returncode:
            pass
        await here.refresh()
        locked = await here.volume("locked")
        for each in (locked, await here.volume("made")):
            assert "<encryption format='luks'/>" in await each.xml()
            assert (await each.info()).capacity == 4 * MIB
        await here.create_volume(PLAIN.format("open", "qcow2"), source=locked)
        assert (await (await here.volume("open")).info()).capacity == 4 * MIB
        await secret.undefine()
        with pytest.raises(SecretNotFound):
            await here.create_volume(PLAIN.format("never", "raw"), source=locked)
        assert not (pool / "never").exists()


def _upload(daemon: RunningDaemon, folder: Path) -> subprocess.Popen[bytes]:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    sender = subprocess.Popen(["virsh", "-c", uri(daemon), "vol-upload", "a", str(pipe), "--pool", "p"])
    with pipe.open("wb") as file:
        file.write(b"after" * 200_000)
        _wait(lambda: any(each.stat().st_size for each in (folder / "pool").glob(".vmherd*")))
    return sender


def _clone(daemon: RunningDaemon, folder: Path) -> subprocess.Popen[bytes]:
    (folder / "pool/source").write_bytes(os.urandom(MIB) * 300)
    daemon.virsh("pool-refresh", "p")
    words = ("vol-create-from", "p", str(folder / "copy.xml"), "source", "--inputpool", "p")
    (folder / "copy.xml").write_text(PLAIN.format("copy", "qcow2"))
    return subprocess.Popen(["virsh", "-c", uri(daemon), *words])


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("begin", [_upload, _clone])
def test_a_daemon_that_is_killed_leaves_no_half_volume(
    daemon: RunningDaemon, tmp_path: Path, begin: Callable[[RunningDaemon, Path], subprocess.Popen[bytes]]
) -> None:
    pool = tmp_path / "pool"
    daemon.virsh("vol-create-as", "p", "a", "1M")
    (pool / "a").write_bytes(b"before" * 100)
    client = begin(daemon, tmp_path)
    _wait(lambda: bool(list(pool.glob(".vmherd*"))))
    daemon.signal(9)
    daemon.wait()
    client.wait()
    daemon.start()
    _wait(lambda: "a" in daemon.virsh("vol-list", "p") and not list(pool.glob(".vmherd*")))
    assert (pool / "a").read_bytes() == b"before" * 100
    assert not (pool / "copy").exists()
    assert "deleted" in daemon.virsh("vol-delete", "a", "--pool", "p"), "nobody is at work on it any more"


async def test_a_client_that_goes_away_leaves_the_volume_as_it_was(daemon: RunningDaemon, tmp_path: Path) -> None:
    daemon.virsh("vol-create-as", "p", "a", "1M", "--allocation", "0")
    async with await connect(uri(daemon)) as host:
        storage = await host._driver.resource(StorageDriver)
        pool = (await storage.pool_find("p")).uuid
        content = await storage.volume_upload(pool, "a", sparse=True)
        await content.write(b"x" * MIB)
        assert "busy" in await asyncio.to_thread(daemon.virsh, "vol-delete", "a", "--pool", "p")
        with pytest.raises(InvalidArgument):
            await content.skip(-1)
            await content.finish()
        content = await storage.volume_upload(pool, "a")
        await content.write(b"x" * MIB)
    _wait(lambda: "deleted" in daemon.virsh("vol-delete", "a", "--pool", "p"))
    assert os.listdir(tmp_path / "pool") == []
    with pytest.raises(VmherdError):
        await content.write(b"x")


async def test_what_one_client_has_begun_another_one_sees_and_ends(daemon: RunningDaemon, tmp_path: Path) -> None:
    daemon.virsh("vol-create-as", "p", "a", "64M")
    (tmp_path / "pool/a").write_bytes(b"data" * 16 * MIB)
    async with await connect(uri(daemon)) as one, await connect(uri(daemon)) as other:
        storage = await other._driver.resource(StorageDriver)
        volume = await (await one.pools.find("p")).volume("a")
        pool = volume.pool_uuid
        assert await storage.volume_job(pool, "a") is None
        begun = await one._driver.resource(StorageDriver)
        work = asyncio.create_task(begun.volume_wipe(pool, "a", algorithm=WipeAlgorithm.PFITZNER33))
        while (job := await storage.volume_job(pool, "a")) is None or not job.total:
            await asyncio.sleep(0.02)
        assert job.operation == "wipe"
        assert "asynchronous jobs running" in await asyncio.to_thread(daemon.virsh, "pool-destroy", "p")
        await storage.volume_abort(pool, "a")
        with pytest.raises(Cancelled):
            await work
        with pytest.raises(InvalidState):
            await storage.volume_abort(pool, "a")
        assert [info.name for info in await storage.volume_list(pool)] == ["a"]


#: Runs with a small file system of its own at its first argument.
SCRIPT = """
import asyncio, os, sys
from pathlib import Path
from vmherd.driver.uri import parse_uri
from vmherd.errors import HostError, OperationFailed
from vmherd.resources.storage.driver import LocalStorage

def volume(name, kind="raw", size=1, allocation=0):
    return (f"<volume><name>{name}</name><capacity unit='MiB'>{size}</capacity><allocation unit='MiB'>{allocation}"
            f"</allocation><target><format type='{kind}'/></target></volume>")

async def upload(driver, pool, name, data):
    content = await driver.volume_upload(pool, name)
    try:
        await content.write(data)
        await content.finish()
    finally:
        await content.close()

async def main(root, small):
    driver = await LocalStorage.open(parse_uri(f"qemu:///embed?root={root}"))
    pools = []
    for name, path in (("big", root), ("small", small)):
        xml = f"<pool type='dir'><name>{name}</name><target><path>{path}</path></target></pool>"
        pools.append((await driver.pool_create(xml)).uuid)
    big, pool = pools
    (root / "source").write_bytes(os.urandom(6 << 20))
    await driver.pool_refresh(big)
    await driver.volume_create(pool, volume("a"))
    await upload(driver, pool, "a", b"before")
    for work in (
        driver.volume_create(pool, volume("b", size=9, allocation=9)),
        driver.volume_create(pool, volume("c"), source=(big, "source")),
        driver.volume_create(pool, volume("d", kind="qcow2"), source=(big, "source")),
        driver.volume_resize(pool, "a", 9 << 20, allocate=True),
        upload(driver, pool, "a", os.urandom(9 << 20)),
    ):
        try:
            await work
        except (HostError, OperationFailed) as problem:
            assert "space left" in str(problem), problem
        else:
            raise AssertionError("a full disk went unnoticed")
    assert os.listdir(small) == ["a"], os.listdir(small)
    await driver.volume_delete(pool, "a")
    await driver.volume_create(pool, volume("b", size=3, allocation=3))
    await driver.close()
    print("well")

asyncio.run(main(*map(Path, sys.argv[1:])))
"""


def test_a_full_disk_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    alone = ["unshare", "--mount", "--user", "--map-root-user", "--"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("this host allows no mount namespaces")
    (tmp_path / "small").mkdir()
    steps = 'mount -t tmpfs -o size=4m small "$3" && exec "$0" -c "$1" "$2" "$3"'
    argv = [*alone, "sh", "-c", steps, sys.executable, SCRIPT, str(tmp_path), str(tmp_path / "small")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100)
    assert done.stdout == "well\n", done.stderr
