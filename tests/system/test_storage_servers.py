"""Pools behind servers, with real ones: an iSCSI target, a one-node Ceph, ZFS."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from daemons import RunningDaemon
from namespaces import Host as OwnHost
from pools import blank, define, storage_daemon

pytestmark = [pytest.mark.root]

daemon = storage_daemon


def needs(*tools: str) -> pytest.MarkDecorator:
    lacking = [tool for tool in tools if not shutil.which(tool)]
    return pytest.mark.skipif(bool(lacking), reason=f"needs {', '.join(lacking)}")


@contextmanager
def running(own: OwnHost, log: Path, *argv: object) -> Iterator[None]:
    """A server, until the end of the block."""
    with log.open("wb") as file:
        child = subprocess.Popen([*own.words, *map(str, argv)], stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        yield
    finally:
        child.kill()  # tgtd does not listen to anything less
        child.wait()


def eventually(own: OwnHost, *argv: object, patience: float = 30) -> str:
    """What a command says once it works."""
    deadline = time.monotonic() + patience
    while True:
        said = own.run(*argv, check=False)
        if subprocess.run([*own.words, *map(str, argv)], capture_output=True, check=False).returncode == 0:
            return own.run(*argv)
        assert time.monotonic() < deadline, said
        time.sleep(0.1)


def secret(daemon: RunningDaemon, folder: Path, usage: str, value: bytes) -> str:
    """The UUID of a new secret."""
    document = folder / "secret.xml"
    document.write_text(f"<secret private='yes'>{usage}</secret>")
    uuid = daemon.virsh("secret-define", str(document)).split()[1]
    assert "set" in daemon.virsh("secret-set-value", uuid, base64.b64encode(value).decode())
    return uuid


TARGET, INITIATOR = "iqn.2026-01.test:disks", "iqn.2026-01.test:me"
_DIRECT = f"""<pool type='iscsi-direct'><name>p</name><source><host name='127.0.0.1' port='3261'/>
<device path='{TARGET}'/><auth type='chap' username='me'><secret uuid='{{}}'/></auth>
<initiator><iqn name='{INITIATOR}'/></initiator></source></pool>"""


@needs("tgtd", "tgtadm", "iscsi-ls", "qemu-io")
def test_units_of_an_iscsi_target_that_only_qemu_reaches(daemon: RunningDaemon, own: OwnHost, tmp_path: Path) -> None:
    with running(own, tmp_path / "tgtd.log", "tgtd", "-f", "-C", "7", "--iscsi", "portal=127.0.0.1:3261"):
        _target(own, blank(tmp_path / "one", 16), blank(tmp_path / "two", 32))
        usage = "<usage type='iscsi'><target>disks</target></usage>"
        define(daemon, tmp_path, _DIRECT.format(secret(daemon, tmp_path, usage, b"secretsecret")))
        assert "started" in daemon.virsh("pool-start", "p")
        assert "48.00 MiB" in daemon.virsh("pool-info", "p")
        assert daemon.virsh("vol-path", "unit:0:0:1", "p") == f"ip-127.0.0.1:3261-iscsi-{TARGET}-lun-1"
        info = daemon.virsh("vol-info", "unit:0:0:2", "--pool", "p")
        assert "network" in info
        assert "32.00 MiB" in info
        (tmp_path / "one").write_bytes(b"data" * (4 << 20))
        assert "wiped" in daemon.virsh("vol-wipe", "unit:0:0:1", "--pool", "p")
        assert not any((tmp_path / "one").read_bytes())
        assert "is not offered" in daemon.virsh("vol-wipe", "unit:0:0:1", "--pool", "p", "--algorithm", "dod")
        assert "does not support volume creation" in daemon.virsh("vol-create-as", "p", "new", "1M")
        said = daemon.virsh("vol-download", "unit:0:0:1", str(tmp_path / "copy"), "--pool", "p")
        assert "doesn't support volume download" in said
        words = ("--host", "127.0.0.1", "--port", "3261", "--initiator", INITIATOR)
        assert TARGET in daemon.virsh("find-storage-pool-sources-as", "iscsi-direct", *words)
        daemon.virsh("secret-set-value", daemon.virsh("secret-list").split()[-3], base64.b64encode(b"wrong").decode())
        assert "Authentication failure" in daemon.virsh("pool-refresh", "p")
    assert "Connection refused" in daemon.virsh("pool-refresh", "p")
    assert "destroyed" in daemon.virsh("pool-destroy", "p")


def _target(own: OwnHost, *units: Path) -> None:
    words = ("tgtadm", "-C", "7", "--lld", "iscsi")
    eventually(own, *words, "--op", "show", "--mode", "target")
    own.run(*words, "--op", "new", "--mode", "target", "--tid", 1, "-T", TARGET)
    for number, path in enumerate(units, 1):
        own.run(*words, "--op", "new", "--mode", "logicalunit", "--tid", 1, "--lun", number, "-b", path)
    own.run(*words, "--op", "bind", "--mode", "target", "--tid", 1, "-I", "ALL")
    own.run(*words, "--op", "new", "--mode", "account", "--user", "me", "--password", "secretsecret")
    own.run(*words, "--op", "bind", "--mode", "account", "--tid", 1, "--user", "me")


_FSID, _OSD = "6b3ff4d4-8d3c-4d0d-a3a5-0f8d3d1ffab0", "0e1c9f1a-1b8a-4f0c-8a36-9d7a3a1f7b11"
_CEPH = """[global]
fsid = {fsid}
mon host = v2:127.0.0.1:13300,v1:127.0.0.1:16789
mon initial members = a
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data = {folder}/mon
osd data = {folder}/osd
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
osd objectstore = bluestore
bluestore block size = 2147483648
osd memory target = 939524096
"""


@contextmanager
def ceph(own: OwnHost, folder: Path) -> Iterator[Path]:
    """A cluster of one monitor and one disk with a pool "rbd", and the file with its settings."""
    folder.mkdir()
    (folder / "osd").mkdir()
    conf = folder / "ceph.conf"
    conf.write_text(_CEPH.format(fsid=_FSID, folder=folder))
    monitors = "[v2:127.0.0.1:13300,v1:127.0.0.1:16789]"
    own.run("monmaptool", "--create", "--addv", "a", monitors, "--fsid", _FSID, folder / "monmap")
    own.run("ceph-mon", "-c", conf, "--mkfs", "-i", "a", "--monmap", folder / "monmap", "--keyring", "/dev/null")
    with running(own, folder / "mon.out", "ceph-mon", "-c", conf, "-i", "a", "-f"):
        own.run("ceph", "-c", conf, "--connect-timeout", 30, "osd", "new", _OSD)
        own.run("ceph-osd", "-c", conf, "-i", 0, "--mkfs", "--osd-uuid", _OSD)
        with running(own, folder / "osd.out", "ceph-osd", "-c", conf, "-i", 0, "-f"):
            own.run("ceph", "-c", conf, "osd", "pool", "create", "rbd", 8)
            yield conf


_RBD = """<pool type='rbd' xmlns:rbd='http://libvirt.org/schemas/storagepool/rbd/1.0'><name>p</name>
<source><name>rbd</name><host name='127.0.0.1' port='16789'/></source>
<rbd:config_opts><rbd:option name='log to stderr' value='false'/></rbd:config_opts></pool>"""


@pytest.mark.timeout(240)
@needs("ceph-mon", "ceph-osd", "ceph", "rbd", "monmaptool", "qemu-io")
def test_images_of_ceph(daemon: RunningDaemon, own: OwnHost, tmp_path: Path) -> None:
    with ceph(own, tmp_path / "ceph") as conf:
        define(daemon, tmp_path, _RBD)
        assert "started" in daemon.virsh("pool-start", "p")
        assert "Vol a created" in daemon.virsh("vol-create-as", "p", "a", "16M")
        assert "exists already" in daemon.virsh("vol-create-as", "p", "a", "16M")
        assert daemon.virsh("vol-path", "a", "p") == "rbd/a"
        own.run("qemu-io", "-f", "raw", "-c", "write -P 7 0 16M", f"rbd:rbd/a:conf={conf}")
        assert "cloned" in daemon.virsh("vol-clone", "a", "b", "--pool", "p")
        own.run("qemu-io", "-f", "raw", "-c", "read -P 7 0 16M", f"rbd:rbd/b:conf={conf}")
        assert "changed to 32M" in daemon.virsh("vol-resize", "b", "32M", "--pool", "p")
        assert "32.00 MiB" in daemon.virsh("vol-info", "b", "--pool", "p")
        assert "wiped" in daemon.virsh("vol-wipe", "b", "--pool", "p")
        own.run("qemu-io", "-f", "raw", "-c", "read -P 0 0 32M", f"rbd:rbd/b:conf={conf}")

        # A file of this host becomes an image of the cluster.
        folder = tmp_path / "folder"
        daemon.virsh("pool-create-as", "files", "dir", "--target", str(folder), "--build")
        daemon.virsh("vol-create-as", "files", "c.qcow2", "8M", "--format", "qcow2")
        own.run("qemu-io", "-f", "qcow2", "-c", "write -P 9 1M 1M", folder / "c.qcow2")
        document = tmp_path / "c.xml"
        document.write_text("<volume><name>c</name><capacity unit='M'>8</capacity></volume>")
        said = daemon.virsh("vol-create-from", "p", str(document), "c.qcow2", "--inputpool", "files")
        assert "Vol c created" in said
        own.run("qemu-io", "-f", "raw", "-c", "read -P 9 1M 1M", "-c", "read -P 0 0 1M", f"rbd:rbd/c:conf={conf}")

        assert "snapshots" in daemon.virsh("vol-delete", "a", "p"), "b is based on one"
        for words in (("b", "p"), ("a", "p", "--delete-snapshots"), ("c", "p")):
            assert "deleted" in daemon.virsh("vol-delete", *words)
        assert own.run("rbd", "-c", conf, "ls") == ""
        assert "destroyed" in daemon.virsh("pool-destroy", "p")


@needs("zfs-fuse", "zpool", "zfs")
def test_a_pool_of_zfs_is_made_exported_imported_and_destroyed(
    daemon: RunningDaemon, own: OwnHost, tmp_path: Path
) -> None:
    if subprocess.run(["pgrep", "-x", "zfs-fuse"], capture_output=True, check=False).returncode == 0:
        pytest.skip("zfs-fuse runs on this machine already, and there can be just one")
    own.run("mkdir", "-p", "/run/zfs", "/run/lock/zfs")
    disk = blank(tmp_path / "disk", 128)
    with running(own, tmp_path / "zfs.log", "zfs-fuse", "--no-daemon"):
        eventually(own, "zpool", "list")
        daemon.virsh("pool-define-as", "p", "zfs", "--source-name", "vmherdtest", "--source-dev", str(disk))
        assert "no such pool" in daemon.virsh("pool-start", "p")
        own.run("mkfs.ext4", "-q", "-F", disk)
        assert "forced overwrite is necessary" in daemon.virsh("pool-build", "p")
        assert "Pool p built" in daemon.virsh("pool-build", "p", "--overwrite")
        assert "started" in daemon.virsh("pool-start", "p")
        assert "running" in daemon.virsh("pool-info", "p")
        # zfs-fuse has no block devices: the refusal is told, and leaves nothing.
        assert "error" in daemon.virsh("vol-create-as", "p", "v", "1M")
        assert "v" not in daemon.virsh("vol-list", "p").split()
        assert "destroyed" in daemon.virsh("pool-destroy", "p")
        assert "vmherdtest" in own.run("zpool", "list"), "it was there before the pool was started"
        own.run("zpool", "export", "vmherdtest")
        assert "started" in daemon.virsh("pool-start", "p")
        assert "destroyed" in daemon.virsh("pool-destroy", "p")
        assert "vmherdtest" not in own.run("zpool", "list")
        assert "deleted" in daemon.virsh("pool-delete", "p")
        assert "vmherdtest" not in own.run("zpool", "import", "-d", tmp_path, check=False)
