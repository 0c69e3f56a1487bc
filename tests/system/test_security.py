"""Guests that run as a user of their own: what they own meanwhile, what they cannot read, and what is put back."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import RunningDaemon, virsh
from parts import make_disk, processes

from support.libvirtd import Libvirtd
from vmherd.api.aio import Domain, Host, connect
from vmherd.errors import HostError, VmherdError

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away"),
]

USER, GROUP, OTHER = 64901, 64902, 64903
SETTINGS = f'user = "+{USER}"\ngroup = "+{GROUP}"\n'
GUEST = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type>{boot}</os>
  <features><acpi/></features>
  <devices>
    <controller type='usb' model='qemu-xhci'/>
    <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>
    {more}
    <video><model type='vga'/></video>
    <memballoon model='none'/>
  </devices>
  {label}
</domain>
"""


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that every user may pass through, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="vmherd-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "qemu.toml").write_text(SETTINGS)
        yield folder


@pytest.fixture
def uri(root: Path) -> str:
    return f"qemu:///embed?root={root}"


def guest(name: str, *disks: str, label: str = "", boot: str = "") -> str:
    return GUEST.format(name=name, more="".join(disks), label=label, boot=boot)


def disk(path: Path, dev: str = "vda", bus: str = "virtio", more: str = "", label: str = "") -> str:
    source = f"<source file='{path}'>{label}</source>"
    return f"<disk type='file'><driver name='qemu' type='qcow2'/>{source}<target dev='{dev}' bus='{bus}'/>{more}</disk>"


def image(folder: Path, name: str, mode: int = 0o600) -> Path:
    path = make_disk(folder, name)
    path.chmod(mode)
    os.chown(path, 5, 6)
    return path


def owner(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid


def remembered(path: Path) -> bool:
    return bool(os.listxattr(path))


async def facts(domain: Domain) -> dict[str, str]:
    lines = Path(f"/proc/{(await domain.info()).pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


OURS, OWN = (5, 6), (USER, GROUP)


async def test_a_guest_owns_its_files_while_it_runs(host: Host, root: Path) -> None:
    top, readable, secret = image(root, "top"), image(root, "readable", 0o644), image(root, "secret")
    over = root / "over"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(secret), over], check=True)
    os.chown(over, *OURS)
    disks = disk(top), disk(readable, "vdb", more="<readonly/>"), disk(over, "vdc")
    domain = await host.create(guest("a", *disks))
    assert owner(top) == owner(over) == owner(secret) == OWN
    assert owner(readable) == OURS  # it may be read as it is
    told = await facts(domain)
    assert (told["Uid"].split()[0], told["Gid"].split()[0]) == (str(USER), str(GROUP))
    assert int(told["CapBnd"], 16) == int(told["CapEff"], 16) == 0
    assert told["NoNewPrivs"] == "1"
    assert told["Seccomp"] == "2"
    xml = await domain.xml()
    assert f"<imagelabel>+{USER}:+{GROUP}</imagelabel>" in xml
    assert (await domain.screen.picture()).data
    await domain.poweroff()
    assert owner(top) == owner(over) == owner(secret) == OURS
    assert not remembered(top)
    assert list((root / "state/owners").iterdir()) == []


async def test_it_cannot_read_what_another_guest_owns(host: Host, root: Path) -> None:
    mine, theirs = image(root, "mine"), image(root, "theirs")
    label = f"<seclabel type='static' model='dac' relabel='yes'><label>+{OTHER}:+{OTHER}</label></seclabel>"
    first = await host.create(guest("a", disk(mine)))
    second = await host.create(guest("b", disk(theirs), label=label))
    assert (owner(mine), owner(theirs)) == (OWN, (OTHER, OTHER))
    as_first = ["setpriv", f"--reuid={USER}", f"--regid={GROUP}", "--clear-groups", "head", "-c1"]
    assert subprocess.run([*as_first, mine], capture_output=True, check=False).returncode == 0
    assert b"Permission denied" in subprocess.run([*as_first, theirs], capture_output=True, check=False).stderr
    with pytest.raises(HostError, match="in use by a guest that runs as another user"):
        await first.devices.attach(disk(theirs, "sda", "usb"))
    assert (owner(mine), owner(theirs)) == (OWN, (OTHER, OTHER))
    await second.poweroff()
    assert owner(theirs) == OURS


