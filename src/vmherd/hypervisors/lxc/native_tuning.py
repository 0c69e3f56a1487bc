"""Limits of a container's control groups: ``lxc.cgroup``."""

from __future__ import annotations

from collections.abc import Callable

from vmherd.conf.domain import Domain
from vmherd.conf.domain.memory import BlkioDevice, BlkioTune, MemTune
from vmherd.conf.domain.vcpu import CpuTune, NumaMemory, NumaMode, NumaTune
from vmherd.errors import DocumentError
from vmherd.hypervisors.lxc.numbers import number, size
from vmherd.hypervisors.lxc.settings import Settings
from vmherd.util.xmlmodel import parse_cpus

_LARGEST = 10**18 - 1
_DEVICE = {
    "device_weight": "weight",
    "throttle.read_bps_device": "read_bytes_sec",
    "throttle.write_bps_device": "write_bytes_sec",
    "throttle.read_iops_device": "read_iops_sec",
    "throttle.write_iops_device": "write_iops_sec",
}


def read(settings: Settings, domain: Domain) -> None:
    """Add the limits to ``domain``."""
    _memory(settings, domain)
    _cpu(settings, domain)
    _cpuset(settings, domain)
    _disks(settings, domain)


def _memory(settings: Settings, domain: Domain) -> None:
    """The limit is also what the container seems to have."""
    tune = MemTune()
    names = {
        "hard_limit": "limit_in_bytes",
        "soft_limit": "soft_limit_in_bytes",
        "swap_hard_limit": "memsw.limit_in_bytes",
    }
    for name, key in names.items():
        place = f"lxc.cgroup.memory.{key}"
        if (text := settings.one(place)) is not None:
            setattr(tune, name, size(text, place))
    if tune.hard_limit is not None:
        domain.memory.size = tune.hard_limit
    if tune != MemTune():
        domain.memtune = tune


def _cpu(settings: Settings, domain: Domain) -> None:
    tune = CpuTune()
    for name, key in {"shares": "shares", "quota": "cfs_quota_us", "period": "cfs_period_us"}.items():
        place = f"lxc.cgroup.cpu.{key}"
        if (text := settings.one(place)) is not None:
            setattr(tune, name, number(text, place, low=-1 if name == "quota" else 0, high=_LARGEST))
    if tune != CpuTune():
        domain.cputune = tune


def _cpuset(settings: Settings, domain: Domain) -> None:
    if (cpus := settings.one("lxc.cgroup.cpuset.cpus")) is not None:
        domain.vcpu.cpuset = _told(parse_cpus, cpus, "lxc.cgroup.cpuset.cpus")
    if (nodes := settings.one("lxc.cgroup.cpuset.mems")) is not None:
        nodeset = _told(parse_cpus, nodes, "lxc.cgroup.cpuset.mems")
        domain.numatune = NumaTune(memory=NumaMemory(mode=NumaMode.STRICT, nodeset=nodeset))


def _told(parse: Callable[[str], tuple[int, ...]], text: str, place: str) -> tuple[int, ...]:
    try:
        return parse(text)
    except ValueError as problem:
        raise DocumentError(str(problem), place=place) from None


def _disks(settings: Settings, domain: Domain) -> None:
    """Devices are told by their numbers, which are names of links below /dev/block."""
    tune = BlkioTune()
    if (weight := settings.one("lxc.cgroup.blkio.weight")) is not None:
        tune.weight = number(weight, "lxc.cgroup.blkio.weight")
    devices: dict[str, BlkioDevice] = {}
    for key, field in _DEVICE.items():
        place = f"lxc.cgroup.blkio.{key}"
        for value in settings.all(place):
            numbers, *limit = value.split()
            if len(limit) != 1:
                hint = "write it like 8:16 1000"
                raise DocumentError(f"{value!r} is no limit of a device", place=place, hint=hint)
            device = devices.setdefault(numbers, BlkioDevice(path=f"/dev/block/{numbers}"))
            setattr(device, field, number(limit[0], place, high=_LARGEST if field.endswith("bytes_sec") else 2**32 - 1))
    tune.devices = list(devices.values())
    if tune != BlkioTune():
        domain.blkiotune = tune
