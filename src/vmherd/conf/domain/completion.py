"""What libvirt fills in for every hypervisor, after reading a document and before a driver adds its own.

Source: virDomainDefPostParse and the defaults of the parser, src/conf/domain_postparse.c and domain_conf.c
"""

from __future__ import annotations

from uuid import uuid4

from vmherd.conf.domain import buses, defaults, streams
from vmherd.conf.domain.cpu import Cpu, CpuFallback, CpuMatch, CpuMode, FeaturePolicy
from vmherd.conf.domain.domain import Domain, devices_of
from vmherd.conf.domain.os import BootDevice, BootFrom


def complete(domain: Domain, *, arch: str = "", wide_scsi: bool = True) -> None:
    """Fill in what the document leaves open, in place.  Doing it twice changes nothing more.

    ``arch`` is the architecture of a guest that names none.  A wide SCSI bus has 15 disks, a narrow one 7.
    """
    _identify(domain)
    _boot(domain, arch)
    _cpu(domain.cpu)
    defaults.fill(domain)
    streams.fill(domain)
    buses.fill(domain, wide_scsi=wide_scsi)
    _memory(domain)


def _identify(domain: Domain) -> None:
    domain.uuid = domain.uuid or str(uuid4())
    if domain.genid == "":
        domain.genid = str(uuid4())


def _boot(domain: Domain, arch: str) -> None:
    os = domain.os
    os.type.arch = os.type.arch or arch or None
    ordered = any(each.boot is not None for each in devices_of(domain.devices))
    if os.type.name == "hvm" and not os.boots and not ordered:
        os.boots.append(BootFrom(dev=BootDevice.HD))


def _cpu(cpu: Cpu | None) -> None:
    if cpu is None:
        return
    if cpu.model is not None:
        cpu.mode = cpu.mode or CpuMode.CUSTOM
        cpu.model.fallback = cpu.model.fallback or CpuFallback.ALLOW
    if cpu.mode is CpuMode.CUSTOM:
        cpu.match = cpu.match or CpuMatch.EXACT
    for feature in cpu.features:
        feature.policy = feature.policy or FeaturePolicy.REQUIRE
    _number_cells(cpu)


def _number_cells(cpu: Cpu) -> None:
    cells = cpu.numa.cells if cpu.numa else []
    for number, cell in enumerate(cells):
        cell.id = number if cell.id is None else cell.id
    cells.sort(key=lambda cell: cell.id or 0)


def _memory(domain: Domain) -> None:
    """The sum of the NUMA nodes and modules wins over <memory>; the balloon starts full, never fuller."""
    cells = domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []
    if cells:
        modules = sum(each.target.size for each in domain.devices.memories)
        domain.memory.size = sum(cell.memory for cell in cells) + modules
    domain.current_memory = min(domain.current_memory or domain.memory.size, domain.memory.size)
