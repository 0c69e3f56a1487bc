"""What the first bytes of a disk image tell: its format, how large a disk it is, and what it is based on.

Whoever asks must know that a guest can write any header into a raw disk: what is found here is for showing, and for
images that no guest had yet.  Sources: QEMU's docs/interop/qcow2.txt and qed_spec.txt, and the table of formats in
src/storage_file/storage_file_probe.c of libvirt
"""

from __future__ import annotations

import struct
from pathlib import Path

import msgspec

#: As much of an image as the headers take.
HEADER = 1024
_SECTOR = 512
#: The longest name that QEMU accepts for a backing file.
_LONGEST_NAME = 1023
#: The header extension of qcow2 that names the format of the backing file.
_BACKING_FORMAT = 0xE2792ACA


class ImageHeader(msgspec.Struct, frozen=True):
    """``size`` is what the guest sees, in bytes, None where the header does not tell; ``backing`` as it is written."""

    format: str
    size: int | None = None
    backing: str | None = None
    #: The version of the format, 0 where it has none.
    version: int = 0
    #: The format of what it is based on, as it is written; "" where the image leaves it open.
    backing_format: str = ""


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


def read_header(path: Path) -> ImageHeader:
    """Look at a file; one that bears no format's mark is raw.  Raises OSError."""
    with path.open("rb", buffering=0) as file:
        head = file.read(HEADER)
        found = next((each for each in _FORMATS if each.matches(head)), None)
        if found is None:
            return ImageHeader("raw")
        backing, backing_format, version = None, "", 0
        if found.name in ("qcow", "qcow2") and len(head) >= 20:
            version, offset, length = struct.unpack_from(">IQI", head, 4)
            if 0 < length <= _LONGEST_NAME and offset < 1 << 32:
                file.seek(offset)
                backing = file.read(length).decode(errors="surrogateescape")
                backing_format = _backing_format(head, version) if found.name == "qcow2" else ""
        return ImageHeader(found.name, found.size(head), backing, version, backing_format)


def _backing_format(head: bytes, version: int) -> str:
    """What the header extension for it says; extensions come after the header, in the first sectors."""
    place = struct.unpack_from(">I", head, 100)[0] if version > 2 and len(head) >= 104 else 72
    while place + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, place)
        if kind == 0:
            break
        if kind == _BACKING_FORMAT:
            return head[place + 8 : place + 8 + length].decode(errors="replace")
        place += 8 + (length + 7) // 8 * 8
    return ""
