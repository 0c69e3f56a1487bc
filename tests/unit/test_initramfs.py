"""Initial RAM disks read back: by a reader of the format that knows nothing of the writer, and by cpio(1)."""

from __future__ import annotations

import gzip
import shutil
import stat
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from vmherd.guest.initramfs import character_device, file, folder, link, pack

TREE = {
    "init": file("#!/bin/sh\n", executable=True),
    "etc/empty": file(""),
    "etc/odd": file(bytes(range(7))),
    "bin/sh": link("busybox"),
    "root": folder(0o700),
    "dev/console": character_device(5, 1),
}


class Entry(NamedTuple):
    inode: int
    mode: int
    uid: int
    gid: int
    links: int
    date: int
    size: int
    major: int
    minor: int
    device_major: int
    device_minor: int
    name_size: int
    checksum: int


def read(archive: bytes) -> dict[str, tuple[Entry, bytes]]:
    """Every entry up to the trailer, in the order of the archive."""
    found: dict[str, tuple[Entry, bytes]] = {}
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        entry = Entry(*(int(archive[start : start + 8], 16) for start in range(at + 6, at + 110, 8)))
        name = archive[at + 110 : at + 110 + entry.name_size].removesuffix(b"\0").decode()
        start = (at + 110 + entry.name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = entry, archive[start : start + entry.size]
        at = (start + entry.size + 3) // 4 * 4


def test_every_entry_reads_back_with_its_content_and_its_numbers() -> None:
    found = read(gzip.decompress(pack(TREE)))
    assert set(found) == {*TREE, "bin", "dev", "etc"}
    for path, node in TREE.items():
        entry, content = found[path]
        assert (entry.mode, content) == (node.mode, node.data)
        assert (entry.device_major, entry.device_minor) == ((5, 1) if path == "dev/console" else (0, 0))


def test_entries_are_roots_have_no_date_and_are_no_hard_links() -> None:
    entries = [entry for entry, _ in read(gzip.decompress(pack(TREE))).values()]
    assert {(entry.uid, entry.gid, entry.date) for entry in entries} == {(0, 0, 0)}
    assert len({entry.inode for entry in entries}) == len(entries)
    assert {entry.links for entry in entries if not stat.S_ISDIR(entry.mode)} == {1}


def test_folders_stand_before_what_is_in_them_and_keep_their_mode() -> None:
    names = list(read(gzip.decompress(pack({**TREE, "root/.profile": file("")}))))
    assert names.index("root") < names.index("root/.profile")
    entry, _ = read(gzip.decompress(pack({**TREE, "root/.profile": file("")})))["root"]
    assert entry.mode == stat.S_IFDIR | 0o700


def test_the_compressed_archive_has_no_date_and_no_name() -> None:
    packed = pack(TREE)
    assert packed[:2] == b"\x1f\x8b"
    assert packed[3:8] == bytes(5)  # flags, then the date: RFC 1952, section 2.3


@pytest.mark.skipif(not shutil.which("cpio"), reason="needs cpio")
def test_cpio_unpacks_files_links_and_folders(tmp_path: Path) -> None:
    tree = {path: node for path, node in TREE.items() if path != "dev/console"}  # it takes root to make a device
    subprocess.run(["cpio", "-id", "--quiet"], input=gzip.decompress(pack(tree)), cwd=tmp_path, check=True)
    assert (tmp_path / "etc/odd").read_bytes() == bytes(range(7))
    assert (tmp_path / "init").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "bin/sh").readlink() == Path("busybox")
    assert (tmp_path / "root").stat().st_mode & 0o777 == 0o700
