"""Devices of which there is little to say: which machine has them, and where."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.address import IsaAddress, PciAddress
from vmherd.conf.domain.input import InputBus, InputModel, InputType
from vmherd.conf.domain.memballoon import MemballoonModel
from vmherd.conf.domain.os import SmbiosMode
from vmherd.conf.domain.panic import Panic, PanicModel
from vmherd.conf.domain.problem import duplicates, numbered
from vmherd.conf.domain.sysinfo import SysinfoType
from vmherd.conf.domain.watchdog import WatchdogModel
from vmherd.hypervisors.qemu import machine


def inputs(domain: Domain) -> Iterator[Problem]:
    """The host's own devices apart, QEMU has modern virtio input only."""
    for number, each in numbered(domain.devices.inputs):
        place = f"domain/devices/input[{number}]"
        if each.bus not in (InputBus.PS2, InputBus.USB, InputBus.VIRTIO, InputBus.NONE):
            yield Problem(f"{place}/@bus", f"QEMU guests have no {each.bus} input", "use 'usb' or 'virtio'")
        if each.model is InputModel.VIRTIO_TRANSITIONAL and each.type is not InputType.PASSTHROUGH:
            yield Problem(f"{place}/@model", f"there is no transitional {each.type}", "use model='virtio'")


def watchdog(domain: Domain) -> Iterator[Problem]:
    dog = domain.devices.watchdog
    if dog is None:
        return
    place, s390 = "domain/devices/watchdog", domain.os.type.arch == "s390x"
    if (dog.model is WatchdogModel.DIAG288) != s390:
        yield Problem(f"{place}/@model", f"this machine has no {dog.model}", "use 'diag288' on s390x, else 'i6300esb'")
    if dog.model is WatchdogModel.IB700 and dog.address and not isinstance(dog.address, IsaAddress):
        yield Problem(f"{place}/address/@type", "ib700 sits on the ISA bus", "leave <address> out")
    if dog.model is WatchdogModel.I6300ESB and dog.address and not isinstance(dog.address, PciAddress):
        yield Problem(f"{place}/address/@type", "i6300esb sits on the PCI bus", "leave <address> out")


def balloon(domain: Domain) -> Iterator[Problem]:
    each = domain.devices.memballoon
    if each and each.model is MemballoonModel.XEN:
        yield Problem("domain/devices/memballoon/@model", "QEMU has no Xen balloon", "use model='virtio'")


def panics(domain: Domain) -> Iterator[Problem]:
    """One of each kind, where the machine has it.  Source: qemuValidateDomainDefPanic of libvirt"""
    panics = domain.devices.panics
    kinds = [(f"domain/devices/panic[{number}]/@model", str(each.model)) for number, each in numbered(panics)]
    yield from duplicates(kinds, "there is another panic device {}", "remove one")
    for number, each in numbered(panics):
        place = f"domain/devices/panic[{number}]"
        if not _has_panic(domain, each):
            yield Problem(f"{place}/@model", f"this machine has no panic device {str(each.model)!r}", "leave model out")
        if each.address and each.model in (PanicModel.HYPERV, PanicModel.PSERIES, PanicModel.S390):
            yield Problem(f"{place}/address", f"the panic device {str(each.model)!r} has no address", "remove it")


def _has_panic(domain: Domain, each: Panic) -> bool:
    match each.model:
        case PanicModel.PSERIES:
            return machine.is_pseries(domain)
        case PanicModel.S390:
            return domain.os.type.arch == "s390x"
        case PanicModel.ISA | PanicModel.HYPERV:
            return machine.is_x86(domain)
    return True


def keys(domain: Domain) -> Iterator[Problem]:
    if domain.keywrap and domain.os.type.arch != "s390x":
        yield Problem("domain/keywrap", "only s390x machines wrap keys", "remove it")


def sysinfo(domain: Domain) -> Iterator[Problem]:
    """SMBIOS tables of one's own have to be there."""
    wanted = domain.os.smbios is not None and domain.os.smbios.mode is SmbiosMode.SYSINFO
    if wanted and not any(each.type is SysinfoType.SMBIOS for each in domain.sysinfos):
        yield Problem("domain/os/smbios", "there is no <sysinfo> to take tables from", "add <sysinfo type='smbios'>")


RULES = (sysinfo, inputs, watchdog, balloon, panics, keys)
