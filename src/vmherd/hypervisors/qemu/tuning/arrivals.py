"""Threads that have just come: they are bound, scheduled and limited as the document says, like those before them."""

from __future__ import annotations

from collections.abc import Collection

from vmherd.conf.domain import Domain
from vmherd.hypervisors.qemu.monitor import Monitor
from vmherd.hypervisors.qemu.tuning import enforce, threads
from vmherd.state.changes import Edit
from vmherd.state.tuning import limits
from vmherd.util.cgroup.group import Group


async def settle(
    monitor: Monitor,
    pid: int,
    domain: Domain,
    group: Group | None,
    *,
    vcpus: Collection[int] = (),
    iothreads: Collection[int] = (),
) -> None:
    """See to the threads of these vCPUs and I/O threads.  Raises HostError."""
    found = await threads.find(monitor, pid)
    ours = threads.Threads(
        pid=pid,
        vcpus={number: tid for number, tid in found.vcpus.items() if number in vcpus},
        iothreads={number: tid for number, tid in found.iothreads.items() if number in iothreads},
    )
    threads.place(domain, ours, emulator=False)
    if group and group.has("cpu"):
        enforce.cpu_time(group, _of_threads(domain, ("vcpu", "iothread")), ours)


async def settle_all(monitor: Monitor, pid: int, domain: Domain, group: Group | None) -> None:
    """See to all threads, when a guest starts.  Raises HostError."""
    if domain.cputune is None and domain.vcpu.cpuset is None:
        return
    found = await threads.find(monitor, pid)
    threads.place(domain, found)
    if group and group.has("cpu"):
        enforce.cpu_time(group, _of_threads(domain, ("vcpu", "iothread", "emulator")), found)


def _of_threads(domain: Domain, parts: tuple[str, ...]) -> dict[str, int | float | bool | str]:
    """The periods and quotas of these parts, and nothing else."""
    return {name: value for name, value in limits.cpu_time(domain).items() if name.partition("_")[0] in parts}


def states_of(domain: Domain) -> Edit:
    """Notes which vCPUs are there, as in ``domain``."""

    def edit(other: Domain) -> None:
        other.vcpu.current, other.vcpus = domain.vcpu.current, domain.vcpus

    return edit
