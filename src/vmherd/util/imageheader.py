"""What the first bytes of a disk image tell: its format, how large a disk it is, and what it is based on.

Whoever asks must know that a guest can write any header into a raw disk: what is found here is for showing, and for
images that no guest had yet.  A few kilobytes are read of each, whatever a header says of itself.  Sources: QEMU's
docs/interop/qcow2.txt and qed_spec.txt, the on-disk format of LUKS, VMware's virtual disk format 1.1, and the table of
formats in src/storage_file/storage_file_probe.c of libvirt
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

#: As much of an image as the headers take.
HEADER = 4096
_SECTOR = 512
#: The longest name that QEMU accepts for a backing file, and the most of a VMDK's descriptor that it reads.
_LONGEST_NAME, _LONGEST_DESCRIPTOR = 1023, 20 * _SECTOR

_LAZY, _EXTERNAL, _EXTENDED = 1, 4, 16
_BACKING_FORMAT = 0xE2792ACA
#: The least and the largest size of a cluster that QEMU takes, as powers of two.
_CLUSTERS = range(9, 22)


class ImageHeader(msgspec.Struct, frozen=True, kw_only=True):
    """``size`` is what the guest sees, in bytes, None where the header does not tell.

    ``backing`` is as it is written, ``backing_format`` "" where it is left open, ``version`` that of the format.
    ``others`` says that content is in more files, which are not told here; ``encryption`` is "luks" or "aes".
    """

    format: str
    size: int | None = None
    backing: str | None = None
    backing_format: str = ""
    version: int = 0
    cluster_size: int | None = None
    lazy_refcounts: bool = False
    extended_l2: bool = False
    snapshots: int = 0
    others: bool = False
    encryption: str = ""


class _Format(msgspec.Struct, frozen=True):
    name: str
    magic: bytes
    place: int = 0
    size_at: int = 0
    size_code: str = ">Q"
    unit: int = 1

    def matches(self, head: bytes) -> bool:
        return head[self.place : self.place + len(self.magic)] == self.magic

    def size(self, head: bytes) -> int | None:
        try:
            return int(struct.unpack_from(self.size_code, head, self.size_at)[0]) * self.unit
        except struct.error:
            return None


#: The first that matches counts.
_FORMATS = (
    _Format("qcow", b"QFI\xfb\x00\x00\x00\x01", size_at=24),
    _Format("qcow2", b"QFI\xfb", size_at=24),
    _Format("qed", b"QED\0", size_at=48, size_code="<Q"),
    _Format("vmdk", b"KDMV", size_at=12, size_code="<Q", unit=_SECTOR),
    _Format("vpc", b"conectix", size_at=40),
    _Format("vdi", b"\x7f\x10\xda\xbe", place=0x40, size_at=368, size_code="<Q"),
    _Format("ploop", b"WithouFreSpacExt", size_at=36, size_code="<Q", unit=_SECTOR),
)
_LUKS = b"LUKS\xba\xbe"


def read_header(path: Path) -> ImageHeader:
    """Look at a file; one that bears no format's mark is raw.  Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        return header_of(fd)
    finally:
        os.close(fd)


def header_of(fd: int) -> ImageHeader:
    """Look at an open file."""
    head = os.pread(fd, HEADER, 0)
    found = next((each for each in _FORMATS if each.matches(head)), None)
    if found is None:
        return _luks(fd, head) if head.startswith(_LUKS) else ImageHeader(format="raw")
    size = found.size(head)
    if found.name in ("qcow", "qcow2") and len(head) >= 72:
        return _qcow(fd, found.name, size, head)
    if found.name == "qed" and len(head) >= 64:
        flags, offset, length = *struct.unpack_from("<Q", head, 16), *struct.unpack_from("<II", head, 56)
        backing = _name(fd, offset, length) if flags & 1 else None
        return ImageHeader(format="qed", size=size, backing=backing, backing_format="raw" if flags & 4 else "")
    if found.name == "vmdk":
        return ImageHeader(format="vmdk", size=size, others=_spread(fd, head))
    return ImageHeader(format=found.name, size=size)


def _luks(fd: int, head: bytes) -> ImageHeader:
    """The disk begins behind the keys; where, only version 1 tells in its header."""
    if len(head) < 108:
        return ImageHeader(format="raw")
    (version,), (payload,) = struct.unpack_from(">H", head, 6), struct.unpack_from(">I", head, 104)
    size = os.fstat(fd).st_size - payload * _SECTOR
    return ImageHeader(format="raw", size=size if version == 1 and size >= 0 else None, encryption="luks")


def _qcow(fd: int, name: str, size: int | None, head: bytes) -> ImageHeader:
    version, offset, length, bits = struct.unpack_from(">IQII", head, 4)
    backing = _name(fd, offset, length)
    if name == "qcow":
        (method,) = struct.unpack_from(">I", head, 36)
        return ImageHeader(format=name, size=size, backing=backing, version=1, encryption="aes" if method else "")
    method, snapshots = *struct.unpack_from(">I", head, 32), *struct.unpack_from(">I", head, 60)
    features = compatible = 0
    start = 72
    if version >= 3 and len(head) >= 104:
        features, compatible, _, _, start = struct.unpack_from(">QQQII", head, 72)
    return ImageHeader(
        format=name,
        size=size,
        backing=backing,
        backing_format=next((text for kind, text in _extensions(head, start) if kind == _BACKING_FORMAT), ""),
        version=version,
        cluster_size=1 << bits if bits in _CLUSTERS else None,
        lazy_refcounts=bool(compatible & _LAZY),
        extended_l2=bool(features & _EXTENDED),
        snapshots=snapshots,
        others=bool(features & _EXTERNAL),
        encryption={1: "aes", 2: "luks"}.get(method, ""),
    )


def _extensions(head: bytes, at: int) -> Iterator[tuple[int, str]]:
    while at + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, at)
        if not kind:
            return
        yield kind, head[at + 8 : at + 8 + length].decode(errors="replace")
        at += 8 + (length + 7 & ~7)


def _name(fd: int, offset: int, length: int) -> str | None:
    if not 0 < length <= _LONGEST_NAME or not 0 < offset < 1 << 32:
        return None
    return os.pread(fd, length, offset).decode(errors="surrogateescape").rstrip("\0") or None


def _spread(fd: int, head: bytes) -> bool:
    """Whether a VMDK has a parent, or is in more than one file; those without a descriptor are not."""
    if len(head) < 44:
        return False
    (capacity,), (offset, sectors) = struct.unpack_from("<Q", head, 12), struct.unpack_from("<QQ", head, 28)
    if not capacity:
        return True
    if not offset:
        return False
    length = min(sectors * _SECTOR, _LONGEST_DESCRIPTOR)
    text = os.pread(fd, length, offset * _SECTOR) if offset < 1 << 32 else b""
    return b"parentFileNameHint" in text or text.count(b"SPARSE") + text.count(b"FLAT") > 1
