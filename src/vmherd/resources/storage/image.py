"""Making, copying, resizing, wiping and removing images.  qemu-img does what depends on the format.

An image is made under a hidden name and gets its own when it is complete; no process that is killed leaves half a one.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

import msgspec

from vmherd.conf.storage import Volume
from vmherd.driver.storage import WipeAlgorithm
from vmherd.errors import HostError, InvalidArgument, OperationFailed, OperationUnsupported, Unsupported
from vmherd.resources.storage import chain, nocow, wiping
from vmherd.resources.storage.opening import Use, opened, require_unused
from vmherd.resources.storage.qemuimg import Image, commands, filling
from vmherd.resources.storage.unfinished import unfinished
from vmherd.resources.storage.works import Work
from vmherd.util import command
from vmherd.util.files import on_host
from vmherd.util.imageheader import header_of
from vmherd.util.sparse import clone, length_of, reserve
from vmherd.util.sparse import copy as copy_content

#: Seconds that a copy may take; a large disk over a slow network takes hours.
_COPY = 24 * 3600.0
_PACKAGE = "qemu-utils"
#: The formats that qemu-img can resize.
_GROWING = ("raw", "luks", "qcow2", "qed")
#: What qemu-img says where the kernel's clock is too coarse to tell how fast it makes keys; often not the next time.
_UNLUCKY, _TRIES = "Unable to get accurate CPU usage", 20
#: What qemu-img says of how far it is.
_PROGRESS = re.compile(rb"\((\d+\.\d+)/100%\)")


def path_of(volume: Volume) -> Path:
    """Where a volume is that was found or has its place."""
    assert volume.target.path
    return Path(volume.target.path)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What is copied: ``volume`` as it was found, ``within`` the folder that it must not lead out of.

    ``passphrase`` is a file with that of an encrypted one; ``opener`` opens what it is based on.
    """

    volume: Volume
    within: Path | None = None
    passphrase: Path | None = None
    opener: chain.Open

    @property
    def path(self) -> Path:
        return path_of(self.volume)

    @property
    def format(self) -> str:
        return Image(volume=self.volume, path="").format

    @property
    def plain(self) -> bool:
        """Whether its bytes are those of the disk."""
        return self.format == "raw"


async def create(
    path: Path, volume: Volume, work: Work, *, passphrase: Path | None = None, metadata: bool = False
) -> None:
    """Make an empty image; ``passphrase`` is a file with that of an encrypted one.  Raises AlreadyExists, HostError."""
    async with unfinished(path, volume, work) as new:
        made = Image(volume=volume, path=str(new), secret=str(passphrase or ""))
        await work.run(_check_backing, path, volume)
        if made.format == "raw":
            _check_plain(metadata=metadata)
            await work.run(_make_raw, new, volume, work)
        else:
            await _run(commands(made, metadata=metadata), work)


def _check_plain(*, metadata: bool) -> None:
    if metadata:
        text = "metadata preallocation is not supported for raw volumes"
        raise Unsupported(text, hint="leave it out, or make a qcow2 volume")


def _check_backing(path: Path, volume: Volume) -> None:
    if volume.backing and volume.backing.path:
        try:
            (path.parent / volume.backing.path).stat()
        except OSError as problem:
            text = f"inaccessible backing store volume {volume.backing.path}: {problem.strerror}"
            raise HostError(text, hint="correct its <path>") from None


def _make_raw(path: Path, volume: Volume, work: Work) -> None:
    capacity, allocation = volume.capacity or 0, min(volume.allocation or 0, volume.capacity or 0)
    work.total = allocation
    with on_host(f"make an image of {capacity} bytes"), path.open("x+b") as file:
        if volume.target.no_cow:
            _mark_nocow(file)
        os.ftruncate(file.fileno(), capacity)
        reserve(file.fileno(), 0, allocation, tick=work.tick)


def _mark_nocow(file: BinaryIO) -> None:
    try:
        nocow.mark(file.fileno(), True)
    except OSError:
        text = "unable to control COW flag on the volume, not btrfs"
        raise HostError(text, hint="leave <nocow/> out") from None


