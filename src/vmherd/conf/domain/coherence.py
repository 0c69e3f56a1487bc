"""Checks that parts of the document fit each other: firmware, NUMA nodes, CPUs, labels and passed-through devices."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmherd.conf.domain.address import DriveAddress
from vmherd.conf.domain.cpu import AddressMode, CacheMode
from vmherd.conf.domain.disk import DiskBus
from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.hostdev import HostdevType
from vmherd.conf.domain.os import Firmware, FirmwareFeatureName, Loader, LoaderType, Os
from vmherd.conf.domain.problem import Problem, duplicates, numbered
from vmherd.conf.domain.vcpu import NumaMode, Placement
from vmherd.conf.domain.video import VideoType


def firmware(domain: Domain) -> Iterator[Problem]:
    """A firmware is named, or chosen by what it can do; only flash that keeps state has variables of UEFI.

    Source: virDomainDefOSValidate of libvirt
    """
    yield from _named_firmware(domain.os) if domain.os.firmware is None else _chosen_firmware(domain.os)
    loader = domain.os.loader
    if loader is not None and loader.stateless and domain.os.nvram is not None:
        yield Problem("domain/os/nvram", "a stateless loader has no NVRAM", "remove one of the two")


def _named_firmware(os: Os) -> Iterator[Problem]:
    if os.firmware_features:
        yield Problem("domain/os/firmware", "features choose a firmware, and none is wanted", "add <os firmware='efi'>")
    loader = os.loader
    if loader is not None and not loader.path and os.type.name == "hvm":
        yield Problem("domain/os/loader", "the loader's file is not named", "name it, or write <os firmware='efi'>")
    if loader is not None and loader.type is LoaderType.PFLASH:
        return
    if os.nvram is not None:
        yield Problem("domain/os/nvram", "only a flash loader has NVRAM", "use <loader type='pflash'>")
    if loader is not None and loader.stateless is False:
        yield Problem("domain/os/loader/@stateless", "only a flash loader keeps state", "use <loader type='pflash'>")


_CHOSEN = "the firmware is chosen by itself"


def _chosen_firmware(os: Os) -> Iterator[Problem]:
    loader = os.loader or Loader()
    wanted = {feature.name: feature.enabled for feature in os.firmware_features}
    if wanted.get(FirmwareFeatureName.ENROLLED_KEYS) and wanted.get(FirmwareFeatureName.SECURE_BOOT) is False:
        yield Problem("domain/os/firmware", "enrolled keys are of use to secure boot only", "enable both, or neither")
    if os.firmware is Firmware.BIOS and os.nvram is not None:
        yield Problem("domain/os/nvram", "a BIOS has no NVRAM", "remove it, or write firmware='efi'")
    if os.firmware is Firmware.BIOS and loader.stateless is False:
        yield Problem("domain/os/loader/@stateless", "a BIOS keeps no state", "remove it, or write firmware='efi'")
    for name, told in (("readonly", loader.readonly is not None), ("type", loader.type is not None)):
        if told:
            yield Problem(f"domain/os/loader/@{name}", _CHOSEN, f"remove {name}, or the firmware of <os>")
    if loader.secure is False:
        yield Problem("domain/os/loader/@secure", _CHOSEN, "write <feature enabled='no' name='secure-boot'/>")
    if loader.path:
        yield Problem("domain/os/loader", _CHOSEN, "remove the file's name, or the firmware of <os>")


def cpu(domain: Domain) -> Iterator[Problem]:
    """Cache and address width: emulated ones are told, those of the host are not."""
    if domain.cpu is None:
        return
    cache, bits = domain.cpu.cache, domain.cpu.maxphysaddr
    if cache is not None and cache.mode is CacheMode.PASSTHROUGH and cache.level is not None:
        yield Problem("domain/cpu/cache/@level", "the host's cache comes with its own levels", "leave level out")
    if cache is not None and cache.level not in (None, 1, 2, 3):
        yield Problem("domain/cpu/cache/@level", f"there is no cache of level {cache.level}", "levels are 1, 2 and 3")
    if bits is not None and bits.mode is AddressMode.EMULATE and bits.bits is None:
        yield Problem("domain/cpu/maxphysaddr", "the number of bits is missing", "add bits='42'")
    if bits is not None and bits.mode is AddressMode.PASSTHROUGH and bits.bits is not None:
        yield Problem("domain/cpu/maxphysaddr/@bits", "the host's number of bits is taken", "leave bits out")


def schedulers(domain: Domain) -> Iterator[Problem]:
    """A CPU has one scheduler."""
    if domain.cputune is None:
        return
    for name, sets in (
        ("vcpusched", [each.vcpus for each in domain.cputune.vcpuscheds]),
        ("iothreadsched", [each.iothreads for each in domain.cputune.iothreadscheds]),
    ):
        places = [(f"domain/cputune/{name}[{number}]", one) for number, each in numbered(sets) for one in each]
        yield from duplicates(places, "{} has a scheduler already")


def numa(domain: Domain) -> Iterator[Problem]:
    """What speaks of NUMA nodes needs nodes, and only those there are."""
    cells = domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []
    ids = {cell.id if cell.id is not None else number for number, cell in enumerate(cells)}
    if len(ids) != len(cells) or ids != set(range(len(ids))):
        yield Problem("domain/cpu/numa", "nodes must be numbered 0, 1, 2, ... without gaps")
    for number, node in numbered(domain.numatune.memnodes if domain.numatune else []):
        if node.cellid not in ids:
            yield Problem(f"domain/numatune/memnode[{number}]/@cellid", f"there is no node {node.cellid}")
    tuned = numbered(domain.numatune.memnodes if domain.numatune else [])
    places = [(f"domain/numatune/memnode[{number}]/@cellid", node.cellid) for number, node in tuned]
    yield from duplicates(places, "node {} is tuned twice")


def numa_tuning(domain: Domain) -> Iterator[Problem]:
    """Nodes are told or chosen, not both; restrictive is for all or none.  Source: virDomainNumatuneParseXML"""
    tune = domain.numatune
    if tune is None or tune.memory is None:
        return
    place, memory = "domain/numatune/memory", tune.memory
    if memory.placement is not Placement.AUTO and memory.nodeset is None:
        yield Problem(f"{place}/@nodeset", "the nodes are missing", "add nodeset='0', or use placement='auto'")
    if memory.placement is Placement.AUTO and tune.memnodes:
        yield Problem(f"{place}/@placement", "<memnode> tells nodes, so they are not chosen", "use placement='static'")
    for number, node in numbered(tune.memnodes):
        if (memory.mode is NumaMode.RESTRICTIVE) != (node.mode is NumaMode.RESTRICTIVE):
            text = "'restrictive' is for <memory> and all <memnode> alike"
            yield Problem(f"domain/numatune/memnode[{number}]/@mode", text, "use the same mode in both")


def keys(domain: Domain) -> Iterator[Problem]:
    """A key is wrapped or not."""
    told = domain.keywrap.ciphers if domain.keywrap else []
    names = [(f"domain/keywrap/cipher[{number}]", str(key.name)) for number, key in numbered(told)]
    yield from duplicates(names, "{} is told twice", "keep one")


def host_devices(domain: Domain) -> Iterator[Problem]:
    """A device of the host is handed over once."""
    sources = [
        (f"domain/devices/hostdev[{number}]/source", repr(each.source))
        for number, each in numbered(domain.devices.hostdevs)
        if each.source is not None
    ]
    yield from duplicates(sources, "this device is handed over twice")


def scsi_addresses(domain: Domain) -> Iterator[Problem]:
    """Disks and devices of the host share the places of a SCSI controller."""
    disks = [(f"disk[{n}]", each) for n, each in numbered(domain.devices.disks) if each.target.bus is DiskBus.SCSI]
    handed = [(f"hostdev[{n}]", each) for n, each in numbered(domain.devices.hostdevs) if each.type is HostdevType.SCSI]
    places = [
        (f"domain/devices/{name}/address", (address.controller, address.bus, address.target, address.unit))
        for name, each in (*disks, *handed)
        if isinstance(address := each.address, DriveAddress)
    ]
    if handed:  # of disks alone, another rule tells
        hint = "leave out the <address> of one of the two"
        yield from duplicates(places, "SCSI address {} is taken by another device", hint, show=str)


def screens(domain: Domain) -> Iterator[Problem]:
    """One video card is the primary one, and "none" stands alone."""
    models = [video.model for video in domain.devices.videos if video.model is not None]
    if len(models) > 1 and any(model.type is VideoType.NONE for model in models):
        yield Problem("domain/devices/video", "type 'none' must be the only video device", "remove one")
    if sum(bool(model.primary) for model in models) > 1:
        yield Problem("domain/devices/video", "only one video device can be primary", "leave primary on one")


def labels(domain: Domain) -> Iterator[Problem]:
    """Each security driver labels the guest once."""
    models = [(f"domain/seclabel[{number}]", each.model) for number, each in numbered(domain.seclabels) if each.model]
    yield from duplicates(models, "{} has a label already")
    if len(domain.seclabels) > 1 and len(models) < len(domain.seclabels):
        yield Problem("domain/seclabel", "with several labels each needs a model", "add model='dac' or 'selinux'")
    for number, disk in numbered(domain.devices.disks):
        found = disk.source.seclabels if disk.source else []
        place = f"domain/devices/disk[{number}]/source/seclabel"
        if len(found) > 1 and any(label.model is None for label in found):
            yield Problem(place, "with several labels each needs a model", "add model='dac' or 'selinux'")
        yield from duplicates([(place, label.model) for label in found if label.model], "{} has a label already")


_BIOS_DATE = re.compile(r"(0?[1-9]|1[0-2])/(0?[1-9]|[12][0-9]|3[01])/([0-9]{2}|[0-9]{4})")


def smbios(domain: Domain) -> Iterator[Problem]:
    """What the BIOS tells of itself.  Source: virSysinfoBIOSParseXML and virSysinfoSystemParseXML"""
    for info in domain.sysinfos:
        dates = [entry.value for entry in info.bios if entry.name == "date"]
        if any(not _BIOS_DATE.fullmatch(date) for date in dates):
            yield Problem("domain/sysinfo/bios/entry", f"{dates[0]!r} is no BIOS date", "write it MM/DD/YYYY")
        for entry in info.system:
            if entry.name == "uuid" and domain.uuid and entry.value.lower() != domain.uuid:
                text = f"{entry.value} is not the guest's UUID {domain.uuid}"
                yield Problem("domain/sysinfo/system/entry", text, "make both the same")


def shared_memory(domain: Domain) -> Iterator[Problem]:
    """It is a file of that name, of a size that a PCI bar can have; interrupts between guests need a server."""
    for number, each in numbered(domain.devices.shmems):
        place = f"domain/devices/shmem[{number}]"
        if "/" in each.name or each.name in ("", ".", ".."):
            yield Problem(f"{place}/@name", f"{each.name!r} cannot be the name of a file", "use letters and digits")
        if each.msi is not None and each.server is None:
            yield Problem(f"{place}/msi", "interrupts need a server", "add <server path=''/>")
        if each.size is not None and (each.size < 1 << 20 or each.size & (each.size - 1)):
            yield Problem(f"{place}/size", "it must be a power of two, 1 MiB at least", "write <size unit='M'>4</size>")


RULES = (
    firmware,
    cpu,
    schedulers,
    numa,
    numa_tuning,
    keys,
    host_devices,
    scsi_addresses,
    screens,
    labels,
    smbios,
    shared_memory,
)
