"""Initial RAM disks: a tree of files as the "newc" cpio archive that Linux unpacks at boot.

Written here rather than by cpio(1), since device nodes in a real folder need root, and since the same tree must
always give the same bytes.  Source: Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
"""

from __future__ import annotations

import gzip
import stat
from pathlib import PurePosixPath

import msgspec

_TRAILER = "TRAILER!!!"


class Node(msgspec.Struct, frozen=True):
    """One entry: ``mode`` with its type bits, the content or the target of a link, the numbers of a device."""

    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def file(data: bytes | str, *, executable: bool = False) -> Node:
    content = data.encode() if isinstance(data, str) else data
    return Node(stat.S_IFREG | (0o755 if executable else 0o644), content)


def link(target: str) -> Node:
    return Node(stat.S_IFLNK | 0o777, target.encode())


def folder(mode: int = 0o755) -> Node:
    return Node(stat.S_IFDIR | mode)


def character_device(major: int, minor: int, mode: int = 0o600) -> Node:
    return Node(stat.S_IFCHR | mode, device=(major, minor))


def pack(tree: dict[str, Node]) -> bytes:
    """The archive of ``tree``, whose keys are paths such as ``etc/passwd``, compressed.

    Folders on the way are made; everything belongs to root and has no date.
    """
    archive = bytearray()
    for number, (path, node) in enumerate(sorted(_with_folders(tree).items()), start=1):
        archive += _entry(number, path, node)
    archive += _entry(0, _TRAILER, Node(0))
    return gzip.compress(bytes(archive), compresslevel=6, mtime=0)


def _with_folders(tree: dict[str, Node]) -> dict[str, Node]:
    folders = {str(parent): folder() for path in tree for parent in PurePosixPath(path).parents}
    folders.pop(".", None)
    return folders | tree


def _entry(inode: int, path: str, node: Node) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(node.mode) else 1
    numbers = (inode, node.mode, 0, 0, links, 0, len(node.data), 0, 0, *node.device, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers)
    return _aligned(header + name) + _aligned(node.data)


def _aligned(data: bytes) -> bytes:
    """Headers and contents begin at multiples of four bytes."""
    return data + bytes(-len(data) % 4)
