"""Counters and sizes of disks.

Source: query-blockstats and query-named-block-nodes in QEMU's qapi/block-core.json; qemuDomainGetStatsBlock and
qemuDomainGetBlockInfo of libvirt.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vmherd.driver.blocks import BlockInfo, DiskError
from vmherd.errors import OperationFailed
from vmherd.hypervisors.qemu.exchange import Question
from vmherd.hypervisors.qemu.outline import DiskOutline, Outline
from vmherd.hypervisors.qemu.statistics.guest import Guest, Params, Replies

_SECTOR = 512
_INDEX = re.compile(r"libvirt-(\d+)-(?:format|storage)")

QUESTIONS: list[Question] = [("query-blockstats", None), ("query-named-block-nodes", {"flat": True})]

#: libvirt's names of the counters, by QEMU's.
COUNTERS = {
    "rd.reqs": "rd_operations",
    "rd.bytes": "rd_bytes",
    "rd.times": "rd_total_time_ns",
    "wr.reqs": "wr_operations",
    "wr.bytes": "wr_bytes",
    "wr.times": "wr_total_time_ns",
    "fl.reqs": "flush_operations",
    "fl.times": "flush_total_time_ns",
}


class Image:
    """One image of a chain, as QEMU has it open."""

    def __init__(self, stats: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> None:
        self._stats = stats
        self._nodes = nodes
        self._storage: Mapping[str, Any] = stats.get("parent", {})

    @property
    def node(self) -> str:
        """The node that knows its format."""
        return str(self._stats.get("node-name", ""))

    @property
    def index(self) -> int | None:
        """The number in the names of its nodes, which tells it from the others of the guest."""
        return index_of(self.node)

    @property
    def storage(self) -> str:
        """The node that reads what the image is in."""
        return str(self._storage.get("node-name", ""))

    @property
    def highest(self) -> int:
        """The end of what was written since the start."""
        return int(self._storage.get("stats", {}).get("wr_highest_offset", 0))

    @property
    def capacity(self) -> int:
        return int(self._details.get("virtual-size", 0))

    @property
    def used(self) -> int:
        """What it takes of the host's disks; 0 where QEMU cannot tell, as of a block device."""
        return int(self._details.get("actual-size", 0))

    @property
    def path(self) -> str:
        """Where it is on this host, "" for one elsewhere."""
        name = str(self._nodes.get(self.storage, {}).get("file", ""))
        return name if name.startswith("/") else ""

    @property
    def threshold(self) -> int:
        return int(self._nodes.get(self.storage, {}).get("write_threshold", 0))

    @property
    def below(self) -> Image | None:
        stats = self._stats.get("backing")
        return Image(stats, self._nodes) if stats else None

    @property
    def chain(self) -> Iterator[Image]:
        """It and all below it."""
        image: Image | None = self
        while image:
            yield image
            image = image.below

    @property
    def _details(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._nodes.get(self.node, {}).get("image", {})
        return found


def index_of(node: str) -> int | None:
    """The number in a node's name."""
    match = _INDEX.fullmatch(node)
    return int(match[1]) if match else None


class Answered:
    """What QEMU said of all disks."""

    def __init__(self, replies: Replies) -> None:
        self._stats: list[Mapping[str, Any]] = (replies[0] or []) if replies else []
        nodes: list[Mapping[str, Any]] = (replies[1] or []) if len(replies) > 1 else []
        self._nodes = {str(node["node-name"]): node for node in nodes}

    def device(self, alias: str) -> Mapping[str, Any] | None:
        """The disk of that name.  QEMU tells its path, which for virtio and USB ends in an inner device."""
        if not alias:
            return None
        for each in self._stats:
            if alias in each.get("qdev", "").split("/") or each.get("device") == f"drive-{alias}":
                return each
        return None

    def image(self, alias: str) -> Image | None:
        """The uppermost image of a disk; None for an empty drive."""
        return _uppermost(self.device(alias), self._nodes)


def _uppermost(stats: Mapping[str, Any] | None, nodes: Mapping[str, Mapping[str, Any]]) -> Image | None:
    """The image that a device reads, below the node that keeps what is read."""
    while stats and str(stats.get("node-name", "")).startswith("libvirt-CoR-"):
        stats = stats.get("parent")
    return Image(stats, nodes) if stats and "node-name" in stats else None


def owners(stats: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """The alias of the disk of each node; a number after it tells which image below the uppermost it belongs to."""
    for each in stats:
        alias = str(each.get("qdev", "")).removeprefix("/machine/peripheral/").partition("/")[0]
        uppermost = _uppermost(each, {})
        if not alias or uppermost is None:
            continue
        yield str(each["node-name"]), alias
        for place, image in enumerate(uppermost.chain):
            owner = f"{alias}/{image.index}" if place else alias
            yield from ((image.node, owner), (image.storage, owner))


def added(disks: Iterable[DiskOutline], answered: Answered) -> dict[str, int]:
    """The counters of disks, added up, by libvirt's names.  Raises OperationFailed for one QEMU tells nothing of."""
    found = dict.fromkeys(_NAMES.values(), 0)
    for disk in disks:
        stats = (answered.device(disk.alias) or {}).get("stats")
        if stats is None:
            raise OperationFailed(f"QEMU tells nothing of disk {disk.target!r}")
        for theirs, name in _NAMES.items():
            found[name] += int(stats[theirs])
    return found


_NAMES = {theirs: theirs.replace("time_ns", "times") for theirs in COUNTERS.values()}


def errors(outline: Outline, replies: Replies) -> dict[str, DiskError]:
    """Disks whose last request failed, by target."""
    found = {}
    for disk in outline.disks:
        for each in replies[0] or []:
            error = _ERRORS.get(each.get("io-status", "ok"))
            if error and disk.alias and disk.alias in each.get("qdev", "").split("/"):
                found[disk.target] = error
    return found


_ERRORS = {"failed": DiskError.UNSPEC, "nospace": DiskError.NO_SPACE}


def questions(guest: Guest) -> list[Question]:
    return QUESTIONS if guest.outline.disks else []


def params(guest: Guest, replies: Replies) -> Params:
    answered = Answered(replies)
    records = [each for disk in guest.outline.disks for each in _records(guest, disk, answered)]
    yield "block.count", len(records)
    for number, record in enumerate(records):
        yield from ((f"block.{number}.{name}", value) for name, value in record)


def _records(guest: Guest, disk: DiskOutline, answered: Answered) -> Iterator[list[tuple[str, int | str]]]:
    """The image of a disk, and with ``backing`` those below it."""
    image = answered.image(disk.alias)
    if guest.live is None:
        yield [*_head(disk.target, disk.path, None), *_idle(guest.images.get(disk.path))]
        return
    stats = (answered.device(disk.alias) or {}).get("stats")
    counters = [(name, int(stats[theirs])) for name, theirs in COUNTERS.items()] if stats else []
    told = list(_sizes(image, disk)) if image and not disk.empty else []
    yield [*_head(disk.target, disk.path, image), *counters, *told]
    while guest.backing and image and (image := image.below):
        yield [*_head(disk.target, image.path, image), *_sizes(image, disk)]


def _head(target: str, path: str, image: Image | None) -> Iterator[tuple[str, int | str]]:
    yield "name", target
    if path:
        yield "path", path
    if image and image.index is not None:
        yield "backingIndex", image.index


def _sizes(image: Image, disk: DiskOutline) -> Iterator[tuple[str, int]]:
    yield "allocation", image.highest
    if image.capacity:
        yield "capacity", image.capacity
    if physical := image.used or device_size(disk.path if disk.kind == "block" else image.path):
        yield "physical", physical
    if image.threshold:
        yield "threshold", image.threshold


def _idle(sizes: BlockInfo | None) -> Iterator[tuple[str, int]]:
    if sizes is not None:
        found = {"allocation": sizes.allocation, "capacity": sizes.capacity, "physical": sizes.physical}
        yield from ((name, value) for name, value in found.items() if value)


def device_size(path: str) -> int:
    """Bytes of a block device as the kernel knows them, which keeps nobody waiting; 0 for what is none."""
    try:
        number = os.stat(path).st_rdev if path.startswith("/dev/") else 0
        place = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/size")
        return int(place.read_text()) * _SECTOR if number else 0
    except OSError:
        return 0


def info(disk: DiskOutline, image: Image, length: int) -> BlockInfo:
    """Sizes of a disk that is in use; ``length`` is that of its file or device, 0 where it cannot be told.

    What was written last tells how far an image reaches that is filled from its beginning on; it does not for
    qcow2 files, nor for one that nothing was written to yet.
    """
    if image.highest and not (disk.kind == "file" and disk.format == "qcow2"):
        return BlockInfo(capacity=image.capacity, allocation=image.highest, physical=image.used or length)
    return BlockInfo(capacity=image.capacity, allocation=image.used, physical=length or image.used)
