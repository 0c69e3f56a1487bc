"""CPUs: caches and address width that QEMU can offer, and which are there from the start."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.cpu import AddressMode, CacheMode, Cpu, CpuMode
from vmherd.conf.domain.problem import numbered
from vmherd.hypervisors.qemu import machine

_HOSTS = (CpuMode.HOST_PASSTHROUGH, CpuMode.MAXIMUM)
_USE_HOSTS = "use mode='host-passthrough' or mode='maximum'"


def cache(domain: Domain) -> Iterator[Problem]:
    """QEMU makes up a third level, shows the host's caches to a guest with the host's CPU, or hides all."""
    cpu = domain.cpu
    if cpu is None or cpu.cache is None:
        return
    mode, level, place = cpu.cache.mode, cpu.cache.level, "domain/cpu/cache"
    if not machine.is_x86(domain):
        yield Problem(place, f"the caches of {domain.os.type.arch} CPUs cannot be chosen", "remove it")
    if mode is CacheMode.EMULATE and level != 3:
        yield Problem(f"{place}/@level", "only the third level can be emulated", "write level='3'")
    if mode is CacheMode.DISABLE and level is not None:
        yield Problem(f"{place}/@level", "caches are hidden all at once", "leave level out")
    if mode is CacheMode.PASSTHROUGH and cpu.mode not in _HOSTS:
        yield Problem(f"{place}/@mode", "the host's caches go with the host's CPU", _USE_HOSTS)


def address_width(domain: Domain) -> Iterator[Problem]:
    """The host's width goes with the host's CPU."""
    cpu: Cpu | None = domain.cpu
    if cpu and cpu.maxphysaddr and cpu.maxphysaddr.mode is AddressMode.PASSTHROUGH and cpu.mode not in _HOSTS:
        yield Problem("domain/cpu/maxphysaddr/@mode", "the host's width goes with the host's CPU", _USE_HOSTS)


def boot_cpu(domain: Domain) -> Iterator[Problem]:
    """Source: qemuDomainDefVcpusPostParse of libvirt."""
    for number, cpu in numbered(domain.vcpus):
        if cpu.id != 0:
            continue
        place = f"domain/vcpus/vcpu[{number}]"
        if not cpu.enabled:
            yield Problem(f"{place}/@enabled", "the first CPU is the one that boots", "write enabled='yes'")
        if cpu.hotpluggable:
            yield Problem(f"{place}/@hotpluggable", "the first CPU cannot be unplugged", "write hotpluggable='no'")
        if cpu.order not in (None, 1):
            yield Problem(f"{place}/@order", "the first CPU is also the first to be there", "write order='1'")


RULES = (cache, address_width, boot_cpu)
