"""The head of the file that a guest is saved in."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from vmherd.errors import OperationFailed
from vmherd.hypervisors.qemu.saved.image import ALIGNMENT, Compression, Corrupt, Image, complete, read, rewrite


def written(path: Path, *, whole: bool = True) -> Image:
    image = Image(xml="<domain/>", cookie="<cookie/>", running=False, compression=Compression.ZSTD)
    path.write_bytes(image.encode(whole=whole).ljust(image.stream, b"\0") + b"QEVM")
    return image


def test_an_image_is_read_as_it_was_written_and_its_stream_stays(tmp_path: Path) -> None:
    path = tmp_path / "image"
    image = written(path)
    assert image.stream % ALIGNMENT == 0
    assert read(path) == image
    image.xml, image.running = "<domain>longer than it was</domain>", True
    rewrite(path, image)
    assert read(path) == image
    assert path.read_bytes()[image.stream :] == b"QEVM"
    image.xml = "x" * image.room
    with pytest.raises(OperationFailed, match="too large"):
        rewrite(path, image)


def test_an_image_counts_once_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "image"
    written(path, whole=False)
    with pytest.raises(Corrupt, match="incomplete"):
        read(path)
    complete(path)
    assert read(path).xml == "<domain/>"


def test_images_of_hosts_with_the_other_order_of_bytes_and_of_libvirt_without_a_cookie(tmp_path: Path) -> None:
    path = tmp_path / "image"
    head = struct.pack(">16s5I56x", b"LibvirtQemudSave", 2, 32, 1, 1, 0)
    path.write_bytes(head + b"<domain/>\0".ljust(32, b"\0") + b"QEVM")
    image = read(path)
    assert (image.xml, image.cookie, image.running, image.compression) == ("<domain/>", "", True, Compression.GZIP)
    assert image.stream == len(head) + 32


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"short", "failed to read qemu header"),
        (bytes(100), "magic is incorrect"),
        (struct.pack("=16s5I56x", b"LibvirtQemudSave", 0x01010101, 32, 1, 0, 0), "version is not supported"),
        (struct.pack("=16s5I56x", b"LibvirtQemudSave", 2, 0, 1, 0, 0), "invalid header"),
        (struct.pack("=16s5I56x", b"LibvirtQemudSave", 2, 32, 1, 77, 0), "invalid header"),
        (struct.pack("=16s5I56x", b"LibvirtQemudSave", 2, 32, 1, 0, 33), "invalid header"),
        (struct.pack("=16s5I56x", b"LibvirtQemudSave", 2, 32, 1, 0, 0) + b"<dom", "failed to read domain XML"),
    ],
)
def test_what_is_no_image_is_said_to_be_none(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "image").write_bytes(content)
    with pytest.raises(Corrupt, match=told):
        read(tmp_path / "image")
