"""Disks whose changes are thrown away: an overlay beside the image takes them, and goes with the guest.

An image that guests share is opened to read only, so that such a disk comes when QEMU runs: first its overlay, then
the device.  Source: qemuSnapshotCreateDisksTransient and qemuProcessSetupDisksTransient of libvirt; blockdev-create
and blockdev-snapshot in QEMU's qapi/block-core.json.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.disk import Disk
from vmherd.conf.domain.storage import DiskSource, StorageFormat, StorageType
from vmherd.errors import HypervisorError, NotResponding
from vmherd.hypervisors.qemu.command import Launch, blockdev, device, disk
from vmherd.hypervisors.qemu.command.blockdev import Image
from vmherd.hypervisors.qemu.confinement import hand_over
from vmherd.hypervisors.qemu.monitor import Monitor
from vmherd.hypervisors.qemu.startup import leftovers

#: How often we look whether a job is done, and the seconds between.
_TRIES, _PAUSE = 500, 0.02


async def cover(domain: Domain, monitor: Monitor, launch: Launch) -> None:
    """Put an overlay over each transient disk, before the vCPUs run.  Raises HypervisorError with QEMU's reason."""
    plan = blockdev.plan(domain, launch)
    numbers, order = count(plan.next_node), dict(disk.boot_order(domain))
    late = False
    for place, (each, images) in enumerate(zip(domain.devices.disks, plan.chains, strict=True)):
        if each.transient is None:
            continue
        if not each.transient.share_backing:
            overlay = await _overlay(domain, each, images[0], numbers, monitor, launch)
            await monitor.execute("blockdev-snapshot", {"node": images[0].top, "overlay": overlay.top})
            continue
        await _open(images, monitor, launch)
        overlay = await _overlay(domain, each, images[0], numbers, monitor, launch, below=images[0].top)
        end = disk.frontend(domain, each, {"drive": overlay.top}, order.get(place))
        await monitor.execute("device_add", _plain(end))
        late = True
    if late:
        await monitor.execute("system_reset")  # so that the firmware learns what it can boot from


async def _open(images: list[Image], monitor: Monitor, launch: Launch) -> None:
    """The nodes of a chain, read only and from the bottom up."""
    for image in reversed(images):
        for node in blockdev.nodes(replace(image, readonly=True), launch):
            await monitor.execute("blockdev-add", _plain(node))


async def _overlay(
    domain: Domain,
    each: Disk,
    image: Image,
    numbers: Iterator[int],
    monitor: Monitor,
    launch: Launch,
    below: str | None = None,
) -> Image:
    """An empty image over ``image``; QEMU links them itself unless it is told ``below``."""
    path = Path(f"{image.source.file}.TRANSIENT-{domain.name}")
    leftovers.note(launch.folder, each.target.dev, path)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    hand_over([path], launch.identity)
    overlay = replace(
        image,
        node=f"libvirt-{next(numbers)}",
        type=StorageType.FILE,
        source=DiskSource(file=str(path)),
        format=StorageFormat.QCOW2,
        readonly=False,
        encryption=None,
        below=below,
        last=below is None,
    )
    storage, formatted = blockdev.nodes(overlay, launch)
    await monitor.execute("blockdev-add", _plain(storage))
    size = await _size(image.top, monitor)
    await _create({"driver": "qcow2", "file": overlay.storage, "size": size}, overlay.node, monitor)
    await monitor.execute("blockdev-add", _plain(formatted))
    return overlay


async def _size(node: str, monitor: Monitor) -> int:
    nodes = await monitor.execute("query-named-block-nodes", {"flat": True})
    return int(next(each["image"]["virtual-size"] for each in nodes if each["node-name"] == node))


async def _create(options: dict[str, object], name: str, monitor: Monitor) -> None:
    job = f"create-{name}"
    await monitor.execute("blockdev-create", {"job-id": job, "options": options})
    for _ in range(_TRIES):
        found = next(each for each in await monitor.execute("query-jobs") if each["id"] == job)
        if found["status"] == "concluded":
            break
        await asyncio.sleep(_PAUSE)
    else:
        raise NotResponding("QEMU did not make an overlay in time", hint="is the storage of the image overloaded?")
    await monitor.execute("job-dismiss", {"id": job})
    if "error" in found:
        raise HypervisorError(f"QEMU could not make an overlay: {found['error']}", hint="see the guest's log")


def _plain(properties: device.Properties) -> dict[str, object]:
    """What the command line would say, as the monitor takes it."""
    plain: dict[str, object] = json.loads(device.option("", properties)[1])
    return plain
