"""The processors of this host: how many, in which order, and what they did so far.

Source: virHostCPUGetInfoPopulateLinux, virHostCPUGetStatsLinux and virHostCPUGetMap of libvirt; proc(5)
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from vmherd.driver.host import HostCpuMap, HostCpuTimes, HostInfo
from vmherd.errors import InvalidArgument
from vmherd.state.node import kernel, memory

_CPUS = "sys/devices/system/cpu"


class _Shape(Struct, frozen=True):
    nodes: int
    sockets: int
    cores: int
    threads: int


def info(root: Path) -> HostInfo:
    """Processors and memory in short."""
    online = _online(root)
    shape = _shape(root, online)
    return HostInfo(
        model=platform.machine(),
        memory=memory.stats(root, None).total,
        cpus=len(online),
        mhz=_mhz(root),
        nodes=shape.nodes,
        sockets=shape.sockets,
        cores=shape.cores,
        threads=shape.threads,
    )


def cpu_map(root: Path) -> HostCpuMap:
    """A host knows no CPUs above those that are present."""
    present = kernel.numbers(root / _CPUS / "present")
    return HostCpuMap(present=max(present, default=-1) + 1 or len(_online(root)), online=_online(root))


def times(root: Path, cpu: int | None) -> HostCpuTimes:
    """Since the boot; raises InvalidArgument for a CPU that is not there."""
    name = "cpu" if cpu is None else f"cpu{cpu}"
    line = re.search(rf"^{name} +(.*)$", kernel.text(root / "proc/stat") or "", re.MULTILINE)
    if line is None:
        raise InvalidArgument(f"the host has no CPU {cpu}", hint="'vmherd nodecpumap' tells which are online")
    ticks = [int(count) / os.sysconf("SC_CLK_TCK") for count in line[1].split()]
    user, nice, system, idle, iowait, irq, softirq = ticks[:7]
    return HostCpuTimes(user=user + nice, system=system + irq + softirq, idle=idle, iowait=iowait)


def _online(root: Path) -> tuple[int, ...]:
    return kernel.numbers(root / _CPUS / "online")


def _mhz(root: Path) -> int:
    """That of the first processor; 0 where the kernel does not tell."""
    names = r"^(?:cpu MHz|clock|cpu MHz static|cpu MHz dynamic)\s*:\s*(\d+)"
    found = re.search(names, kernel.text(root / "proc/cpuinfo") or "", re.MULTILINE)
    return int(found[1]) if found else 0


def _shape(root: Path, online: Sequence[int]) -> _Shape:
    """The most sockets of a node, cores of a socket and threads of a core.

    Where hosts are so uneven that nodes times sockets times cores times threads is not the number of CPUs, that
    number counts as cores of one socket.
    """
    nodes = _nodes(root) or [tuple(online)]
    sockets = [{_place(root, cpu)[0] for cpu in cpus} for cpus in nodes]
    cores = [len({_place(root, cpu) for cpu in cpus if _place(root, cpu)[0] == each})
             for cpus, found in zip(nodes, sockets, strict=True) for each in found]  # fmt: skip
    threads = [len(kernel.numbers(_topology(root, cpu) / "thread_siblings_list")) for cpu in online]
    shape = _Shape(len(nodes), max(map(len, sockets)), max(cores, default=1), max([1, *threads]))
    if shape.nodes * shape.sockets * shape.cores * shape.threads == _all(root, nodes):
        return shape
    return _Shape(1, 1, _all(root, nodes), 1)


def _nodes(root: Path) -> list[tuple[int, ...]]:
    """The CPUs that are online, by NUMA nodes that have any; none where the kernel knows no nodes."""
    folders = sorted((root / "sys/devices/system/node").glob("node[0-9]*"))
    return [cpus for folder in folders if (cpus := kernel.numbers(folder / "cpulist"))]


def _all(root: Path, nodes: Sequence[Sequence[int]]) -> int:
    """Those that are offline, too."""
    return max(len(kernel.numbers(root / _CPUS / "present")), sum(map(len, nodes)))


def _place(root: Path, cpu: int) -> tuple[int, int, int]:
    """Socket, die and core; a kernel that does not know them shows one socket of cores."""
    topology = _topology(root, cpu)
    core = kernel.number(topology / "core_id")
    return (
        kernel.number(topology / "physical_package_id") or 0,
        kernel.number(topology / "die_id") or 0,
        cpu if core is None else core,
    )


def _topology(root: Path, cpu: int) -> Path:
    return root / _CPUS / f"cpu{cpu}/topology"
