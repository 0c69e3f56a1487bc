"""Checks that devices and features fit the machine: what QEMU has for one board or architecture only.

Source: qemu_validate.c of libvirt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.chardev import SerialTargetType
from vmherd.conf.domain.controller import ControllerType
from vmherd.conf.domain.os import SmbiosMode
from vmherd.conf.domain.problem import numbered
from vmherd.conf.domain.sysinfo import SysinfoType
from vmherd.conf.domain.video import VideoType
from vmherd.hypervisors.qemu import machine

#: USB controllers have that many ports at most (QEMU's hcd-xhci.h).
_XHCI_PORTS = 15


def usb(domain: Domain) -> Iterator[Problem]:
    """Companion controllers need the one they accompany."""
    controllers = [each for each in domain.devices.controllers if each.type is ControllerType.USB]
    masters = {each.index for each in controllers if each.model == "ich9-ehci1"}
    for number, each in numbered(domain.devices.controllers):
        if each.type is not ControllerType.USB:
            continue
        place = f"domain/devices/controller[{number}]"
        if each.model in ("nec-xhci", "qemu-xhci") and each.ports and each.ports > _XHCI_PORTS:
            yield Problem(f"{place}/@ports", f"{each.model} has {_XHCI_PORTS} ports at most", "add another controller")
        if (each.model or "").startswith("ich9-uhci") and each.index not in masters:
            text = f"{each.model} accompanies an ich9-ehci1, and there is none with index {each.index}"
            yield Problem(place, text, f"add <controller type='usb' index='{each.index}' model='ich9-ehci1'/>")


_ARCHITECTURES = {
    SerialTargetType.ISA: ("x86_64", "i686", "alpha"),
    SerialTargetType.SYSTEM: ("aarch64", "armv7l", "riscv64", "riscv32"),
    SerialTargetType.SPAPR_VIO: ("ppc64", "ppc64le"),
    SerialTargetType.SCLP: ("s390x",),
}


def serials(domain: Domain) -> Iterator[Problem]:
    """Each family of machines has its own serial port."""
    for number, serial in numbered(domain.devices.serials):
        kind = serial.target.type if serial.target else None
        if kind in _ARCHITECTURES and domain.os.type.arch not in _ARCHITECTURES[kind]:
            text = f"{domain.os.type.arch} machines have no serial port of type {str(kind)!r}"
            yield Problem(f"domain/devices/serial[{number}]/target/@type", text, "leave <target> out")


_PSERIES = ("hpt", "htm", "nested_hv", "ccf_assist", "cfpc", "sbbc", "ibs")


def features(domain: Domain) -> Iterator[Problem]:
    """Some features are those of one board."""
    if domain.features is None:
        return
    for name in _PSERIES:
        if getattr(domain.features, name) and not (domain.os.type.machine or "").startswith("pseries"):
            yield Problem(f"domain/features/{name.replace('_', '-')}", "only pseries machines have it", "remove it")
    smm = domain.features.smm
    if smm and smm.tseg is not None and not machine.is_q35(domain):
        yield Problem("domain/features/smm/tseg", "only q35 machines have it", "remove it, or use machine='q35'")


def sysinfo(domain: Domain) -> Iterator[Problem]:
    """SMBIOS tables of one's own have to be there."""
    wanted = domain.os.smbios is not None and domain.os.smbios.mode is SmbiosMode.SYSINFO
    if wanted and not any(each.type is SysinfoType.SMBIOS for each in domain.sysinfos):
        yield Problem("domain/os/smbios", "there is no <sysinfo> to take tables from", "add <sysinfo type='smbios'>")


def screens(domain: Domain) -> Iterator[Problem]:
    """A password's end is a time of day in UTC."""
    for number, graphics in numbered(domain.devices.graphics):
        try:
            datetime.fromisoformat(graphics.passwd_valid_to or "2000-01-01T00:00:00")
        except ValueError:
            place = f"domain/devices/graphics[{number}]/@passwdValidTo"
            yield Problem(place, f"{graphics.passwd_valid_to!r} is no time", "write it YYYY-MM-DDTHH:MM:SS, in UTC")


def framebuffers(domain: Domain) -> Iterator[Problem]:
    """A frame buffer in the guest's memory is on no bus."""
    for number, video in numbered(domain.devices.videos):
        if video.model and video.model.type is VideoType.RAMFB and video.address is not None:
            yield Problem(f"domain/devices/video[{number}]/address", "a ramfb is on no bus", "remove <address>")


RULES: tuple[Callable[[Domain], Iterator[Problem]], ...] = (
    usb,
    serials,
    features,
    sysinfo,
    screens,
    framebuffers,
)
