"""Limits of disks, as QEMU is told them and tells them.

Source: block_set_io_throttle and BlockDeviceInfo in QEMU's qapi/block-core.json
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vmherd.conf.domain.disk import Disk, IoTune
from vmherd.driver.params import Params
from vmherd.hypervisors.qemu.monitor import Monitor
from vmherd.state.tuning.throttle import params

#: QEMU's names of the limits, each by libvirt's.
_LIMITS = {
    f"{kind}_{unit}_sec": f"{short}{suffix}"
    for unit, short in (("bytes", "bps"), ("iops", "iops"))
    for kind, suffix in (("total", ""), ("read", "_rd"), ("write", "_wr"))
}


def arguments(limits: IoTune) -> dict[str, object]:
    """As QEMU wants them; bursts, their lengths in seconds and the group are left out where not told."""
    found: dict[str, object] = {}
    for ours, theirs in _LIMITS.items():
        found[theirs] = getattr(limits, ours) or 0
        found[f"{theirs}_max"] = getattr(limits, f"{ours}_max")
        found[f"{theirs}_max_length"] = getattr(limits, f"{ours}_max_length") or None
    found["iops_size"] = limits.size_iops_sec
    found["group"] = limits.group_name
    return {name: value for name, value in found.items() if value is not None}


def observed(blocks: Sequence[Mapping[str, Any]], alias: str) -> Params:
    """All limits of a disk as QEMU has them (BlockDeviceInfo); none for an empty drive."""
    inserted = next((each.get("inserted") for each in blocks if alias in each.get("qdev", "").split("/")), None) or {}
    found = params(None)
    for ours, theirs in _LIMITS.items():
        for end in ("", "_max", "_max_length"):
            found[f"{ours}{end}"] = int(inserted.get(f"{theirs}{end}", 0))
    found["size_iops_sec"] = int(inserted.get("iops_size", 0))
    return found | {"group_name": str(inserted.get("group", ""))}


async def limit(monitor: Monitor, disk: Disk) -> None:
    """Tell QEMU the limits of a disk.  Raises Refused with QEMU's reason."""
    alias = disk.alias.name if disk.alias else ""
    paths = [str(each.get("qdev", "")) for each in await monitor.execute("query-block")]
    # The path of a virtio disk ends in an inner device.
    path = next((path for path in paths if alias in path.split("/")), alias)
    await monitor.execute("block_set_io_throttle", {"id": path, **arguments(disk.iotune or IoTune())})
