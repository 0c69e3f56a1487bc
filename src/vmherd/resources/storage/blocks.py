"""Volumes that are block devices: their steady names, their owners, and notes of those that are being made."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vmherd.conf.storage import Pool, Volume
from vmherd.errors import Busy, HostError, VolumeNotFound
from vmherd.resources.storage.backends.base import Surroundings
from vmherd.util.files import on_host

#: Seconds within which the node of a device appears.
_NODE = 5.0
_MAKING = "making"


def stable_path(folder: str, device: str) -> str:
    """The link in ``folder`` that leads to a device, such as one of /dev/disk/by-id; the device where there is none.

    /dev itself has no links.  Blocks.
    """
    if folder.rstrip("/") == "/dev" or not os.path.isdir(folder):
        return device
    real = os.path.realpath(device)
    with os.scandir(folder) as entries:
        found = sorted(entry.path for entry in entries if os.path.realpath(entry.path) == real)
    return found[0] if found else device


def size_of(device: str) -> int:
    """In bytes.  Blocks."""
    with on_host(f"look at {device}"), open(device, "rb", buffering=0) as disk:
        return disk.seek(0, os.SEEK_END)


def own(volume: Volume) -> None:
    """Give a device the owner and the mode that its document asks for.  Blocks."""
    wanted, path = volume.target.permissions, volume.target.path or ""
    if wanted is None:
        return
    with on_host(f"give {path} its owner"):
        if wanted.mode is not None:
            Path(path).chmod(wanted.mode)
        if (wanted.owner, wanted.group) != (-1, -1):
            os.chown(path, wanted.owner, wanted.group)


async def appeared(path: str) -> None:
    """Return when a device has its node.  Raises HostError where that takes too long."""
    for _ in range(round(_NODE / 0.02)):
        if await asyncio.to_thread(os.path.exists, path):
            return
        await asyncio.sleep(0.02)  # the kernel or udev makes it, and tells nobody
    hint = "a loop device shows its partitions with 'losetup -P'; elsewhere, check that udev runs"
    raise HostError(f"{path} did not appear", hint=hint)


@contextmanager
def noted(around: Surroundings, pool: Pool, volume: Volume) -> Iterator[None]:
    """A note that a volume is being made, which outlives us if we are killed."""
    note = around.run / f"{pool.uuid}.{volume.name}.{_MAKING}"
    note.touch()
    yield
    note.unlink(missing_ok=True)


async def tidy(around: Surroundings, pool: Pool, remove: Callable[[Volume], Awaitable[None]]) -> None:
    """Remove the volumes that are noted, and that nobody makes any more."""
    for note in around.run.glob(f"{pool.uuid}.*.{_MAKING}"):
        name = note.name.removeprefix(f"{pool.uuid}.").removesuffix(f".{_MAKING}")
        with suppress(Busy):  # somebody is at it
            async with around.works.left_behind(around.works.key(pool.uuid or "", name)):
                with suppress(VolumeNotFound, HostError):  # it was not made yet, or is in use
                    await remove(Volume(name=name))
                note.unlink(missing_ok=True)
