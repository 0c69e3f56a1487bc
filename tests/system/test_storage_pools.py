"""Every type of pool that this machine can have, with real file systems, partitions, servers and daemons.

Mounts and servers are in namespaces of their own, so nothing of them is left.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import RunningDaemon
from namespaces import Host as OwnHost
from pools import blank, storage_daemon

pytestmark = [pytest.mark.root]

daemon = storage_daemon


NO_COW = "<volume><name>nocow</name><capacity>4096</capacity><target><format type='raw'/><nocow/></target></volume>"


@pytest.mark.parametrize(("kind", "size"), [("ext4", 16), ("xfs", 320), ("btrfs", 128)])
def test_a_file_system_is_made_mounted_used_and_let_go(
    daemon: RunningDaemon, own: OwnHost, tmp_path: Path, kind: str, size: int
) -> None:
    image, place = blank(tmp_path / "image", size), tmp_path / "place"
    words = ("p", "fs", "--source-dev", str(image), "--source-format", kind, "--target", str(place))
    assert "Pool p defined" in daemon.virsh("pool-define-as", *words)
    assert "source conflict with pool: 'p'" in daemon.virsh("pool-define-as", "q", *words[1:])
    assert "Pool p built" in daemon.virsh("pool-build", "p", "--no-overwrite")
    assert f"already formatted using '{kind}'" in daemon.virsh("pool-build", "p", "--no-overwrite")
    assert "Pool p started" in daemon.virsh("pool-start", "p")
    assert f" {place} {kind} " in own.run("cat", "/proc/mounts")
    daemon.virsh("vol-create-as", "p", "a.raw", "1M", "--allocation", "0")
    assert own.run("ls", place).split()[0] == "a.raw"
    assert "a.raw" in daemon.virsh("vol-list", "p")

    own.run("dd", "if=/dev/urandom", f"of={place / 'a.raw'}", "bs=1M", "count=4", "status=none")
    for volume in ("a.raw", "b.qcow2"):
        if volume == "b.qcow2":
            daemon.virsh("vol-create-as", "p", volume, "8M", "--format", "qcow2")
        said = daemon.virsh("vol-clone", volume, "copy", "--pool", "p", "--reflink")
        assert "cannot share blocks" in said if kind == "ext4" else "cloned" in said
        if kind != "ext4":
            own.run("cmp", place / volume, place / "copy")
            daemon.virsh("vol-delete", "copy", "--pool", "p")
    document = tmp_path / "volume.xml"
    document.write_text(NO_COW)
    said = daemon.virsh("vol-create", "p", str(document))
    assert "created" in said if kind == "btrfs" else "unable to control COW flag" in said
    if kind == "btrfs":
        assert "C" in own.run("lsattr", place / "nocow").split()[0]

    # Somebody else takes it away: nothing may be written to what is below.
    own.run("umount", place)
    assert "inaccessible" in daemon.virsh("pool-info", "p")
    assert "nothing is mounted at" in daemon.virsh("vol-create-as", "p", "b.raw", "1M")
    assert own.run("ls", place) == ""
    assert "destroyed" in daemon.virsh("pool-destroy", "p")
    daemon.virsh("pool-start", "p")
    assert "a.raw" in daemon.virsh("vol-list", "p")

    with subprocess.Popen([*own.words, "sh", "-c", f"cd {place} && echo in && read x"], stdin=-1, stdout=-1) as user:
        assert user.stdout
        user.stdout.readline()
        assert "busy" in daemon.virsh("pool-destroy", "p")
        assert "running" in daemon.virsh("pool-info", "p")
        user.kill()
    assert "destroyed" in daemon.virsh("pool-destroy", "p")
    assert str(place) not in own.run("cat", "/proc/mounts")
    assert str(image) not in own.run("losetup", "-a")
    assert "Pool p deleted" in daemon.virsh("pool-delete", "p")
    assert not place.exists()


def test_what_was_mounted_before_stays_mounted(daemon: RunningDaemon, own: OwnHost, tmp_path: Path) -> None:
    image, other, place = blank(tmp_path / "image", 16), blank(tmp_path / "other", 16), tmp_path / "place"
    place.mkdir()
    for each in (image, other):
        own.run("mkfs.ext4", "-q", "-F", each)
    daemon.virsh("pool-define-as", "p", "fs", "--source-dev", str(image), "--target", str(place))
    own.run("mount", other, place)
    assert "is where pool 'p' has its place" in daemon.virsh("pool-start", "p")
    own.run("umount", place)
    own.run("mount", image, place)
    assert "started" in daemon.virsh("pool-start", "p")
    assert "destroyed" in daemon.virsh("pool-destroy", "p")
    assert str(place) in own.run("cat", "/proc/mounts")


def test_a_kill_while_a_pool_is_built_started_or_stopped_leaves_nothing_half_done(
    daemon: RunningDaemon, own: OwnHost, tmp_path: Path
) -> None:
    """A program in the place of mkfs, mount or umount ends its daemon before or after it has done its work."""
    image, place = blank(tmp_path / "image", 16), tmp_path / "place"
    words = ("p", "fs", "--source-dev", str(image), "--source-format", "ext4", "--target", str(place))
    daemon.virsh("pool-define-as", *words)
    daemon.virsh("pool-build", "p", "--no-overwrite")

    def dies_at(program: str, when: str, *command: str) -> None:
        programs = tmp_path / f"{program}-{when}"
        programs.mkdir()
        script = programs / program
        real = f'PATH=/usr/sbin:/usr/bin:/sbin:/bin {program} "$@"'
        work = real if when == "after" else ":"
        # The daemon is the parent, or the parent of setpriv, which becomes the program.
        script.write_text(f"#!/bin/sh\ntrap '' TERM\n{work}\nkill -9 $PPID\n")
        script.chmod(0o755)
        daemon.__exit__()
        daemon.start(words=[*own.words, "env", f"PATH={programs}:/usr/sbin:/usr/bin:/sbin:/bin"])
        daemon.virsh(*command)
        daemon.wait()
        daemon.start(words=own.words)

    mounts = lambda: str(place) in own.run("cat", "/proc/mounts")  # noqa: E731
    for when in ("before", "after"):
        dies_at("mount", when, "pool-start", "p")
        assert "inactive" in daemon.virsh("pool-info", "p")
        assert not mounts()
    for when in ("before", "after"):
        daemon.virsh("pool-start", "p")
        dies_at("umount", when, "pool-destroy", "p")
        assert "inactive" in daemon.virsh("pool-info", "p")
        assert not mounts()
    for when in ("before", "after"):
        dies_at("mkfs.ext4", when, "pool-build", "p", "--overwrite")
        assert "inactive" in daemon.virsh("pool-info", "p")
        assert own.run("wipefs", "--no-act", image) == "", "what was half made does not stand in the way"
        daemon.virsh("pool-build", "p", "--no-overwrite")
    assert str(image) not in own.run("losetup", "-a")


@pytest.fixture
def disk(own: OwnHost, tmp_path: Path) -> Iterator[str]:
    """A disk of 64 MiB."""
    device = own.run("losetup", "--find", "--show", "--partscan", blank(tmp_path / "disk", 64)).strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_partitions_are_volumes(daemon: RunningDaemon, own: OwnHost, tmp_path: Path, disk: str) -> None:
    name = disk.removeprefix("/dev/")
    first, second = f"{name}p1", f"{name}p2"
    own.run("mkswap", disk)
    daemon.virsh("pool-define-as", "p", "disk", "--source-dev", disk, "--source-format", "gpt", "--target", "/dev")
    assert "requires build" in daemon.virsh("pool-start", "p")
    assert "does not match the expected format 'gpt'" in daemon.virsh("pool-build", "p")
    assert "Pool p built" in daemon.virsh("pool-build", "p", "--overwrite")
    assert "already formatted using 'gpt'" in daemon.virsh("pool-build", "p", "--no-overwrite")
    assert "Pool p started" in daemon.virsh("pool-start", "p")
    assert f"expected '{first}'" in daemon.virsh("vol-create-as", "p", second, "10M")
    assert f"Vol {first} created" in daemon.virsh("vol-create-as", "p", first, "10M")
    assert "no large enough free extent" in daemon.virsh("vol-create-as", "p", second, "60M")
    with open(f"/dev/{first}", "r+b", buffering=0) as partition:
        partition.write(b"data" * 1024)
    assert "cloned" in daemon.virsh("vol-clone", first, second, "--pool", "p")
    assert Path(f"/dev/{second}").read_bytes() == Path(f"/dev/{first}").read_bytes()
    assert daemon.virsh("vol-wipe", first, "--pool", "p") == f"Vol {first} wiped"
    assert not any(Path(f"/dev/{first}").read_bytes())
    assert "does not support changing of volume capacity" in daemon.virsh("vol-resize", first, "20M", "--pool", "p")
    assert "<freeExtent start='22020096'" in daemon.virsh("pool-dumpxml", "p")
    assert f"Vol {first} deleted" in daemon.virsh("vol-delete", first, "p")
    assert second in own.run("sfdisk", "--dump", disk)
    assert first not in own.run("sfdisk", "--dump", disk)
    assert "destroyed" in daemon.virsh("pool-destroy", "p")
    assert "deleted" in daemon.virsh("pool-delete", "p")
    assert own.run("wipefs", "--no-act", disk) == ""


def test_an_old_partition_table_has_logical_partitions(daemon: RunningDaemon, tmp_path: Path, disk: str) -> None:
    name = disk.removeprefix("/dev/")
    daemon.virsh("pool-define-as", "p", "disk", "--source-dev", disk, "--source-format", "dos", "--target", "/dev")
    daemon.virsh("pool-start", "p", "--build")
    for number in (1, 2, 3):
        assert "created" in daemon.virsh("vol-create-as", "p", f"{name}p{number}", "4M")
    extended = tmp_path / "extended.xml"
    text = (
        "<volume><name>{}p4</name><capacity unit='M'>20</capacity><target><format type='extended'/></target></volume>"
    )
    extended.write_text(text.format(name))
    assert "created" in daemon.virsh("vol-create", "p", str(extended))
    assert "exists already" in daemon.virsh("vol-create", "p", str(extended))
    assert "created" in daemon.virsh("vol-create-as", "p", f"{name}p5", "4M")
    assert "<format type='extended'/>" in daemon.virsh("vol-dumpxml", f"{name}p4", "p")
    assert f"{name}p5" in daemon.virsh("vol-list", "p")


def test_pools_start_by_themselves_once_per_boot(daemon: RunningDaemon, own: OwnHost, tmp_path: Path) -> None:
    image, place, link = blank(tmp_path / "image", 16), tmp_path / "place", tmp_path / "link"
    place.mkdir()
    link.symlink_to(place)
    daemon.virsh(
        "pool-define-as", "p", "fs", "--source-dev", str(image), "--source-format", "ext4", "--target", str(link)
    )
    assert "autostart" in daemon.virsh("pool-autostart", "p")
    assert "built" in daemon.virsh("pool-build", "p", "--overwrite")

    def boot() -> None:
        daemon.__exit__()
        (tmp_path / "root/run/storage/autostarted").unlink()  # it is gone after a boot
        daemon.start(words=own.words)

    boot()
    assert "running" in daemon.virsh("pool-info", "p")
    assert f" {place} ext4 " in own.run("cat", "/proc/mounts")
    assert "destroyed" in daemon.virsh("pool-destroy", "p")
    assert str(place) not in own.run("cat", "/proc/mounts")
    daemon.__exit__()
    daemon.start(words=own.words)
    assert "inactive" in daemon.virsh("pool-info", "p"), "who stopped it wants it so"

    # One that cannot start keeps nobody else from it.
    image.rename(tmp_path / "elsewhere")
    boot()
    assert "inactive" in daemon.virsh("pool-info", "p")
    assert "cannot start pool 'p' by itself" in daemon.said()


def test_the_types_of_pools_are_told(daemon: RunningDaemon) -> None:
    said = daemon.virsh("pool-capabilities")
    assert "<pool type='rbd' supported='yes'>" in said
    assert "<pool type='sheepdog' supported='no'" in said
    assert "does not support source discovery" in daemon.virsh("find-storage-pool-sources", "dir")
    assert "unknown storage pool type tape" in daemon.virsh("find-storage-pool-sources", "tape")
