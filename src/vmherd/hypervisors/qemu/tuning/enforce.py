"""Limits of a document, set on the guest's control group: all of them when it starts, one by one later.

Source: qemuSetupCgroup and qemuDomainSetMemoryParameters of libvirt.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from vmherd.conf.domain import Domain
from vmherd.conf.domain.memory import BlkioTune, MemTune
from vmherd.conf.domain.vcpu import CpuTune, NumaMode
from vmherd.driver.params import Params
from vmherd.errors import HostError, InvalidArgument, InvalidState, Unsupported
from vmherd.hypervisors.qemu.tuning.threads import Threads
from vmherd.state.tuning import blkio
from vmherd.util.cgroup import limits
from vmherd.util.cgroup.group import Group
from vmherd.util.xmlmodel.scalars import format_cpus


@contextmanager
def _told_plainly(what: str) -> Iterator[None]:
    """The kernel's complaint about a limit becomes HostError."""
    try:
        yield
    except OSError as problem:
        text = f"the host does not set {what}: {problem.strerror}"
        raise HostError(text, hint="the value may be out of its range, or against a limit of the group above") from None


def require(group: Group | None, controller: str, word: str) -> Group:
    """The group, if it has that controller; else InvalidState in libvirt's words."""
    if group is None or not group.has(controller):
        raise InvalidState(
            f"cgroup {word} controller is not mounted", hint="it must be mounted before the guest starts"
        )
    return group


def process_limits(group: Group, domain: Domain) -> None:
    """Everything that the guest has as a whole."""
    if domain.memtune:
        memory(group, domain)
    if domain.blkiotune:
        disk_access(group, blkio.told(domain))
    tune = domain.cputune or CpuTune()
    with _told_plainly("<cputune>"):
        if tune.shares is not None:
            limits.set_cpu_shares(group, tune.shares)
        if tune.global_period is not None or tune.global_quota is not None:
            limits.set_cpu_quota(group, tune.global_period, tune.global_quota)
    told = domain.numatune.memory if domain.numatune else None
    if told and told.mode is NumaMode.RESTRICTIVE and told.nodeset:
        memory_nodes(group, told.nodeset)


def memory(group: Group, domain: Domain) -> None:
    tune = domain.memtune or MemTune()
    with _told_plainly("<memtune>"):
        limits.set_memory(group, tune.hard_limit, tune.soft_limit, tune.swap_hard_limit)


def disk_access(group: Group, params: Params) -> None:
    """Set what is told, all other limits stay.  Raises Unsupported for weights where disks have none."""
    wants_weight = params.get("weight") or params.get("device_weight")
    if wants_weight and not limits.weight_file(group):
        raise Unsupported("blkio weight is valid only for bfq or cfq scheduler", hint="use limits of devices")
    devices = [(name, _number(path), value) for name in blkio.DEVICE for path, value in blkio.limits(params, name)]
    with _told_plainly("<blkiotune>"):
        if params.get("weight"):
            limits.set_io_weight(group, int(params["weight"]))
        for name, number, value in devices:
            if name == "weight":
                limits.set_device_weight(group, number, value)
            else:
                limits.set_device_limit(group, number, name, value)


def _number(path: str) -> str:
    """What the kernel calls a block device; InvalidArgument for what is none."""
    try:
        found = os.stat(path)
    except OSError as problem:
        raise InvalidArgument(f"unable to stat '{path}': {problem.strerror}") from None
    if not stat.S_ISBLK(found.st_mode):
        raise InvalidArgument(f"device '{path}' is not a block device", hint="limits are of disks of the host")
    return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"


def memory_nodes(group: Group, nodes: tuple[int, ...]) -> None:
    with _told_plainly("<numatune>"):
        limits.set_memory_nodes(group, format_cpus(nodes))


#: Which threads a period and a quota are of, by their words in parameters: all together, or each by itself.
_PARTS = ("vcpu", "emulator", "iothread")


def has_parts(params: Params) -> bool:
    """Whether parameters are of single threads, too, and not of the guest as a whole alone."""
    return any(any(_time(params, part)) for part in _PARTS)


def cpu_time(group: Group, params: Params, threads: Threads) -> None:
    """Set shares, and what periods and quotas are told; 0 is not told.

    Raises HostError for what the kernel refuses, such as parts with more time than the whole; some may be set then.
    """
    with _told_plainly("<cputune>"):
        if params.get("cpu_shares"):
            limits.set_cpu_shares(group, int(params["cpu_shares"]))
        period, quota = _time(params, "global")
        if period or quota:
            limits.set_cpu_quota(group, period, quota)
        for part in _PARTS:
            period, quota = _time(params, part)
            if period or quota:
                for name, tids in threads.part(part):
                    below = group.threads(name)
                    limits.set_cpu_quota(below, period, quota)
                    for tid in tids:
                        below.add_thread(tid)


def _time(params: Params, part: str) -> tuple[int | None, int | None]:
    return int(params.get(f"{part}_period", 0)) or None, int(params.get(f"{part}_quota", 0)) or None


def has_tune(domain: Domain) -> bool:
    """Whether a document asks for anything that a control group gives."""
    return any(lacking(domain, frozenset()))


def lacking(domain: Domain, controllers: frozenset[str]) -> Iterator[tuple[str, str]]:
    """What a document asks for that needs a controller which is not among these: its element, the controller."""
    tune = domain.cputune or CpuTune()
    times = (getattr(tune, f"{part}{what}") for part in ("", "global_", "emulator_", "iothread_") for what in _TIME)
    if (tune.shares is not None or any(value is not None for value in times)) and "cpu" not in controllers:
        yield "cputune", "cpu"
    if (domain.memtune or MemTune()) != MemTune() and "memory" not in controllers:
        yield "memtune", "memory"
    if (domain.blkiotune or BlkioTune()) != BlkioTune() and "blkio" not in controllers:
        yield "blkiotune", "blkio"
    told = (domain.numatune.memory, *domain.numatune.memnodes) if domain.numatune else ()
    if any(each and each.mode is NumaMode.RESTRICTIVE for each in told) and "cpuset" not in controllers:
        yield "numatune", "cpuset"


_TIME = ("period", "quota")
