"""How large images are that no QEMU has open, by what the document says they are.

An image whose document says "raw" is never looked into: a guest can write any header it likes there.  Sources: the
specifications of the formats (QEMU's docs/interop/qcow2.txt and qed_spec.txt among them), and virStorageSourceProbe's
table of libvirt for what counts as the size in each.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable

import msgspec

from vmherd.driver.blocks import BlockInfo
from vmherd.errors import HostError

#: As much of an image as the headers take.
_HEADER = 1024
_SECTOR = 512

Reader = Callable[[bytes], int | None]


def _at(offset: int, code: str, magic: bytes, unit: int = 1, place: int = 0) -> Reader:
    """A number in the header, of an image that has ``magic`` at ``place``."""

    def read(header: bytes) -> int | None:
        if header[place : place + len(magic)] != magic:
            return None
        return int(struct.unpack_from(code, header, offset)[0]) * unit

    return read


_READERS: dict[str, Reader] = {
    "qcow": _at(24, ">Q", b"QFI\xfb"),
    "qcow2": _at(24, ">Q", b"QFI\xfb"),
    "qed": _at(48, "<Q", b"QED\0"),
    "vdi": _at(368, "<Q", b"\x7f\x10\xda\xbe", place=64),
    "vmdk": _at(12, "<Q", b"KDMV", unit=_SECTOR),
    "vpc": _at(40, ">Q", b"conectix"),
    "ploop": _at(36, "<Q", b"WithouFreSpacExt", unit=_SECTOR),
}


class Look(msgspec.Struct, frozen=True):
    """What one look at an image told, and by what it is known whether another would tell the same."""

    info: BlockInfo | None
    inode: int = 0
    size: int = 0
    blocks: int = 0
    changed: int = -1

    def same(self, path: str) -> bool:
        """Whether nobody changed the image since; of a device that is not known."""
        try:
            found = os.stat(path)
        except OSError:
            return False
        return (
            found.st_mtime_ns == self.changed
            and found.st_blocks == self.blocks
            and found.st_size == self.size
            and found.st_ino == self.inode
        )


def look(path: str, format_: str) -> Look:
    """Look at an image.  Blocks as long as the host does."""
    try:
        found = os.stat(path)
    except OSError:
        return Look(None)
    info = measure(path, format_)
    if not stat.S_ISREG(found.st_mode):
        return Look(info)
    return Look(info, found.st_ino, found.st_size, found.st_blocks, found.st_mtime_ns)


def measure(path: str, format_: str) -> BlockInfo | None:
    """Sizes of the image at ``path``; None if there is none that can be read.  Blocks as long as the host does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return None
    try:
        return _measure(fd, format_)
    except (OSError, struct.error):
        return None
    finally:
        os.close(fd)


def require(path: str, format_: str) -> BlockInfo:
    """Sizes of the image at ``path``.  Raises HostError if there is none that can be read."""
    found = measure(path, format_)
    if found is None:
        hint = "check that the file is there, that you may read it, and that its format is what the document says"
        raise HostError(f"cannot tell the size of {path}", hint=hint)
    return found


def _measure(fd: int, format_: str) -> BlockInfo | None:
    found = os.fstat(fd)
    if stat.S_ISBLK(found.st_mode):
        allocation = physical = os.lseek(fd, 0, os.SEEK_END)
    elif stat.S_ISREG(found.st_mode):
        allocation, physical = found.st_blocks * _SECTOR, found.st_size
    else:
        return None
    reader = _READERS.get(format_)
    capacity = physical if reader is None else reader(os.pread(fd, _HEADER, 0))
    return None if capacity is None else BlockInfo(capacity=capacity, allocation=allocation, physical=physical)


def length(path: str) -> int:
    """Bytes of a file or block device; 0 for what cannot be looked at."""
    found = measure(path, "raw")
    return found.physical if found else 0
