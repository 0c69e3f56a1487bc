"""Pools that need more of the kernel: LVM, thin volumes, NFS, iSCSI and the disks of a SCSI host."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from vmherd.api.aio import Host, Pool, connect
from vmherd.errors import NotSupported, VmherdError

pytestmark = [pytest.mark.kernel("device-mapper, NFS and iSCSI"), pytest.mark.root]

MIB = 1 << 20
#: Nobody else makes device nodes in the guest, or writes down which devices are LVM's; the rest is for speed.
_LVM = """\
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 reserved_stack = 0 reserved_memory = 0 }
devices { use_devicesfile = 0 scan_lvs = 0 obtain_device_list_from_udev = 0 filter = ["a|^/dev/loop|", "r|.*|"] }
backup { backup = 0 archive = 0 }
global { thin_check_executable = "" event_activation = 0 use_lvmpolld = 0 }
"""


def needs(*tools: str, modules: str = "") -> None:
    """Skip a test where a program or a module of the kernel is lacking."""
    lacking = [tool for tool in tools if not shutil.which(tool)]
    if lacking:
        pytest.skip(f"needs {', '.join(lacking)}")
    for module in modules.split():
        if subprocess.run(["modprobe", module], capture_output=True, check=False).returncode:
            pytest.skip(f"needs the kernel's {module}")


def run(*argv: object) -> str:
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    """A disk of 256 MiB."""
    needs("losetup", modules="loop")
    image = tmp_path / "disk"
    with image.open("xb") as file:
        file.truncate(256 * MIB)
    device = run("losetup", "--find", "--show", image).strip()
    yield device
    run("losetup", "--detach", device)


@pytest.fixture
def lvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("pvcreate", "lvcreate", "thin_check", modules="dm-mod dm-thin-pool dm-snapshot")
    (tmp_path / "lvm").mkdir()
    (tmp_path / "lvm/lvm.conf").write_text(_LVM)
    monkeypatch.setenv("LVM_SYSTEM_DIR", str(tmp_path / "lvm"))


def volume(name: str, size: int, more: str = "") -> str:
    return f"<volume><name>{name}</name><capacity>{size * MIB}</capacity>{more}</volume>"


def fill(path: str, letter: bytes) -> None:
    with open(path, "r+b", buffering=0) as file:
        file.write(letter * MIB)
        os.fsync(file.fileno())


def begins_with(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read(4)


@pytest.mark.timeout(300)
async def test_a_volume_group_its_volumes_snapshots_and_thin_ones(disk: str, lvm: None, tmp_path: Path) -> None:
    async with await connect(f"qemu:///embed?root={tmp_path / 'root'}") as host:
        source = f"<source><device path='{disk}'/><name>vg</name></source>"
        pool = await host.pools.define(f"<pool type='logical'><name>p</name>{source}</pool>")
        await pool.start(build=True)
        assert f"<device path='{disk}'/>" in await host.pools.sources("logical")
        await pool.create_volume(volume("plain", 16))
        fill("/dev/vg/plain", b"a")
        shot = await pool.create_volume(volume("shot", 16, "<backingStore><path>/dev/vg/plain</path></backingStore>"))
        fill("/dev/vg/plain", b"b")
        assert begins_with("/dev/vg/shot") == b"aaaa"
        with pytest.raises(NotSupported):
            await shot.wipe()
        await shot.delete()
        await _thin(pool)
        assert [each.name for each in await pool.volumes()] == ["plain", "sparse", "tshot"]
        assert (await pool.info()).capacity == 252 * MIB
        await pool.stop()
        assert not os.path.exists("/dev/vg/plain")
        await pool.delete()
        assert run("wipefs", "--no-act", disk) == ""


async def _thin(pool: Pool) -> None:
    """A sparse volume is a thin one where there is a thin pool, and so are its snapshots."""
    run("lvcreate", "--yes", "--type", "thin-pool", "-L", "64M", "--name", "thin", "vg")
    sparse = await pool.create_volume(volume("sparse", 1024, "<allocation>0</allocation>"))
    fill("/dev/vg/sparse", b"c")
    assert 0 < (await sparse.info()).allocation < 4 * MIB
    await pool.create_volume(volume("tshot", 1024, "<backingStore><path>/dev/vg/sparse</path></backingStore>"))
    fill("/dev/vg/sparse", b"d")
    assert begins_with("/dev/vg/tshot") == b"cccc"


def test_nothing_is_left_of_a_group_whose_making_is_killed(
    disk: str, lvm: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"qemu:///embed?root={tmp_path / 'root'}"

    async def build() -> None:
        async with await connect(uri) as host:
            source = f"<source><device path='{disk}'/><name>killed</name></source>"
            await (await host.pools.define(f"<pool type='logical'><name>p</name>{source}</pool>")).build()

    async def look() -> None:
        async with await connect(uri) as host:
            await host.pools.find("p")

    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "vgcreate").write_text("#!/bin/sh\nkill -9 $PPID\n")
    (programs / "vgcreate").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    child = os.fork()
    if not child:
        try:
            asyncio.run(build())
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert "LVM2_member" in run("wipefs", "--no-act", disk)
    asyncio.run(look())
    assert run("wipefs", "--no-act", disk) == ""


@contextmanager
def server(*argv: str) -> Iterator[None]:
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        child.kill()  # tgtd does not listen to anything less
        child.wait()


def eventually(*argv: object) -> str:
    """What a program says once its server is there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(AssertionError):
            return run(*argv)
        time.sleep(0.2)
    return run(*argv)


