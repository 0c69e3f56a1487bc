"""The host capabilities document of the QEMU driver."""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.conf import capabilities as document
from vmherd.cpu.x86.cpuinfo import read_cpuinfo
from vmherd.hypervisors.qemu.capabilities import Capabilities, Machine
from vmherd.hypervisors.qemu.host import accel, hostcpu
from vmherd.state import host
from vmherd.util.xmlmodel import render


def capabilities_xml(caps: Capabilities, models: Sequence[document.SecurityModel]) -> str:
    """What this host is and can run, best way first; KVM only where it is known to work.

    ``models`` are what keeps guests apart.
    """
    here = host.describe()
    _tell_processor(here.cpu)
    here.secmodels = list(models)
    return render(document.HostCapabilities(host=here, guests=[_guest(caps)]))


def _tell_processor(cpu: document.HostCpu) -> None:
    """Source: virQEMUCapsProbeHostCPU, src/qemu/qemu_capabilities.c"""
    found, made = hostcpu.processor(), read_cpuinfo().signature
    if found is None:
        return
    cpu.model, cpu.vendor = found.model, found.vendor
    cpu.features = [document.HostFeature(name=name) for name in found.features]
    if made:
        cpu.signature = document.Signature(family=made.family, model=made.model, stepping=made.stepping)


def _guest(caps: Capabilities) -> document.Guest:
    domains = [document.GuestDomain(type="qemu")]
    if accel.kvm_usable().usable:
        domains.insert(0, document.GuestDomain(type="kvm"))
    arch = document.GuestArch(
        name=caps.arch,
        wordsize=64 if "64" in caps.arch or caps.arch == "s390x" else 32,
        emulator=caps.binary,
        machines=[machine for each in caps.machines for machine in _machines(each)],
        domains=domains,
    )
    return document.Guest(os_type="hvm", arch=arch, features=_features(caps))


def _machines(machine: Machine) -> list[document.Machine]:
    """An alias is listed as a machine of its own."""
    deprecated = True if machine.deprecated else None
    found = [document.Machine(name=machine.name, max_cpus=machine.max_cpus, deprecated=deprecated)]
    if machine.alias:
        found.append(document.Machine(name=machine.alias, canonical=machine.name, max_cpus=machine.max_cpus))
    return found


def _features(caps: Capabilities) -> document.GuestFeatures:
    """Source: virQEMUCapsInitGuestFromBinary, src/qemu/qemu_capabilities.c"""
    is_pc = caps.arch in ("x86_64", "i686")
    return document.GuestFeatures(
        pae=caps.arch == "i686",
        nonpae=caps.arch == "i686",
        acpi=document.Toggle(default=True, toggle=True) if is_pc or caps.arch == "aarch64" else None,
        apic=document.Toggle(default=True, toggle=False) if is_pc else None,
        cpuselection=bool(caps.cpus),
        deviceboot=True,
    )