async def copy(
    source: Source,
    path: Path,
    volume: Volume,
    work: Work,
    *,
    passphrase: Path | None = None,
    metadata: bool = False,
    reflink: bool = False,
) -> None:
    """Make an image with the content of another, and of at least its capacity; ``reflink``: they must share blocks.

    Raises AlreadyExists, Busy while somebody may write to the source, OperationUnsupported, HostError.
    """
    volume.capacity = max(volume.capacity or 0, source.volume.capacity or 0)
    async with unfinished(path, volume, work) as new:
        made = Image(volume=volume, path=str(new), secret=str(passphrase or ""))
        if made.format == "raw" and source.plain:
            _check_plain(metadata=metadata)
            await work.run(_copy_raw, source, new, volume, work, reflink=reflink)
            return
        if not metadata and await work.run(_shared, source, new, made):
            await _enlarge(new, made.format, volume.capacity, source.volume.capacity or 0)
            return
        if reflink:
            raise OperationUnsupported(_CANNOT_SHARE, hint="clone without reflink")
        await _convert(source, made, work, metadata=metadata)


_CANNOT_SHARE = "these two images cannot share blocks: their formats differ, or the file system does not offer it"


def _copy_raw(source: Source, new: Path, volume: Volume, work: Work, *, reflink: bool) -> None:
    with (
        opened(source.path, Use.COPY, within=source.within) as old,
        on_host(f"copy {source.path}"),
        new.open("x+b", buffering=0) as file,
    ):
        size, capacity, fd = length_of(old), volume.capacity or 0, file.fileno()
        work.total = size
        if volume.target.no_cow:
            _mark_nocow(file)
        if not (stat.S_ISREG(os.fstat(old).st_mode) and clone(old, fd)):
            if reflink:
                raise OperationUnsupported(_CANNOT_SHARE, hint="clone without reflink")
            os.ftruncate(fd, max(size, capacity))
            copy_content(old, fd, 0, size, at=0, tick=work.tick)
        os.ftruncate(fd, max(size, capacity))
        # What the copy has left out: holes, and what the source is too short for.
        reserve(fd, 0, min(volume.allocation or 0, capacity), tick=lambda done: work.tick(size))


def _shared(source: Source, new: Path, made: Image) -> bool:
    """Let the new image be the same as the old one, block by block, where nobody asked for another one."""
    if made.encryption or source.format != made.format:
        return False
    with (
        opened(source.path, Use.COPY, within=source.within) as old,
        on_host(f"copy {source.path}"),
        new.open("xb", buffering=0) as file,
    ):
        header = header_of(old)
        alike = not (header.backing or header.snapshots or header.others or header.encryption)
        if alike and made.matches(header) and clone(old, file.fileno()):
            return True
    new.unlink()
    return False


async def _convert(source: Source, made: Image, work: Work, *, metadata: bool) -> None:
    if (made.volume.capacity or 0) > (source.volume.capacity or 0) and made.format not in _GROWING:
        text = f"a copy in format {made.format} cannot be larger than what it is made of"
        raise Unsupported(text, place="volume/capacity", hint=f"of these formats it can: {', '.join(_GROWING)}")
    shares = await work.run(_shares, source, Path(made.path))
    await _run(commands(made, await _opened(source, work), metadata=metadata), work, offload=shares)
    if made.encryption is None:
        await _enlarge(Path(made.path), made.format, made.volume.capacity or 0, source.volume.capacity or 0)


def _shares(source: Source, new: Path) -> bool:
    """Whether two files here can share blocks: then the kernel shall copy, else qemu-img leaves zeros out."""
    with opened(source.path, Use.COPY, within=source.within) as old, new.open("xb", buffering=0) as file:
        try:
            return stat.S_ISREG(os.fstat(old).st_mode) and clone(old, file.fileno())
        finally:
            new.unlink()


async def _opened(source: Source, work: Work) -> Image:
    """A source, and how QEMU opens it."""
    original = Image(volume=source.volume, path=str(source.path), secret=str(source.passphrase or ""))
    plain = "raw" if source.format == "luks" else source.format

    def look() -> str:
        found = chain.layers(source.path, plain, source.opener)
        return chain.as_json(found, original.key if original.encryption else "")

    return msgspec.structs.replace(original, opened=await work.run(look))


