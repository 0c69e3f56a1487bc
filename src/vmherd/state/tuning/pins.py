"""Pins of a document: the host CPUs that vCPUs, I/O threads and the emulator may use."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.vcpu import CpuTune, EmulatorPin, IoThreadPin, VcpuPin
from vmherd.errors import InvalidArgument
from vmherd.state.tuning import iothreads
from vmherd.util.xmlmodel.scalars import parse_cpus

_ONLINE = Path("/sys/devices/system/cpu/online")


def host_cpus() -> tuple[int, ...]:
    """Those that are online; where the kernel does not tell, all there are."""
    try:
        return parse_cpus(_ONLINE.read_text().strip())
    except OSError:
        return tuple(range(os.cpu_count() or 1))


def everywhere(domain: Domain) -> tuple[int, ...]:
    """What a thread that is not pinned may use."""
    return domain.vcpu.cpuset or host_cpus()


def of_vcpus(domain: Domain) -> list[tuple[int, ...]]:
    told = {pin.vcpu: pin.cpuset for pin in domain.cputune.vcpupins} if domain.cputune else {}
    return [told.get(number) or everywhere(domain) for number in range(domain.vcpu.count)]


def of_emulator(domain: Domain) -> tuple[int, ...]:
    pin = domain.cputune.emulatorpin if domain.cputune else None
    return pin.cpuset if pin else everywhere(domain)


def of_iothread(domain: Domain, number: int) -> tuple[int, ...]:
    pins = domain.cputune.iothreadpins if domain.cputune else []
    return next((pin.cpuset for pin in pins if pin.iothread == number), None) or everywhere(domain)


def pin_vcpu(domain: Domain, vcpu: int, cpus: Collection[int]) -> None:
    cpuset = _some(cpus)
    if vcpu >= domain.vcpu.count:
        kind = "live" if domain.id is not None else "persistent"
        raise InvalidArgument(f"vcpu {vcpu} is out of range of {kind} cpu count {domain.vcpu.count}")
    tune = _tune(domain)
    others = [pin for pin in tune.vcpupins if pin.vcpu != vcpu]
    tune.vcpupins = sorted([*others, VcpuPin(vcpu=vcpu, cpuset=cpuset)], key=lambda pin: pin.vcpu)


def pin_emulator(domain: Domain, cpus: Collection[int]) -> None:
    _tune(domain).emulatorpin = EmulatorPin(cpuset=_some(cpus))


def pin_iothread(domain: Domain, number: int, cpus: Collection[int]) -> None:
    cpuset = _some(cpus)
    if number not in iothreads.numbers(domain):
        raise InvalidArgument(f"{'iothreadid' if domain.id is None else 'iothread'} {number} not found")
    tune = _tune(domain)
    others = [pin for pin in tune.iothreadpins if pin.iothread != number]
    tune.iothreadpins = sorted([*others, IoThreadPin(iothread=number, cpuset=cpuset)], key=lambda pin: pin.iothread)


def _some(cpus: Collection[int]) -> tuple[int, ...]:
    if not cpus:
        raise InvalidArgument("Empty cpu list for pinning")
    return tuple(sorted(cpus))


def _tune(domain: Domain) -> CpuTune:
    domain.cputune = domain.cputune or CpuTune()
    return domain.cputune
