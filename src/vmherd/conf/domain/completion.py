"""What libvirt fills in for every hypervisor, after reading a document and before a driver adds its own.

Source: virDomainDefPostParse and the defaults of the parser, src/conf/domain_postparse.c and domain_conf.c
"""

from __future__ import annotations

from itertools import count
from uuid import uuid4

from vmherd.conf.domain import buses, defaults, resctrl, rooms, streams, timing
from vmherd.conf.domain.cpu import Cpu, CpuFallback, CpuMatch, CpuMode, FeaturePolicy
from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.features import HypervMode
from vmherd.conf.domain.memory import MemTune
from vmherd.conf.domain.os import BootDevice, BootFrom, FirmwareFeature, FirmwareFeatureName, LoaderType, Os
from vmherd.conf.domain.vcpu import IoThread, NumaMemory, NumaMode, NumaTune, Placement

_UNLIMITED = (2**53 - 1) * 1024  # VIR_DOMAIN_MEMORY_PARAM_UNLIMITED: no limit at all


def complete(
    domain: Domain, *, arch: str = "", wide_scsi: bool = False, abi_update: bool = False, numbered: bool = False
) -> None:
    """Fill in what the document leaves open, in place.  Doing it twice changes nothing more.

    ``arch`` is the architecture of a guest that names none.  A narrow SCSI bus has 7 disks, a wide one (VMware's) 15.
    With ``abi_update`` the guest is new, so that <memory> may be brought into agreement with the NUMA nodes.  A driver
    that adds controllers of its own has ``numbered`` those of the document before.
    """
    _identify(domain)
    _boot(domain, arch)
    complete_cpu(domain.cpu)
    if domain.features and domain.features.hyperv:
        domain.features.hyperv.mode = domain.features.hyperv.mode or HypervMode.CUSTOM
    defaults.fill(domain)
    streams.fill(domain)
    if not numbered:
        buses.number_controllers(domain.devices.controllers)
    buses.fill(domain, wide_scsi=wide_scsi)
    _memory(domain, abi_update=abi_update)
    _limits(domain)
    _placement(domain)
    _iothreads(domain)
    if domain.keywrap:
        domain.keywrap.ciphers.sort(key=lambda key: key.name)
    resctrl.complete(domain)
    rooms.complete(domain)
    timing.complete(domain)


def _identify(domain: Domain) -> None:
    domain.uuid = domain.uuid or str(uuid4())
    if domain.genid == "":
        domain.genid = str(uuid4())


def _boot(domain: Domain, arch: str) -> None:
    os = domain.os
    os.type.arch = os.type.arch or arch or None
    if os.loader is not None and os.loader.path and os.loader.type is None:
        os.loader.type = LoaderType.ROM
    _firmware_features(os)
    if os.type.name == "hvm" and not os.boots and domain.bootloader is None and not _has_boot_order(domain):
        os.boots.append(BootFrom(dev=BootDevice.HD))


def _has_boot_order(domain: Domain) -> bool:
    """Whether a device says when it boots; others than these four cannot, whatever they say."""
    devices = domain.devices
    bootable = (*devices.disks, *devices.interfaces, *devices.hostdevs, *devices.redirdevs)
    return any(each.boot is not None for each in bootable)


def _firmware_features(os: Os) -> None:
    """Keys are enrolled for secure boot; so who wants them, wants that."""
    if not os.firmware_features:
        return
    wanted = {feature.name: feature.enabled for feature in os.firmware_features}
    if wanted.get(FirmwareFeatureName.ENROLLED_KEYS) and FirmwareFeatureName.SECURE_BOOT not in wanted:
        os.firmware_features.append(FirmwareFeature(enabled=True, name=FirmwareFeatureName.SECURE_BOOT))


def complete_cpu(cpu: Cpu | None) -> None:
    """What goes without saying in a CPU."""
    if cpu is None:
        return
    if cpu.model is not None:
        cpu.mode = cpu.mode or CpuMode.CUSTOM
        if cpu.model.name:
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


def _memory(domain: Domain, *, abi_update: bool) -> None:
    """An absent <memory> is the sum of NUMA nodes and modules; the balloon starts full, never fuller."""
    cells = domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []
    if cells and (abi_update or domain.memory.size == 0):
        modules = sum(each.target.size for each in domain.devices.memories)
        domain.memory.size = sum(cell.memory for cell in cells) + modules
    domain.current_memory = min(domain.current_memory or domain.memory.size, domain.memory.size)


def _limits(domain: Domain) -> None:
    tune = domain.memtune
    if tune is None:
        return
    for name in tune.__struct_fields__:
        if (getattr(tune, name) or 0) >= _UNLIMITED:
            setattr(tune, name, None)
    if tune == MemTune():
        domain.memtune = None


def _placement(domain: Domain) -> None:
    """CPUs and memory follow numad together, unless one of them is pinned; what numad chooses is no one's to tell."""
    vcpu, tune = domain.vcpu, domain.numatune
    if vcpu.placement is Placement.AUTO:
        vcpu.cpuset = None
        domain.numatune = tune = tune or NumaTune()
        tune.memory = tune.memory or NumaMemory(placement=Placement.AUTO)
    if tune is None:
        return
    for node in tune.memnodes:
        node.mode = node.mode or NumaMode.STRICT
    if tune.memory is not None:
        _memory_placement(domain, tune.memory)


def _memory_placement(domain: Domain, memory: NumaMemory) -> None:
    memory.mode = memory.mode or NumaMode.STRICT
    if memory.placement is None and memory.nodeset is None and domain.vcpu.placement is Placement.AUTO:
        memory.placement = Placement.AUTO
    if memory.placement is not Placement.AUTO:
        memory.placement = None
        return
    memory.nodeset = None
    if domain.vcpu.cpuset is None:
        domain.vcpu.placement = Placement.AUTO


def _iothreads(domain: Domain) -> None:
    """Name the threads that <iothreadids> leaves out, once it names any; put their pins in order."""
    threads = domain.iothreadids
    if threads:
        used = {thread.id for thread in threads}
        missing = (domain.iothreads or 0) - len(threads)
        free = (number for number in count(1) if number not in used)
        threads.extend(IoThread(id=next(free)) for _ in range(missing))
        domain.iothreads = len(threads)
    if domain.cputune is not None:
        domain.cputune.iothreadpins.sort(key=lambda pin: pin.iothread)
