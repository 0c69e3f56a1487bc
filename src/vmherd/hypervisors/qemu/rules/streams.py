"""Serial ports, consoles and channels: the kinds QEMU has, and the buses they sit on."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.address import Device, IsaAddress, PciAddress, SpaprVioAddress, UsbAddress
from vmherd.conf.domain.chardev import ChannelTargetType, ChardevType, ConsoleTargetType, SerialTarget, SerialTargetType
from vmherd.conf.domain.problem import numbered

_BUSES: dict[SerialTargetType, type] = {
    SerialTargetType.ISA: IsaAddress,
    SerialTargetType.ISA_DEBUG: IsaAddress,
    SerialTargetType.USB: UsbAddress,
    SerialTargetType.PCI: PciAddress,
    SerialTargetType.SPAPR_VIO: SpaprVioAddress,
}
_MODELS = {
    SerialTargetType.ISA: ("isa-serial", "16550a"),
    SerialTargetType.ISA_DEBUG: ("isa-debugcon",),
    SerialTargetType.USB: ("usb-serial",),
    SerialTargetType.PCI: ("pci-serial",),
    SerialTargetType.SPAPR_VIO: ("spapr-vty",),
    SerialTargetType.SYSTEM: ("pl011", "16550a"),
    SerialTargetType.SCLP: ("sclpconsole", "sclplmconsole"),
}


_ARCHITECTURES = {
    SerialTargetType.ISA: ("x86_64", "i686", "alpha"),
    SerialTargetType.SYSTEM: ("aarch64", "armv7l", "riscv64", "riscv32"),
    SerialTargetType.SPAPR_VIO: ("ppc64", "ppc64le"),
    SerialTargetType.SCLP: ("s390x",),
}


def serials(domain: Domain) -> Iterator[Problem]:
    """Source: qemuValidateDomainChrDef of libvirt."""
    for number, each in numbered(domain.devices.serials):
        if each.target and each.target.type:
            place, arch = f"domain/devices/serial[{number}]", domain.os.type.arch
            if arch not in _ARCHITECTURES.get(each.target.type, (arch,)):
                text = f"{arch} machines have no serial port of type {str(each.target.type)!r}"
                yield Problem(f"{place}/target/@type", text, "leave <target> out")
            yield from _serial(each, each.target, each.target.type, place)


def _serial(each: Device, target: SerialTarget, kind: SerialTargetType, place: str) -> Iterator[Problem]:
    bus = _BUSES.get(kind)
    if each.address and bus and not isinstance(each.address, bus):
        text = f"a port of type {str(kind)!r} has no such address"
        yield Problem(f"{place}/address/@type", text, "leave <address> out")
    if target.model and target.model.name not in _MODELS[kind]:
        text = f"{target.model.name!r} is no port of type {str(kind)!r}"
        yield Problem(f"{place}/target/model/@name", text, f"use {_MODELS[kind][0]!r}")


_CONSOLES = (None, ConsoleTargetType.SERIAL, ConsoleTargetType.VIRTIO)
_OF_S390 = (ConsoleTargetType.SCLP, ConsoleTargetType.SCLPLM)


def consoles(domain: Domain) -> Iterator[Problem]:
    """Those of other hypervisors and machines."""
    for number, each in numbered(domain.devices.consoles):
        kind = each.target.type if each.target else None
        if kind not in _CONSOLES and not (kind in _OF_S390 and domain.os.type.arch == "s390x"):
            place = f"domain/devices/console[{number}]/target/@type"
            yield Problem(place, f"this machine has no {kind} console", "use 'serial' or 'virtio'")


def channels(domain: Domain) -> Iterator[Problem]:
    """Channels of Xen, and of SPICE under another name than its agent knows."""
    for number, each in numbered(domain.devices.channels):
        place = f"domain/devices/channel[{number}]/target"
        if each.target.type is ChannelTargetType.XEN:
            yield Problem(f"{place}/@type", "QEMU has no Xen channels here", "use type='virtio'")
        if each.type is ChardevType.SPICEVMC and each.target.name not in (None, _AGENT):
            yield Problem(f"{place}/@name", f"SPICE's agent listens to {_AGENT} only", f"use name={_AGENT!r}")


_AGENT = "com.redhat.spice.0"

RULES = (serials, consoles, channels)
