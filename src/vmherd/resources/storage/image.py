"""Making, copying, resizing and wiping images.  qemu-img does what depends on the format.

An image is made under a hidden name and gets its own when it is complete; no process that is killed leaves half a one.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from vmherd.conf.storage import Volume
from vmherd.conf.storage.volume import VolumeFormat, VolumeTarget
from vmherd.errors import AlreadyExists, Busy, HostError, InvalidArgument
from vmherd.resources.storage.folder import UNFINISHED
from vmherd.resources.storage.qemuimg import Image, commands
from vmherd.util import command
from vmherd.util.files import on_host

#: Seconds that a copy may take; a large disk over a slow network takes hours.
_COPY = 24 * 3600.0
_PACKAGE = "qemu-utils"

#: Where QEMU locks an image byte by byte: permissions it uses, and those it does not share (block/file-posix.c).
_LOCKS_FROM, _LOCKS = 100, 200
_F_OFD_GETLK = 36


async def create(path: Path, volume: Volume, passphrase: Path | None = None) -> None:
    """Make an empty image; ``passphrase`` is a file with that of an encrypted one.  Raises AlreadyExists, HostError."""
    async with _unfinished(path, volume) as new:
        made = Image(volume=volume, path=str(new), secret=str(passphrase or ""))
        if made.format == "raw":
            await asyncio.to_thread(_make_raw, new, volume)
        else:
            await _run(commands(made))


async def copy(source: Path, source_format: str, path: Path, volume: Volume, passphrase: Path | None = None) -> None:
    """Make an image with the content of another; it is enlarged where the volume is larger."""
    original = Volume(name=source.name, target=VolumeTarget(format=VolumeFormat(type=source_format)))
    async with _unfinished(path, volume) as new:
        made = Image(volume=volume, path=str(new), secret=str(passphrase or ""))
        await _run(commands(made, Image(volume=original, path=str(source))))
        if made.encryption is None:
            await _enlarge(new, made.format, volume.capacity or 0)


async def _run(steps: list[list[str]]) -> None:
    for program, what, *words in steps:
        await command.run([program, what, "-q", *words], patience=_COPY, package=_PACKAGE)


async def _enlarge(path: Path, format_: str, capacity: int) -> None:
    if capacity:
        argv = ["qemu-img", "resize", "-q", "-f", format_, str(path), str(capacity)]
        try:
            await command.run(argv, package=_PACKAGE)
        except HostError as problem:
            if "shrink" not in str(problem).lower():  # a smaller capacity than the content: it keeps its own
                raise


async def resize(path: Path, format_: str, capacity: int, *, shrink: bool, allocate: bool) -> None:
    """Give an image another capacity.  Raises InvalidArgument for a format that cannot change."""
    require_unused(path)
    if format_ == "raw":
        await asyncio.to_thread(_resize_raw, path, capacity, allocate)
        return
    if allocate:
        raise InvalidArgument(f"preallocation is not possible when resizing {format_}")
    argv = ["qemu-img", "resize", "-q", "-f", format_, *(["--shrink"] if shrink else []), str(path), str(capacity)]
    await command.run(argv, package=_PACKAGE)


def _resize_raw(path: Path, capacity: int, allocate: bool) -> None:
    with on_host(f"resize {path}"), path.open("r+b") as file:
        before = os.fstat(file.fileno()).st_size
        os.ftruncate(file.fileno(), capacity)
        if allocate and capacity > before:
            os.posix_fallocate(file.fileno(), before, capacity - before)


def wipe(path: Path) -> None:
    """Make an image nothing but zeros, of the size it has.  Blocks as long as the disk needs."""
    require_unused(path)
    with on_host(f"wipe {path}"), path.open("r+b", buffering=0) as file:
        size, zeros = file.seek(0, os.SEEK_END), bytes(1 << 20)
        file.seek(0)
        for at in range(0, size, len(zeros)):
            file.write(zeros[: min(len(zeros), size - at)])
        os.fsync(file.fileno())


def delete(path: Path) -> None:
    """Remove an image, or an empty folder."""
    require_unused(path)
    with on_host(f"remove {path}"):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def require_unused(path: Path) -> None:
    """Raise Busy while a QEMU has the image open."""
    if not path.is_file():
        return
    with on_host(f"look at {path}"), path.open("rb") as file:
        # struct flock: type, whence, start, length, pid; the kernel answers with a lock that stands in the way.
        asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, _LOCKS_FROM, _LOCKS, 0)
        found = fcntl.fcntl(file, _F_OFD_GETLK, asked)
    if struct.unpack("hhqqi4x", found)[0] != fcntl.F_UNLCK:
        raise Busy(f"{path} is in use", hint="stop the guest that has it open, then try again")


@asynccontextmanager
async def _unfinished(path: Path, volume: Volume) -> AsyncIterator[Path]:
    """A hidden name beside ``path``, which it becomes if all goes well."""
    await asyncio.to_thread(_require_free, path)
    new = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
    try:
        yield new
        await asyncio.to_thread(_finish, new, path, volume)
    finally:
        new.unlink(missing_ok=True)


def _require_free(path: Path) -> None:
    if os.path.lexists(path):
        raise AlreadyExists(f"storage volume '{path.name}' exists already", hint="choose another name")


def _finish(new: Path, path: Path, volume: Volume) -> None:
    wanted = volume.target.permissions
    with on_host(f"make {path}"):
        new.chmod(0o600 if wanted is None or wanted.mode is None else wanted.mode)
        if wanted and (wanted.owner, wanted.group) != (-1, -1):
            os.chown(new, wanted.owner, wanted.group)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        try:
            os.link(new, path)  # unlike a rename, it does not replace what somebody made meanwhile
        except FileExistsError:
            raise AlreadyExists(f"storage volume '{path.name}' exists already", hint="choose another name") from None


def _make_raw(path: Path, volume: Volume) -> None:
    capacity, allocation = volume.capacity or 0, min(volume.allocation or 0, volume.capacity or 0)
    with on_host(f"make an image of {capacity} bytes"), path.open("xb") as file:
        os.ftruncate(file.fileno(), capacity)
        if allocation:
            os.posix_fallocate(file.fileno(), 0, allocation)
