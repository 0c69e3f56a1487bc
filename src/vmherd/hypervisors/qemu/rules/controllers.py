"""Controllers of disks, USB and virtio ports: what each board has, and options that only one model knows.

Source: qemuValidateDomainDeviceDefController of libvirt; those of PCI are in ``bridges``
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.problem import numbered
from vmherd.hypervisors.qemu import machine

_XHCI = ("nec-xhci", "qemu-xhci")
#: The most ports one has (QEMU's hcd-xhci.h).
_XHCI_PORTS = 15
#: Types whose controllers are all of one kind.
_PLAIN = (ControllerType.IDE, ControllerType.FDC, ControllerType.SATA, ControllerType.CCID)
_PIIX = ("piix3", "piix4", "ich6")
_SCSI_ONLY = ("queues", "cmd_per_lun", "max_sectors", "ioeventfd", "iothread")


def usb_or_none(domain: Domain) -> Iterator[Problem]:
    """The controller of model "none" says that there is no USB."""
    usb = [(number, each) for number, each in numbered(domain.devices.controllers) if each.type is ControllerType.USB]
    if any(each.model == "none" for _, each in usb):
        for number, _ in usb[1:]:
            text = "one of the controllers is of model 'none', which means no USB at all"
            yield Problem(f"domain/devices/controller[{number}]", text, "remove it, or the one of model 'none'")


def controllers(domain: Domain) -> Iterator[Problem]:
    threads = {each.id for each in domain.iothreadids} or set(range(1, (domain.iothreads or 0) + 1))
    for number, each in numbered(domain.devices.controllers):
        place = f"domain/devices/controller[{number}]"
        match each.type:
            case ControllerType.IDE:
                yield from _ide(each, domain, place)
            case ControllerType.FDC if each.index:
                yield Problem(f"{place}/@index", "a machine has one floppy controller", "remove it")
            case ControllerType.USB if each.ports is not None and each.model not in _XHCI:
                yield Problem(f"{place}/@ports", f"the ports of {each.model} cannot be counted", "remove ports")
            case ControllerType.SCSI:
                yield from _scsi(each, threads, place)
            case ControllerType.XENBUS:
                yield Problem(place, "QEMU has no Xen bus here", "remove it")
            case _:
                pass
        if each.type in _PLAIN and each.model and not (each.type is ControllerType.IDE and each.model in _PIIX):
            yield Problem(f"{place}/@model", f"{each.type} controllers are all of one kind", "leave model out")


def _ide(each: Controller, domain: Domain, place: str) -> Iterator[Problem]:
    if machine.is_q35(domain):
        yield Problem(place, "q35 machines have no IDE", "use disks with bus='sata', or machine='pc'")
    elif machine.is_i440fx(domain) and each.index:
        yield Problem(f"{place}/@index", "this machine has one IDE controller, for four disks", "use bus='sata'")


def _scsi(each: Controller, threads: set[int], place: str) -> Iterator[Problem]:
    if each.driver is None:
        return
    for name in _SCSI_ONLY:
        if getattr(each.driver, name) is not None and not (each.model or "").startswith("virtio"):
            yield Problem(f"{place}/driver/@{name}", f"{each.model} has no such option", "use model='virtio-scsi'")
    if each.driver.iothread is not None and each.driver.iothread not in threads:
        yield Problem(
            f"{place}/driver/@iothread", f"there is no I/O thread {each.driver.iothread}", "raise <iothreads>"
        )


def companions(domain: Domain) -> Iterator[Problem]:
    """Companion controllers need the one they accompany; an XHCI has only so many ports."""
    controllers = [each for each in domain.devices.controllers if each.type is ControllerType.USB]
    masters = {each.index for each in controllers if each.model == "ich9-ehci1"}
    for number, each in numbered(domain.devices.controllers):
        if each.type is not ControllerType.USB:
            continue
        place = f"domain/devices/controller[{number}]"
        if each.model in _XHCI and each.ports and each.ports > _XHCI_PORTS:
            yield Problem(f"{place}/@ports", f"{each.model} has {_XHCI_PORTS} ports at most", "add another controller")
        if (each.model or "").startswith("ich9-uhci") and each.index not in masters:
            text = f"{each.model} accompanies an ich9-ehci1, and there is none with index {each.index}"
            yield Problem(place, text, f"add <controller type='usb' index='{each.index}' model='ich9-ehci1'/>")


RULES = (usb_or_none, companions, controllers)