async def test_what_several_use_is_given_back_by_the_last(host: Host, root: Path) -> None:
    shared = image(root, "shared")
    domains = [
        await host.create(guest(name, disk(shared, more="<shareable/>").replace("qcow2", "raw"))) for name in "ab"
    ]
    for domain in domains:
        assert owner(shared) == OWN
        await domain.poweroff()
    assert owner(shared) == OURS


async def test_owners_that_shall_not_be_remembered_are_roots_afterwards(host: Host, root: Path) -> None:
    (root / "qemu.toml").write_text(SETTINGS + "remember_owner = false\n")
    path = image(root, "disk")
    domain = await host.create(guest("a", disk(path)))
    assert owner(path) == OWN
    assert not remembered(path)
    await domain.poweroff()
    assert owner(path) == (0, 0)


async def test_what_comes_and_goes_is_given_and_given_back(host: Host, root: Path) -> None:
    stick, first, second = (image(root, name) for name in ("stick", "first", "second"))
    domain = await host.create(guest("a"), paused=True)
    await domain.devices.attach(disk(stick, "sda", "usb"))
    assert owner(stick) == OWN
    await domain.devices.detach(disk(stick, "sda", "usb"))
    assert owner(stick) == OURS
    for path, before in ((first, second), (second, first)):
        await domain.devices.update(disk(path, "hdc", "ide").replace("type='file'", "type='file' device='cdrom'"))
        assert (owner(path), owner(before)) == (OWN, OURS)
    await domain.poweroff()
    assert owner(second) == OURS


async def test_documents_say_what_stays_as_it_is(host: Host, root: Path) -> None:
    kept, others = image(root, "kept", 0o666), image(root, "others", 0o666)
    labels = {
        kept: "<seclabel model='dac' relabel='no'/>",
        others: "<seclabel model='dac'><label>+7:+8</label></seclabel>",
    }
    disks = [disk(path, dev, label=label) for dev, (path, label) in zip(("vda", "vdb"), labels.items(), strict=True)]
    domain = await host.create(guest("a", *disks))
    assert (owner(kept), owner(others)) == (OURS, (7, 8))
    await domain.poweroff()
    assert (owner(kept), owner(others)) == (OURS, OURS)
    domain = await host.create(guest("b", disk(kept), label="<seclabel type='none' model='dac'/>"))
    assert owner(kept) == OURS
    assert (await facts(domain))["Uid"].split()[0] == str(USER)
    for label in ("<seclabel type='dynamic' model='selinux' relabel='yes'/>",):
        with pytest.raises(VmherdError, match="unable to find security driver for model selinux"):
            await host.create(guest("c", label=label))


async def test_owners_are_put_back_after_every_kind_of_death(host: Host, root: Path) -> None:
    path = image(root, "disk")
    domain = await host.create(guest("a", disk(path)))
    os.kill((await domain.info()).pid or 0, signal.SIGKILL)
    async with asyncio.timeout(10):
        while owner(path) != OURS:  # the keeper sees to it
            await asyncio.sleep(0.05)
    with pytest.raises(VmherdError):
        await host.create(guest("b", disk(path), disk(root / "none", "vdb")))
    assert owner(path) == OURS
    hidden = root / "hidden"
    hidden.mkdir(mode=0o700)
    with pytest.raises(HostError, match=f"cannot be reached by user {USER}"):
        await host.create(guest("b", disk(path), disk(image(hidden, "disk"), "vdb")))
    assert (owner(path), owner(hidden / "disk")) == (OURS, OURS)


async def test_a_start_that_is_killed_is_undone_by_the_next_opening(uri: str, root: Path) -> None:
    path = image(root, "disk")
    (root / "guest.xml").write_text(guest("a", disk(path)))
    # It dies where QEMU would be started: the files have been given already.
    program = (
        "import asyncio, os, signal, sys\n"
        "from vmherd.api.aio import connect\n"
        "from vmherd.hypervisors.qemu.startup import start\n"
        "start.spawn = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "async def main():\n"
        "    async with await connect(sys.argv[1]) as host:\n"
        "        await host.create(open(sys.argv[2]).read())\n"
        "asyncio.run(main())\n"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, uri, str(root / "guest.xml")], check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert owner(path) == OWN
    async with await connect(uri) as host:
        assert await host.domains() == []
        assert owner(path) == OURS
    async with asyncio.timeout(20):
        while processes(root):
            await asyncio.sleep(0.1)


