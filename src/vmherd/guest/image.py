"""Files a guest can boot: what kind a file is, and making empty disks.

A file is looked at once, when a guest is described, and its format then stands in the guest's document: a guest
that writes to a raw disk could otherwise turn it into any other format (CVE-2008-2004).
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path

from vmherd.conf.domain.storage import StorageFormat
from vmherd.errors import AlreadyExists, HostError, InvalidArgument
from vmherd.util import command

#: Bytes from the start that tell the kind of a file; an ISO 9660 volume begins at 32 KiB.
_HEAD = 0x8006

_FORMATS = (
    (0, b"QFI\xfb\x00\x00\x00\x01", StorageFormat.QCOW),
    (0, b"QFI\xfb", StorageFormat.QCOW2),
    (0, b"QED\0", StorageFormat.QED),
    (0, b"KDMV", StorageFormat.VMDK),
    (0, b"conectix", StorageFormat.VPC),
    (0x40, b"\x7f\x10\xda\xbe", StorageFormat.VDI),
)

#: Linux for x86 (Documentation/arch/x86/boot.rst) and arm64 (Documentation/arch/arm64/booting.rst), and ELF.
_KERNELS = ((0x202, b"HdrS"), (0x38, b"ARM\x64"), (0, b"\x7fELF"))


class Kind(StrEnum):
    """What a file is to a guest."""

    DOCUMENT = "document"
    KERNEL = "kernel"
    CDROM = "cdrom"
    DISK = "disk"


def kind_of(path: Path) -> Kind:
    """What ``path`` is, by its content; what is nothing else is a disk.  Raises InvalidArgument if unreadable."""
    head = _head(path)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return Kind.DOCUMENT
    if any(_has(head, *kernel) for kernel in _KERNELS):
        return Kind.KERNEL
    return Kind.CDROM if _has(head, 0x8001, b"CD001") else Kind.DISK


def format_of(path: Path) -> StorageFormat:
    """The format of a disk image, raw if it bears no other's mark.  Raises InvalidArgument if unreadable."""
    head = _head(path)
    return next((found for offset, magic, found in _FORMATS if _has(head, offset, magic)), StorageFormat.RAW)


def _has(head: bytes, offset: int, magic: bytes) -> bool:
    return head[offset : offset + len(magic)] == magic


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError as problem:
        raise InvalidArgument(
            f"cannot read {path}: {problem.strerror}", hint="check the path, and that you may read it"
        ) from None


async def make_disk(path: Path, size: int) -> None:
    """Make an empty qcow2 image that a guest sees as ``size`` bytes, in a folder that is made too.

    Raises AlreadyExists if there is a file, and HostError; it leaves no file behind then.
    """
    _make_room(path)
    undo = partial(path.unlink, missing_ok=True)
    try:
        await command.run(["qemu-img", "create", "-q", "-f", "qcow2", "--", path, str(size)], package="qemu-utils")
    except BaseException:
        undo()
        raise


def _make_room(path: Path) -> None:
    if path.exists():
        raise AlreadyExists(f"{path} exists already", hint="remove it, or use it as it is with --disk")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as problem:
        raise HostError(f"cannot make {problem.filename}: {problem.strerror}") from None
