"""The friendly layer: specs become documents, images are told apart, archives can be unpacked."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from vmherd.conf.domain import complete, parse_domain, problems, render
from vmherd.conf.domain.domain import DomainType
from vmherd.conf.domain.storage import StorageFormat
from vmherd.errors import AlreadyExists, HostError, HypervisorError, InvalidArgument, NotResponding
from vmherd.guest.image import Kind, format_of, kind_of, make_disk
from vmherd.guest.initramfs import character_device, file, folder, link, pack
from vmherd.guest.modules import closure, dependency_list
from vmherd.guest.session import Session
from vmherd.guest.spec import GuestSpec, Platform, best_platform

QEMU = Platform(DomainType.QEMU, "x86_64")


def test_a_spec_becomes_a_document_that_reads_back_and_makes_sense(tmp_path: Path) -> None:
    disk, cdrom = tmp_path / "disk.img", tmp_path / "cd.iso"
    disk.write_bytes(b"QFI\xfb\x00\x00\x00\x03")
    cdrom.touch()
    spec = GuestSpec(name="web", memory=1 << 30, cpus=2, disks=(disk,), cdrom=cdrom, vnc=True)
    domain = parse_domain(render(spec.document(QEMU)))
    assert (domain.name, domain.memory.size, domain.vcpu.count) == ("web", 1 << 30, 2)
    assert [(each.target.dev, each.driver and each.driver.type) for each in domain.devices.disks] == [
        ("vda", StorageFormat.QCOW2),
        ("sda", StorageFormat.RAW),
    ]
    assert [boot.dev for boot in domain.os.boots] == ["hd", "cdrom"]
    complete(domain, arch="x86_64")
    assert problems(domain) == []


def test_a_kernel_boots_in_place_of_a_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    disk.touch()
    spec = GuestSpec(name="web", kernel=Path("vmlinuz"), initrd=Path("/boot/initrd"), cmdline="quiet", disks=(disk,))
    system = spec.document(QEMU).os
    assert (system.kernel, system.initrd, system.cmdline) == (str(Path.cwd() / "vmlinuz"), "/boot/initrd", "quiet")
    assert system.boots == []


def test_disks_beyond_z_are_named_as_linux_names_them(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    disk.touch()
    names = [each.target.dev for each in GuestSpec(name="web", disks=(disk,) * 30).document(QEMU).devices.disks]
    assert (names[0], names[25], names[26], names[29]) == ("vda", "vdz", "vdaa", "vdad")


def test_the_first_way_to_run_full_guests_is_the_best() -> None:
    guest = (
        "<guest><os_type>{}</os_type><arch name='x86_64'><wordsize>64</wordsize>"
        "<domain type='{}'/><domain type='qemu'/></arch></guest>"
    )
    host = "<capabilities><host><cpu><arch>x86_64</arch></cpu></host>{}</capabilities>"
    both = host.format(guest.format("exe", "lxc") + guest.format("hvm", "kvm"))
    assert best_platform(both) == Platform(DomainType.KVM, "x86_64")
    with pytest.raises(InvalidArgument, match="no full virtual machines"):
        best_platform(host.format(guest.format("exe", "lxc")))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xef\xbb\xbf\n <domain/>", Kind.DOCUMENT),
        (bytes(0x202) + b"HdrS", Kind.KERNEL),
        (b"MZ" + bytes(0x36) + b"ARM\x64", Kind.KERNEL),
        (b"\x7fELF", Kind.KERNEL),
        (bytes(0x8001) + b"CD001", Kind.CDROM),
        (b"QFI\xfb\0\0\0\3", Kind.DISK),
        (bytes(512), Kind.DISK),
        (b"", Kind.DISK),
    ],
)
def test_a_file_is_known_by_its_content(content: bytes, kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert kind_of(path) is kind


@pytest.mark.parametrize("name", ["qcow2", "vmdk", "vdi", "vpc", "qed", "qcow", "raw"])
@pytest.mark.skipif(not shutil.which("qemu-img"), reason="needs qemu-img")
def test_the_format_of_an_image_is_what_qemu_made(name: str, tmp_path: Path) -> None:
    path = tmp_path / "disk"
    subprocess.run(["qemu-img", "create", "-q", "-f", name, path, "8M"], check=True)
    assert format_of(path) == name


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=f"cannot read {tmp_path}/none: No such file"):
        format_of(tmp_path / "none")


@pytest.mark.skipif(not shutil.which("qemu-img"), reason="needs qemu-img")
async def test_a_new_disk_is_whole_and_never_replaces_another(tmp_path: Path) -> None:
    path = tmp_path / "guest" / "disk0.qcow2"
    await make_disk(path, 1 << 30)
    assert format_of(path) is StorageFormat.QCOW2
    with pytest.raises(AlreadyExists, match=str(path)):
        await make_disk(path, 1 << 30)
    with pytest.raises(HostError, match="qemu-img failed"):
        await make_disk(tmp_path / "too-large", 1 << 63)
    assert not (tmp_path / "too-large").exists()


@pytest.mark.skipif(not shutil.which("cpio"), reason="needs cpio")
def test_an_archive_lists_as_cpio_sees_it() -> None:
    archive = gzip.decompress(
        pack(
            {
                "bin/hello": file("#!/bin/sh\n", executable=True),
                "bin/sh": link("busybox"),
                "root": folder(0o700),
                "dev/console": character_device(5, 1),
            }
        )
    )
    listed = subprocess.run(["cpio", "-itv", "--quiet"], input=archive, capture_output=True, check=True).stdout
    rows = [line.split() for line in listed.decode().splitlines()]
    assert [(row[0], row[-1]) for row in rows] == [
        ("drwxr-xr-x", "bin"),
        ("-rwxr-xr-x", "bin/hello"),
        ("lrwxrwxrwx", "busybox"),
        ("drwxr-xr-x", "dev"),
        ("crw-------", "dev/console"),
        ("drwx------", "root"),
    ]
    assert {(row[2], row[3]) for row in rows} == {("root", "root")}


def test_the_same_tree_gives_the_same_bytes_in_any_order() -> None:
    one, other = {"b": file("2"), "a/x": file("1")}, {"a/x": file("1"), "b": file("2")}
    assert pack(one) == pack(other)


def test_archive_entries_are_headers_names_and_contents_on_fours() -> None:
    archive = gzip.decompress(pack({"abc": file(b"12345")}))
    assert len(archive) % 4 == 0
    assert archive[:6] == b"070701"
    assert int(archive[14:22], 16) == stat.S_IFREG | 0o644
    assert int(archive[54:62], 16) == 5  # the size
    assert archive[110:114] == b"abc\0"
    assert archive[116:121] == b"12345"


def module(name: str, depends: str) -> tuple[str, bytes]:
    return f"lib/{name}.ko", b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0name=x\0"


def test_modules_are_listed_with_all_they_need_in_an_order_that_loads() -> None:
    modules = {
        "virtio_net": module("virtio_net", "virtio,net_failover"),
        "net_failover": module("net-failover", "failover"),
        "failover": module("failover", ""),
        "virtio": module("virtio", "virtio-ring"),
        "virtio_ring": module("virtio_ring", ""),
        "unused": module("unused", ""),
    }
    needs = closure(["virtio_net"], modules)
    assert set(needs) == set(modules) - {"unused"}
    listing = dependency_list(needs, {name: modules[name][0] for name in needs})
    line = next(line for line in listing.splitlines() if line.startswith("lib/virtio_net.ko:"))
    order = line.split()[1:]
    assert order.index("lib/virtio.ko") < order.index("lib/virtio_ring.ko")
    assert order.index("lib/net-failover.ko") < order.index("lib/failover.ko")
    with pytest.raises(HostError, match="no module floppy"):
        closure(["floppy"], modules)


class Line:
    """A console whose other end is this test."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[bytes] = asyncio.Queue()
        self.typed = b""

    async def read(self, size: int = 65536) -> bytes:
        return await self.said.get()

    async def write(self, data: bytes) -> None:
        self.typed += data

    async def close(self) -> None:
        pass


async def test_a_session_sees_words_that_come_in_parts_and_no_colours() -> None:
    line = Line()
    for part in (b"boot\r\n\x1b[1mlo", b"gin\x1b[", b"0m: "):
        line.said.put_nowait(part)
    assert await Session(line).expect("login: $", patience=1) == "boot\nlogin: "


async def test_a_guest_that_stays_silent_or_ends_is_told_with_its_last_words() -> None:
    line = Line()
    line.said.put_nowait(b"Kernel panic")
    with pytest.raises(NotResponding, match="Kernel panic"):
        await Session(line).expect("login:", patience=0.05)
    line.said.put_nowait(b"bye")
    line.said.put_nowait(b"")
    with pytest.raises(HypervisorError, match="ended before it said 'login:'; last: 'bye'"):
        await Session(line).expect("login:", patience=1)