async def test_what_the_host_makes_for_a_guest_it_may_use(host: Host, root: Path) -> None:
    more = """
    <graphics type='vnc'><listen type='socket'/></graphics>
    <channel type='unix'><target type='virtio' name='org.example.a'/></channel>
    """
    backing = "<memoryBacking><source type='file'/></memoryBacking>"
    xml = guest("a", more, boot="").replace("<features>", f"{backing}<features>")
    domain = await host.create(xml)
    sockets = [path for path in (root / "run/guests").rglob("*") if stat.S_ISSOCK(path.stat().st_mode)]
    assert any(owner(path) == OWN and path.parent.name == "own" for path in sockets)
    await domain.save(root / "saved")
    restored = await host.restore(root / "saved")
    assert (await facts(restored))["Uid"].split()[0] == str(USER)


LABELS = ["", "<seclabel type='none' model='none'/>", "<seclabel type='none'/>", "<seclabel type='none' model='dac'/>"]
LABELS += [
    "<seclabel type='static' model='dac' relabel='yes'><label>+0:+0</label></seclabel>",
    "<seclabel type='static' model='dac' relabel='no'><label>root:root</label></seclabel>",
]


def test_virsh_shows_what_libvirtd_shows(libvirtd: Libvirtd, tmp_path: Path) -> None:
    uri = f"qemu:///embed?root={tmp_path}"
    with RunningDaemon(tmp_path, uri=uri) as daemon:
        ours = (
            f"qemu+unix:///system?socket={daemon.run}/libvirt-sock&name={uri.replace(':', '%3A').replace('=', '%3D')}"
        )
        for label in LABELS:
            (tmp_path / "guest.xml").write_text(guest("labelled", label=label))
            assert seen_by_virsh(ours, tmp_path) == seen_by_virsh(libvirtd.uri(), tmp_path), label


def seen_by_virsh(uri: str, folder: Path) -> list[str]:
    """What is told of labels: of the host, of a guest that runs, of its document."""
    virsh(uri, "create", str(folder / "guest.xml"), "--paused")
    try:
        host = re.findall(r"(?s)<secmodel>.*?</secmodel>", virsh(uri, "capabilities"))
        info = [line for line in virsh(uri, "dominfo", "labelled").splitlines() if "Security" in line]
        document = virsh(uri, "dumpxml", "labelled")
        return [*host, *info, *re.findall(r"(?s)<seclabel.*?(?:/>|</seclabel>)", document.partition("</devices>")[2])]
    finally:
        virsh(uri, "destroy", "labelled")


SYSTEM = """
set -e
for folder in /var/lib /var/log /var/cache /run; do mount -t tmpfs -o mode=755 test $folder; done
sed '$a vmherd-qemu:x:64911:64912::/:/bin/false' /etc/passwd > /run/passwd
sed '$a vmherd-qemu:x:64912:' /etc/group > /run/group
mount --bind /run/passwd /etc/passwd
mount --bind /run/group /etc/group
mkdir -m 711 -p /var/lib/vmherd/images
qemu-img create -q -f qcow2 /var/lib/vmherd/images/a 10M
vmherd() { "$1" -m vmherd -c qemu:///system --no-daemon "$2" "$3"; }
vmherd "$1" define "$2" > /run/said
vmherd "$1" start a >> /run/said
grep -hE '^(Uid|CapBnd):' /proc/$(cat /run/vmherd/qemu/guests/*/qemu.pid)/status
stat -c '%u:%g %a' /var/lib/vmherd/images/a /var/lib/vmherd/qemu/state.db
vmherd "$1" poweroff a >> /run/said
stat -c '%u:%g' /var/lib/vmherd/images/a
while pgrep -f 'qemu.keeper qemu:///syste[m]' --ns $$ --nslist mnt > /run/said; do sleep 0.1; done
"""


def test_guests_of_the_host_run_as_the_user_that_is_there_for_them(tmp_path: Path) -> None:
    xml = tmp_path / "guest.xml"
    xml.write_text(guest("a", disk(Path("/var/lib/vmherd/images/a"))))
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", SYSTEM, "sh", sys.executable, str(xml)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split("\n") == [
        "Uid:\t64911\t64911\t64911\t64911",
        "CapBnd:\t0000000000000000",
        "64911:64912 644",
        "0:0 600",
        "0:0",
        "",
    ]