@contextmanager
def exported(folder: Path) -> Iterator[None]:
    """A folder that this host's kernel serves by NFS."""
    needs("exportfs", "rpc.nfsd", "rpc.mountd", "rpcbind", "rpcinfo", modules="nfs nfsd")
    os.makedirs("/var/lib/nfs", exist_ok=True)
    run("mount", "-t", "tmpfs", "own", "/var/lib/nfs")
    for name in ("etab", "rmtab", "state"):
        Path("/var/lib/nfs", name).touch()
    if not os.path.exists("/proc/fs/nfsd/threads"):
        run("mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd")
    with server("rpcbind", "-f"):
        eventually("rpcinfo", "-s")
        with server("rpc.mountd", "-F"):
            run("exportfs", "-o", "rw,no_root_squash,insecure,no_subtree_check,fsid=7", f"127.0.0.1:{folder}")
            run("rpc.nfsd", "2")
            eventually("showmount", "--exports", "127.0.0.1")
            yield
            run("rpc.nfsd", "0")
    run("umount", "/var/lib/nfs")


async def test_a_folder_of_a_server(tmp_path: Path) -> None:
    folder, place = tmp_path / "served", tmp_path / "place"
    folder.mkdir()
    (folder / "old.raw").write_bytes(b"x" * MIB)
    with exported(folder):
        async with await connect(f"qemu:///embed?root={tmp_path / 'root'}") as host:
            await _use_server(host, folder, place)


async def _use_server(host: Host, folder: Path, place: Path) -> None:
    # Version 4 would want the whole of the path to be on file systems that can be served.
    what = f"<host name='127.0.0.1'/><dir path='{folder}'/><format type='nfs'/><protocol ver='3'/>"
    options = "<fs:mount_opts xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'><fs:option name='nolock'/>"
    text = f"<source>{what}</source><target><path>{place}</path></target>{options}</fs:mount_opts>"
    pool = await host.pools.define(f"<pool type='netfs'><name>p</name>{text}</pool>")
    found = await host.pools.sources("netfs", "<source><host name='127.0.0.1'/></source>")
    assert f"<dir path='{folder}'/>" in found
    await pool.start(build=True)
    assert "nfs" in Path("/proc/mounts").read_text()
    assert [each.name for each in await pool.volumes()] == ["old.raw"]
    await pool.create_volume(volume("new.raw", 1))
    assert (folder / "new.raw").stat().st_size == MIB
    await pool.stop()
    assert str(place) not in Path("/proc/mounts").read_text()


async def test_units_of_an_iscsi_target(tmp_path: Path) -> None:
    needs("tgtd", "tgtadm", "iscsiadm", "iscsid", modules="iscsi_tcp sd_mod")
    disk = tmp_path / "unit"
    with disk.open("xb") as file:
        file.truncate(32 * MIB)
    name = "iqn.2026-01.test:kernel"
    Path("/etc/iscsi/initiatorname.iscsi").write_text("InitiatorName=iqn.2026-01.test:host\n")
    with server("tgtd", "-f", "-C", "9", "--iscsi", "portal=127.0.0.1:3262"), server("iscsid", "-f"):
        words = ("tgtadm", "-C", "9", "--lld", "iscsi")
        eventually(*words, "--op", "new", "--mode", "target", "--tid", 1, "-T", name)
        run(*words, "--op", "new", "--mode", "logicalunit", "--tid", 1, "--lun", 1, "-b", disk)
        run(*words, "--op", "bind", "--mode", "target", "--tid", 1, "-I", "ALL")
        async with await connect(f"qemu:///embed?root={tmp_path / 'root'}") as host:
            await _use_target(host, name)


async def _use_target(host: Host, name: str) -> None:
    source = f"<source><host name='127.0.0.1' port='3262'/><device path='{name}'/></source>"
    pool = await host.pools.define(
        f"<pool type='iscsi'><name>p</name>{source}<target><path>/dev/disk/by-path</path></target></pool>"
    )
    asked = "<source><host name='127.0.0.1' port='3262'/></source>"
    assert name in await host.pools.sources("iscsi", asked)
    await pool.start()
    (unit,) = await pool.volumes()
    assert (unit.name, unit.capacity) == ("unit:0:0:1", 32 * MIB)
    fill(unit.path, b"e")
    assert begins_with(unit.path) == b"eeee"
    await pool.stop()
    assert not os.path.exists(unit.path)


async def test_disks_of_a_scsi_host(tmp_path: Path) -> None:
    needs(modules="scsi_debug")
    added = Path("/sys/bus/pseudo/drivers/scsi_debug")
    assert added.exists()
    (host_folder,) = [path for path in Path("/sys/class/scsi_host").iterdir()
                      if (path / "proc_name").read_text().strip() == "scsi_debug"]  # fmt: skip
    source = f"<source><adapter name='{host_folder.name}'/></source><target><path>/dev</path></target>"
    async with await connect(f"qemu:///embed?root={tmp_path / 'root'}") as host:
        pool = await host.pools.create(f"<pool type='scsi'><name>p</name>{source}</pool>")
        (unit,) = await pool.volumes()
        assert (unit.name, unit.capacity) == ("unit:0:0:0", 8 * MIB)
        fill(unit.path, b"f")
        await (await pool.volume(unit.name)).wipe()
        assert begins_with(unit.path) == bytes(4)
        with pytest.raises(VmherdError, match="does not support vol deletion"):
            await (await pool.volume(unit.name)).delete()
        await pool.stop()
