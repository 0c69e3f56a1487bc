"""Limits of a group, each as v1 and as v2 have it.  All raise OSError where the kernel refuses a value."""

from __future__ import annotations

from vmherd.util.cgroup.group import Group

DEFAULT_PERIOD = 100000
#: The shares and the weight that a group has by default; both are proportional.
_SHARES, _WEIGHT = 1024, 100
_MAX_WEIGHT = 10000

#: v1's file of each limit of a block device, and v2's word in io.max.
_DEVICE = {
    "read_bytes_sec": ("blkio.throttle.read_bps_device", "rbps"),
    "write_bytes_sec": ("blkio.throttle.write_bps_device", "wbps"),
    "read_iops_sec": ("blkio.throttle.read_iops_device", "riops"),
    "write_iops_sec": ("blkio.throttle.write_iops_device", "wiops"),
}
_WEIGHT_FILES = ("blkio.weight", "blkio.bfq.weight"), ("io.weight", "io.bfq.weight")


def set_cpu_shares(group: Group, shares: int) -> None:
    """The group's part of the CPU time when it is scarce, as against its siblings' shares; 1024 is usual."""
    if group.is_unified("cpu"):
        weight = min(max(1, shares * _WEIGHT // _SHARES), _MAX_WEIGHT)
        group.write("cpu", "cpu.weight", str(weight))
    else:
        group.write("cpu", "cpu.shares", str(shares))


def set_cpu_quota(group: Group, period: int | None, quota: int | None) -> None:
    """At most ``quota`` microseconds of CPU time in each ``period``; None leaves one as it is, below 0 is no limit."""
    if group.is_unified("cpu"):
        had_quota, _, had_period = group.read("cpu", "cpu.max").strip().partition(" ")
        wanted = had_quota or "max" if quota is None else "max" if quota < 0 else str(quota)
        group.write("cpu", "cpu.max", f"{wanted} {period or had_period or DEFAULT_PERIOD}")
        return
    if period is not None:
        if quota is not None:  # the old quota in the new period may be more than the group above has
            group.write("cpu", "cpu.cfs_quota_us", "-1")
        group.write("cpu", "cpu.cfs_period_us", str(period))
    if quota is not None:
        group.write("cpu", "cpu.cfs_quota_us", str(quota))


def set_memory(group: Group, hard: int | None, soft: int | None, with_swap: int | None) -> None:
    """Bytes of memory the group may have, shall have when memory is scarce, and may have together with swap.

    None is no limit.  In v1 memory with swap is never less than memory alone, so that the order matters.
    """
    if group.is_unified("memory"):
        group.write("memory", "memory.max", _bytes(hard, "max"))
        group.write("memory", "memory.high", _bytes(soft, "max"))
        swap = None if with_swap is None else max(0, with_swap - (hard or 0))
        if group.read("memory", "memory.swap.max"):
            group.write("memory", "memory.swap.max", _bytes(swap, "max"))
        return
    group.write("memory", "memory.soft_limit_in_bytes", _bytes(soft, "-1"))
    pair = [("memory.limit_in_bytes", hard), ("memory.memsw.limit_in_bytes", with_swap)]
    if not group.read("memory", "memory.memsw.limit_in_bytes"):
        pair = pair[:1]
    # Lowering begins with memory alone, raising with swap.
    for name, size in pair if _is_lowered(group, hard) else reversed(pair):
        group.write("memory", name, _bytes(size, "-1"))


def _is_lowered(group: Group, hard: int | None) -> bool:
    now = int(group.read("memory", "memory.limit_in_bytes") or 0)
    return hard is not None and hard < now


def _bytes(size: int | None, unlimited: str) -> str:
    return unlimited if size is None else str(size)


def weight_file(group: Group) -> str:
    """The file of the group's part of disk access; "" where the kernel's scheduler of disks has none."""
    names = _WEIGHT_FILES[group.is_unified("blkio")]
    return next((name for name in names if (group.folder("blkio") / name).exists()), "")


def io_weight(group: Group) -> int:
    """The group's part of disk access; 0 where disks have no weights."""
    name = weight_file(group)
    return int(group.read("blkio", name).split()[-1]) if name else 0


def set_io_weight(group: Group, weight: int) -> None:
    """The group's part of disk access; only where there is a ``weight_file``."""
    group.write("blkio", weight_file(group), str(weight))


def set_device_limit(group: Group, device: str, name: str, value: int) -> None:
    """A limit of one block device, named "major:minor"; 0 is none."""
    old, new = _DEVICE[name]
    if group.is_unified("blkio"):
        group.write("blkio", "io.max", f"{device} {new}={value or 'max'}")
    else:
        group.write("blkio", old, f"{device} {value}")


def set_device_weight(group: Group, device: str, weight: int) -> None:
    """The group's part of one block device; 0 is that of the group."""
    name = weight_file(group)
    if group.is_unified("blkio"):
        group.write("blkio", name, f"{device} {weight or 'default'}")
    else:
        group.write("blkio", f"{name}_device", f"{device} {weight}")


def set_memory_nodes(group: Group, nodes: str) -> None:
    """The host's nodes that memory may come from, as "0-1,3"; what is elsewhere moves."""
    if not group.is_unified("cpuset"):
        group.write("cpuset", "cpuset.memory_migrate", "1")
    group.write("cpuset", "cpuset.mems", nodes)


def cpu_usage(group: Group) -> tuple[float, float, float]:
    """Seconds of CPU the group used: in all, in user mode, in system mode."""
    if group.is_unified("cpuacct"):
        told = dict(line.split() for line in group.read("cpuacct", "cpu.stat").splitlines())
        total, user, system = (int(told.get(f"{name}_usec", 0)) for name in ("usage", "user", "system"))
        return total / 1e6, user / 1e6, system / 1e6
    told = dict(line.split() for line in group.read("cpuacct", "cpuacct.stat").splitlines())
    tick = 100  # USER_HZ, which the kernel's interfaces use whatever its own clock is
    total = int(group.read("cpuacct", "cpuacct.usage") or 0)
    return total / 1e9, int(told.get("user", 0)) / tick, int(told.get("system", 0)) / tick


def cpu_usage_each(group: Group) -> tuple[float, ...]:
    """Seconds of CPU the group used on each CPU; empty in v2, which does not count them."""
    if group.is_unified("cpuacct"):
        return ()
    return tuple(int(word) / 1e9 for word in group.read("cpuacct", "cpuacct.usage_percpu").split())