async def format_device(volume: Volume, passphrase: Path | None, work: Work) -> None:
    """Make a LUKS container of a device."""
    await _run(commands(_device(volume, passphrase)), work)


async def fill(volume: Volume, source: Source, work: Work, *, passphrase: Path | None = None) -> None:
    """Give a device, which is a container already if it shall be, the content of an image that fits."""
    await _run([filling(_device(volume, passphrase), await _opened(source, work))], work)


def _device(volume: Volume, passphrase: Path | None) -> Image:
    """A volume whose bytes are those of a disk, or of a container of LUKS."""
    plain = volume.replace(target=volume.target.replace(format=None))
    return Image(volume=plain, path=str(path_of(volume)), secret=str(passphrase or ""))


async def _enlarge(path: Path, format_: str, capacity: int, before: int) -> None:
    if capacity > before:
        await command.run(["qemu-img", "resize", "-q", "-f", format_, path, str(capacity)], package=_PACKAGE)


async def _run(steps: list[list[str]], work: Work, *, offload: bool = False) -> None:
    def heard(text: bytes) -> None:
        if found := _PROGRESS.findall(text):
            work.total = 10000
            work.tick(round(float(found[-1]) * 100))

    for program, what, *words in steps:
        shown = ["-p"] if what == "convert" else ["-q"]
        shown += ["-C"] if what == "convert" and offload and "-n" not in words else []
        for left in reversed(range(_TRIES)):
            try:
                argv = [*command.WITH_US, program, what, *shown, *words]
                await command.run(argv, patience=_COPY, package=_PACKAGE, heard=heard)
                break
            except HostError as problem:
                if _UNLUCKY not in str(problem) or not left:
                    raise


async def resize(
    path: Path,
    volume: Volume,
    capacity: int,
    work: Work,
    *,
    shrink: bool,
    allocate: bool,
    within: Path | None = None,
    passphrase: Path | None = None,
) -> None:
    """Give an image another capacity.  Raises InvalidArgument for a format that cannot change."""
    image = Image(volume=volume, path=str(path), secret=str(passphrase or ""))
    if image.format == "raw":
        await work.run(_resize_raw, path, capacity, work, allocate=allocate, within=within)
        return
    if allocate and image.format != "qcow2":
        raise InvalidArgument(f"preallocation is not possible when resizing {image.format}")
    with on_host(f"look at {path}"), opened(path, Use.CHANGE, within=within):
        pass  # nobody has it, and it is where it seems to be
    words = ["--shrink"] if shrink else []
    words += ["--preallocation=falloc"] if allocate and capacity > (volume.capacity or 0) else []
    which = [*image.objects(), "--image-opts", image.options()] if image.encryption else ["-f", image.format, str(path)]
    await command.run(["qemu-img", "resize", "-q", *words, *which, str(capacity)], package=_PACKAGE)


def _resize_raw(path: Path, capacity: int, work: Work, *, allocate: bool, within: Path | None) -> None:
    with opened(path, Use.CHANGE, within=within) as fd, on_host(f"resize {path}"):
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OperationFailed(f"{path} is a disk, which has the size that it has")
        before = os.fstat(fd).st_size
        try:
            os.ftruncate(fd, capacity)
            if allocate:
                work.total = capacity
                reserve(fd, 0, capacity, tick=work.tick)
        except BaseException:
            if capacity > before:
                os.ftruncate(fd, before)
            raise


async def wipe(path: Path, algorithm: WipeAlgorithm, work: Work, *, within: Path | None = None) -> None:
    """Overwrite an image with what ``algorithm`` says; its size stays."""

    def act() -> None:
        with opened(path, Use.CHANGE, within=within) as fd, on_host(f"wipe {path}"):
            wiping.wipe(fd, algorithm, work)

    await work.run(act)


async def delete(path: Path, *, within: Path | None = None) -> None:
    """Remove an image, or an empty folder; of a symbolic link just itself."""
    await asyncio.to_thread(_delete, path, within)


def _delete(path: Path, within: Path | None) -> None:
    with on_host(f"remove {path}"):
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            path.rmdir()
        elif stat.S_ISREG(mode) and os.access(path, os.W_OK):
            with opened(path, Use.CHANGE, within=within):
                path.unlink()
        else:
            require_unused(path)
            path.unlink()
