"""CPUs, memory, features, clock and firmware."""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.clock import ClockOffset

_MIB = 1 << 20


def cpus(domain: Domain) -> list[str]:
    count = domain.vcpu.current or domain.vcpu.count
    topology = domain.cpu.topology if domain.cpu else None
    if topology is None:
        return ["-c", str(count)]
    return [
        "-c",
        f"cpus={count},sockets={topology.sockets},cores={topology.cores},threads={topology.threads}",
    ]


def mebibytes(domain: Domain) -> str:
    """All memory, rounded up."""
    return str(-(-domain.memory.size // _MIB))


def wired(domain: Domain) -> list[str]:
    """Memory that never goes to swap: the loader and bhyve have to agree on it (bhyveload(8))."""
    return ["-S"] if domain.memory_backing and domain.memory_backing.locked else []


def memory(domain: Domain) -> list[str]:
    return ["-m", mebibytes(domain), *wired(domain)]


def features(domain: Domain) -> list[str]:
    found = domain.features
    if found is None:
        return []
    return [
        *(["-A"] if found.acpi else []),
        *(["-I"] if found.apic else []),
        *(["-w"] if found.msrs and found.msrs.unknown == "ignore" else []),
    ]


def clock(domain: Domain) -> list[str]:
    """The guest's clock shows local time unless told otherwise."""
    return ["-u"] if domain.clock.offset is ClockOffset.UTC else []


def firmware(domain: Domain) -> list[str]:
    if domain.bootloader is not None or domain.os.loader is None:
        return []
    return ["-l", f"bootrom,{domain.os.loader.path}"]
