"""The file a guest is saved in, as libvirt's QEMU driver writes it, so that either restores what the other saved.

A header, the document and a cookie, each ended by a NUL, room for a longer document, then QEMU's migration stream,
compressed or not.  The magic says whether the stream is whole; integers are in the order of the host that wrote it.
Source: src/qemu/qemu_saveimage.h of libvirt
"""

from __future__ import annotations

import os
import struct
from enum import IntEnum
from pathlib import Path

import msgspec

from vmherd.errors import OperationFailed
from vmherd.util.files import on_host

_WHOLE = b"LibvirtQemudSave"
_PART = b"LibvirtQemudPart"
_VERSION = 2
#: Magic, version, length of document and cookie, was running, compression, offset of the cookie, fourteen unused.
_HEADER = "16s5I56x"
_SIZE = struct.calcsize(_HEADER)
#: No document is as long as this: a header that says so is none.
_MOST = 64 << 20
#: Room that is left for a longer document.
_SPARE = 1024
#: The stream begins at a multiple of this, so that it can be written past the file system's cache.
ALIGNMENT = 1 << 20


class Compression(IntEnum):
    """How the stream is compressed, by libvirt's numbers; the names are those of the programs."""

    RAW = 0
    GZIP = 1
    BZIP2 = 2
    XZ = 3
    LZOP = 4
    ZSTD = 5

    @property
    def program(self) -> str:
        return self.name.lower()


class Corrupt(OperationFailed):
    """What is there is no image, or not a whole one."""


class Image(msgspec.Struct, kw_only=True):
    """What stands before the stream.  ``room`` is how many bytes document and cookie may take."""

    xml: str
    cookie: str = ""
    running: bool = True
    compression: Compression = Compression.RAW
    room: int = 0

    def __post_init__(self) -> None:
        if not self.room:
            size = _SIZE + len(self.xml.encode()) + len(self.cookie.encode()) + _SPARE
            self.room = -(-size // ALIGNMENT) * ALIGNMENT - _SIZE

    @property
    def stream(self) -> int:
        """Where QEMU's stream begins, in bytes."""
        return _SIZE + self.room

    def encode(self, *, whole: bool) -> bytes:
        """What the file begins with.  Raises OperationFailed for a document that has no room."""
        xml, cookie = self.xml.encode() + b"\0", self.cookie.encode() + b"\0" if self.cookie else b""
        if len(xml) + len(cookie) > self.room:
            raise OperationFailed("new xml too large to fit in file", hint="shorten it: metadata and comments first")
        magic, offset = _WHOLE if whole else _PART, len(xml) if cookie else 0
        numbers = (_VERSION, self.room, int(self.running), int(self.compression), offset)
        return struct.pack("=" + _HEADER, magic, *numbers) + xml + cookie


def read(path: Path) -> Image:
    """What stands before the stream of a whole image.  Raises Corrupt, HostError for a file that cannot be read."""
    with on_host("read the saved guest"), path.open("rb") as file:
        head = file.read(_SIZE)
        order = _byte_order(path, head)
        _, _, room, running, compression, offset = struct.unpack(order + _HEADER, head)
        if not 0 < room <= _MOST or offset >= room or compression not in set(Compression):
            raise Corrupt(f"invalid header data in {path}", hint=_NO_IMAGE)
        data = file.read(room)
    if len(data) < room:
        raise Corrupt("failed to read domain XML", hint=_NO_IMAGE)
    xml, cookie = data[: offset or room], data[offset:] if offset else b""
    return Image(
        xml=_text(xml), cookie=_text(cookie), running=bool(running), compression=Compression(compression), room=room
    )


def _byte_order(path: Path, head: bytes) -> str:
    """Which order of bytes the header of a whole image is in."""
    if len(head) < _SIZE:
        raise Corrupt("failed to read qemu header", hint=_NO_IMAGE)
    if head.startswith(_PART):
        raise Corrupt("save image is incomplete", hint="saving it was interrupted; the guest kept running then")
    if not head.startswith(_WHOLE):
        raise Corrupt("image magic is incorrect", hint=_NO_IMAGE)
    for order in "=", "<", ">":
        if (version := struct.unpack(order + _HEADER, head)[1]) <= _VERSION:
            return order
    raise Corrupt(f"image version is not supported ({version} > {_VERSION})", hint="a newer program made it")


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode(errors="replace")


def rewrite(path: Path, image: Image) -> None:
    """Replace what stands before the stream of a whole image, in one write.  Raises OperationFailed, HostError."""
    head = image.encode(whole=True)
    with on_host("change the saved guest"):
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(fd, head, 0)
            os.fsync(fd)
        finally:
            os.close(fd)


def complete(path: Path) -> None:
    """Say of an image that its stream is whole, once it is on the disk.  Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
        os.pwrite(fd, _WHOLE, 0)
        os.fsync(fd)
    finally:
        os.close(fd)


def discard(path: Path) -> None:
    """Make sure that nobody takes what is at ``path`` for a guest: a file is removed, a device is marked."""
    if path.is_file():
        path.unlink(missing_ok=True)
    elif path.exists():
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(fd, _PART, 0)
        finally:
            os.close(fd)


_NO_IMAGE = "this is no file that a guest was saved to, or it is damaged"
