"""Each guest has a /dev of its own, with nothing but what it uses: seen through /proc/PID/root."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmherd.api.aio import Domain, Host
from vmherd.errors import HostError, VmherdError
from vmherd.hypervisors.qemu.config import EVERYBODY
from vmherd.util import mount

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces of mounts"),
]

DEV = Path("/dev")
GUEST = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <controller type='usb' model='qemu-xhci'/>
    <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>
    {more}
    <memballoon model='none'/>
  </devices>
</domain>
"""
DISK = """<disk type='{kind}' device='{device}'><driver name='qemu' type='{form}'/><source {word}='{path}'/>
  <target dev='{dev}' bus='{bus}'/></disk>"""


def disk(path: Path, dev: str, bus: str, form: str = "qcow2", *, kind: str = "file", device: str = "disk") -> str:
    word = "dev" if kind == "block" else "file"
    return DISK.format(path=path, dev=dev, bus=bus, form=form, kind=kind, word=word, device=device)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder below the host's /dev, as guests that are not started by us have none."""
    place = DEV / f"vmherd-test-{os.getpid()}"
    place.mkdir()
    try:
        yield place
    finally:
        for path in place.iterdir():
            path.unlink()
        place.rmdir()


def image(path: Path, size: str = "10M") -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, size], check=True)
    return path


async def seen(domain: Domain) -> set[str]:
    """All that the guest's QEMU has below /dev, but what the host has mounted there."""
    root = Path(f"/proc/{(await domain.info()).pid}/root/dev")
    kept = {place.relative_to(DEV).parts[0] for place in mount.below(DEV)}
    found = set()
    for top, folders, files in os.walk(root):
        inside = Path(top).relative_to(root)
        folders[:] = [] if inside.parts and inside.parts[0] in kept else folders
        found |= {str(inside / name) for name in files if not {*inside.parts, name} & kept}
    return found


USUAL = {path.removeprefix("/dev/") for path in EVERYBODY if os.path.lexists(path)}


async def test_guests_see_what_they_use_and_not_what_others_use(host: Host, folder: Path) -> None:
    mine, below = image(folder / "mine.qcow2"), image(folder / "below.qcow2")
    over = folder / "over.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", below.name, over], check=True)
    (folder / "link").symlink_to("over.qcow2")
    random = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
    first = await host.create(GUEST.format(name="a", more=disk(mine, "vda", "virtio") + random))
    second = await host.create(GUEST.format(name="b", more=disk(folder / "link", "vda", "virtio")))
    name = folder.name
    assert await seen(first) == USUAL | {f"{name}/mine.qcow2"}
    assert await seen(second) == USUAL | {f"{name}/link", f"{name}/over.qcow2", f"{name}/below.qcow2"}
    pid = (await second.info()).pid
    node, theirs = os.stat("/dev/null"), os.stat(f"/proc/{pid}/root/dev/null")
    assert (theirs.st_mode, theirs.st_rdev, theirs.st_uid) == (node.st_mode, node.st_rdev, node.st_uid)
    assert os.stat(f"/proc/{pid}/root{over}").st_ino == over.stat().st_ino  # the very file, not a copy
    assert stat.S_ISLNK(os.lstat(f"/proc/{pid}/root{folder}/link").st_mode)
    assert "devfs" not in Path("/proc/mounts").read_text()


async def test_what_comes_and_goes_is_seen_for_as_long_as_it_is_there(host: Host, folder: Path) -> None:
    domain = await host.create(GUEST.format(name="a", more=""), paused=True)
    other = await host.create(GUEST.format(name="b", more=""), paused=True)
    stick = disk(image(folder / "stick.qcow2"), "sda", "usb")
    await domain.devices.attach(stick)
    assert await seen(domain) == USUAL | {f"{folder.name}/stick.qcow2"}
    assert await seen(other) == USUAL
    await domain.devices.detach(stick)
    assert await seen(domain) == USUAL
    first, second = image(folder / "first.iso"), image(folder / "second.iso")
    for path in (first, second):
        await domain.devices.update(disk(path, "hdc", "ide", device="cdrom"))
        assert await seen(domain) == USUAL | {f"{folder.name}/{path.name}"}
    with pytest.raises(VmherdError, match="not in qcow2 format"):
        await domain.devices.update(disk(sized(folder / "bad.iso"), "hdc", "ide", device="cdrom"))
    assert await seen(domain) == USUAL | {f"{folder.name}/second.iso"}
    await domain.devices.update("<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>")
    with pytest.raises(VmherdError, match="not in qcow2 format"):
        await domain.devices.attach(disk(folder / "bad.iso", "sda", "usb"))
    assert await seen(domain) == USUAL


def sized(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(1 << 20)
    return path


async def test_nodes_are_made_when_they_come_and_those_that_others_need_stay(host: Host, folder: Path) -> None:
    domain = await host.create(GUEST.format(name="a", more=""), paused=True)
    os.mknod(folder / "noise", stat.S_IFCHR | 0o640, os.stat("/dev/urandom").st_rdev)
    os.chown(folder / "noise", 1, 2)
    random = "<rng model='virtio'><backend model='random'>{}</backend></rng>"
    await domain.devices.attach(random.format(folder / "noise"))
    status = os.stat(f"/proc/{(await domain.info()).pid}/root{folder}/noise")
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o640, 1, 2)
    usual = disk(DEV / "null", "sda", "usb", "raw", kind="block")
    await domain.devices.attach(usual)
    await domain.devices.detach(usual)
    assert await seen(domain) == USUAL | {f"{folder.name}/noise"}


async def test_nothing_is_left_of_a_guest_that_is_killed(host: Host, folder: Path, tmp_path: Path) -> None:
    path = image(folder / "mine.qcow2")
    domain = await host.create(GUEST.format(name="a", more=disk(path, "vda", "virtio")))
    os.kill((await domain.info()).pid or 0, signal.SIGKILL)
    async with asyncio.timeout(10):
        while list((tmp_path / "run/guests").iterdir()):  # the keeper sees to it
            await asyncio.sleep(0.05)
    path.unlink()  # nobody holds it
    assert "devfs" not in Path("/proc/mounts").read_text()


async def test_without_namespaces_a_guest_has_the_hosts_dev(host: Host, tmp_path: Path) -> None:
    (tmp_path / "qemu.toml").write_text("namespaces = []")
    domain = await host.create(GUEST.format(name="a", more=""))
    assert os.path.samefile(f"/proc/{(await domain.info()).pid}/ns/mnt", "/proc/self/ns/mnt")


async def test_links_that_go_round_are_refused(host: Host, folder: Path) -> None:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    with pytest.raises(HostError):
        await host.create(GUEST.format(name="a", more=disk(folder / "a", "vda", "virtio")))
    assert await host.domains() == []
