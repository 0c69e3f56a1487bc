"""Pools that are a disk: its partitions are the volumes.

Source of the rules for names and kinds of partitions: storage_backend_disk.c of libvirt
"""

from __future__ import annotations

import asyncio
import os

from vmherd.conf.storage import Pool, Volume, VolumeType
from vmherd.conf.storage.pool import FreeExtent
from vmherd.conf.storage.volume import VolumeFormat, VolumeTarget
from vmherd.errors import HostError, InvalidArgument, InvalidState, OperationFailed, Unsupported, VolumeNotFound
from vmherd.resources.storage import blocks, partitions, signatures
from vmherd.resources.storage.backends.block import BlockBackend
from vmherd.resources.storage.partitions import Partition, Table

#: parted's words for tables that have another name in documents.
_LABELS = {"unknown": "msdos", "dos": "msdos"}
#: wipefs' words for the same.
_MARKS = {"unknown": "dos"}
#: parted's words for what a partition is said to hold, and the flag that says more.
_KINDS = {
    "linux": ("ext2", ""),
    "fat16": ("fat16", ""),
    "fat32": ("fat32", ""),
    "linux-swap": ("linux-swap", ""),
    "linux-lvm": ("ext2", "lvm"),
    "linux-raid": ("ext2", "raid"),
}
_MOST_PRIMARY = 4


class DiskBackend(BlockBackend):
    """parted(8) on one device."""

    async def ready(self, pool: Pool) -> bool:
        """There is nothing to bring up, so ``start`` checks each time whether the disk is as it should be."""
        return False

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        device, format_ = _device(pool), _format(pool)
        if format_ == "lvm2":
            place = "pool/source/format/@type"
            raise Unsupported("LVM is no partition table", place=place, hint="use a pool of type 'logical'")
        signatures.require_device(device, pool.name)
        if not overwrite:
            await signatures.require_blank(device, _MARKS.get(format_, format_))
        await signatures.erase(device)
        await partitions.change(device, "mklabel", _LABELS.get(format_, format_))

    async def start(self, pool: Pool) -> None:
        device, format_ = _device(pool), _format(pool)
        label = (await _read(pool)).label
        if not label:
            raise InvalidState(f"Device '{device}' is unrecognized, requires build", hint="build the pool first")
        if format_ != "unknown" and label != _LABELS.get(format_, format_):
            text = f"Format of device '{device}' does not match the expected format '{format_}'"
            raise InvalidState(text, hint=f"it is {label!r}: correct the pool's <format>, or build it anew")

    async def delete(self, pool: Pool) -> None:
        await signatures.erase(_device(pool))

    async def measure(self, pool: Pool) -> None:
        if not await asyncio.to_thread(os.path.exists, _device(pool)):
            raise HostError(f"device {_device(pool)} is gone", hint="plug it in again, or stop the pool")

    async def refresh(self, pool: Pool) -> dict[str, Volume]:
        table = await _read(pool)
        pool.source.devices[0].free = [FreeExtent(start=each.start, end=each.end + 1) for each in table.free]
        pool.capacity = table.size
        pool.allocation = sum(each.extent.length for each in table.partitions if each != table.extended)
        pool.available = sum(each.length for each in table.free)
        found = [await asyncio.to_thread(_volume, pool, table, each) for each in table.partitions]
        return {volume.name or "": volume for volume in found}

    async def look(self, pool: Pool, volume: Volume) -> Volume | None:
        return (await self.refresh(pool)).get(volume.name or "")

    def place(self, pool: Pool, volume: Volume) -> None:
        super().place(pool, volume)
        volume.target.path = f"/dev/{volume.name}"

    async def make(self, pool: Pool, volume: Volume) -> None:
        """A partition, whose name must be what the kernel will call it."""
        table = await _read(pool)
        format_ = volume.target.format.type if volume.target.format else "none"
        kind, within = _kind(pool, table, format_)
        number = _next_number(table, kind)
        if volume.name != (expected := _name(pool, number)):
            text = f"invalid partition name '{volume.name}', expected '{expected}'"
            raise InvalidArgument(text, hint="partitions are named by the kernel")
        room = table.room(volume.capacity or 0, within=within)
        hint, flag = _KINDS.get(format_, ("", ""))
        words = [kind, *([hint] if hint else []), f"{room.start}B", f"{room.end}B"]
        more = ["set", str(number), flag, "on"] if flag else []
        await partitions.change(_device(pool), "mkpart", *words, *more)

    async def remove(self, pool: Pool, volume: Volume, *, snapshots: bool = False) -> None:
        for each in (await _read(pool)).partitions:
            if _name(pool, each.number) == volume.name:
                await partitions.change(_device(pool), "rm", str(each.number))
                return
        raise VolumeNotFound(volume.name or "")


def _device(pool: Pool) -> str:
    """The disk itself, since links to it say nothing of its partitions."""
    return os.path.realpath(pool.source.devices[0].path)  # parse_pool sees to it that there is one


def _format(pool: Pool) -> str:
    return pool.source.format.type if pool.source.format else "unknown"


async def _read(pool: Pool) -> Table:
    return await partitions.read(_device(pool))


def _name(pool: Pool, number: int) -> str:
    base = os.path.basename(_device(pool))
    separated = pool.source.devices[0].part_separator
    if separated is None:
        separated = base[-1].isdigit()
    return f"{base}{'p' if separated else ''}{number}"


def _kind(pool: Pool, table: Table, format_: str) -> tuple[str, Partition | None]:
    """parted's word for a new partition, and the extended one that it goes into."""
    if table.label != "msdos":
        if format_ == "extended":
            text = f"a partition table of type {table.label!r} has no extended partitions"
            raise Unsupported(text, place="volume/target/format/@type", hint="leave the format out")
        return "primary", None
    if format_ == "extended":
        if table.extended:
            raise OperationFailed("extended partition already exists", hint="there is one at most")
        return "extended", None
    if sum(each.number <= _MOST_PRIMARY for each in table.partitions) < _MOST_PRIMARY:
        return "primary", None
    if table.extended is None:
        text = "no extended partition found and no primary partition available"
        raise OperationFailed(text, hint="delete a partition, or build the pool anew with format 'gpt'")
    return "logical", table.extended


def _next_number(table: Table, kind: str) -> int:
    taken = {each.number for each in table.partitions}
    number = _MOST_PRIMARY + 1 if kind == "logical" else 1
    while number in taken:
        number += 1
    return number


def _volume(pool: Pool, table: Table, partition: Partition) -> Volume:
    name = _name(pool, partition.number)
    assert pool.target  # parse_pool sees to it
    path = blocks.stable_path(pool.target.path or "/dev", f"/dev/{name}")
    extended = partition == table.extended
    size = partition.extent.length
    return Volume(
        type=VolumeType.BLOCK,
        name=name,
        key=path,
        capacity=size,
        allocation=size,
        physical=size,
        target=VolumeTarget(path=path, format=VolumeFormat(type="extended" if extended else "none")),
    )
