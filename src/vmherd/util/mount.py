"""Mounts, and namespaces of mounts, of the thread that calls; all raise OSError.

What changes the thread's own namespace is to be done in a thread that ends with it (`util.apart`).
Source: mount(2), mount_namespaces(7), open_tree(2), move_mount(2), setns(2)
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

NOSUID = 0x2
_BIND, _MOVE, _RECURSIVE, _PRIVATE, _SLAVE = 0x1000, 0x2000, 0x4000, 0x40000, 0x80000
_CLONE_FS, _CLONE_NEWNS = 0x200, 0x20000
_DETACH = 0x2
#: The same numbers on every architecture but Alpha.
_OPEN_TREE, _MOVE_MOUNT = 428, 429
_OPEN_TREE_CLONE, _FROM_DESCRIPTOR = 0x1, 0x4
_HERE = -100  # AT_FDCWD


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, path: str | Path | None = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), None if path is None else str(path))
    return result


def _mount(source: str | Path, target: Path, kind: str, flags: int, options: str = "") -> None:
    words = (os.fsencode(source), os.fsencode(target), os.fsencode(kind) or None)
    _check(_libc().mount(*words, ctypes.c_ulong(flags), os.fsencode(options) or None), target)


def mount(kind: str, target: Path, options: str = "", *, flags: int = 0) -> None:
    """Mount a file system that has no source, such as a tmpfs."""
    _mount(kind, target, kind, flags, options)


def bind(source: Path, target: Path) -> None:
    """Show ``source`` with all that is mounted below it at ``target``, too."""
    _mount(source, target, "", _BIND | _RECURSIVE)


def move(source: Path, target: Path) -> None:
    """Move a mount on top of what is at ``target``."""
    _mount(source, target, "", _MOVE)


def unmount(target: Path) -> None:
    """Take a mount away; who uses it keeps it."""
    _check(_libc().umount2(os.fsencode(target), _DETACH), target)


def leave_for_own() -> None:
    """Give this thread a namespace of mounts of its own.

    It begins as a copy of the present one.  What the host mounts later is seen there, what is mounted there the host
    does not see.
    """
    _check(_libc().unshare(_CLONE_FS | _CLONE_NEWNS))
    _mount("none", Path("/"), "", _SLAVE | _RECURSIVE)


def enter(namespace: int) -> None:
    """Move this thread to the namespace of mounts behind a descriptor of /proc/PID/ns/mnt."""
    _check(_libc().unshare(_CLONE_FS))
    _check(_libc().setns(namespace, _CLONE_NEWNS))


def clone(path: Path) -> int:
    """A descriptor of a new mount of the file or folder at ``path``, that is nowhere yet; for `attach`."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC
    return _check(_libc().syscall(_OPEN_TREE, _HERE, os.fsencode(path), ctypes.c_uint(flags)), path)


def attach(tree: int, target: Path) -> None:
    """Mount what `clone` gave at ``target``, cut off from whatever is mounted where it came from."""
    _check(_libc().syscall(_MOVE_MOUNT, tree, b"", _HERE, os.fsencode(target), ctypes.c_uint(_FROM_DESCRIPTOR)), target)
    _mount("none", target, "", _PRIVATE)


def below(folder: Path) -> list[Path]:
    """The places below ``folder`` where something is mounted, as this thread sees them; each once."""
    found = []
    for line in Path("/proc/thread-self/mountinfo").read_bytes().splitlines():
        place = Path(os.fsdecode(_plain(line.split(b" ")[4])))
        if folder in place.parents and place not in found:
            found.append(place)
    return found


def _plain(word: bytes) -> bytes:
    """A path as it is: blanks and their like are written in octal.  Source: proc(5)"""
    for code in (b"\\040", b"\\011", b"\\012", b"\\134"):
        word = word.replace(code, bytes([int(code[1:], 8)]))
    return word
