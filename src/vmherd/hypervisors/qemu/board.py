"""What each board brings, and what a guest gets there that leaves the choice to us.

Source: qemuDomainDefAddDefaultDevices and the qemuDomainDefault... functions of libvirt
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from vmherd.conf.domain import Domain
from vmherd.conf.domain.chardev import SerialTargetType
from vmherd.conf.domain.panic import PanicModel
from vmherd.conf.domain.video import VideoType
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.capabilities import Capabilities

Model = TypeVar("Model", bound=str)

_UHCI = {"piix3-usb-uhci": "piix3-uhci"}
_OHCI = {"pci-ohci": "pci-ohci", "qemu-xhci": "qemu-xhci", "nec-usb-xhci": "nec-xhci"}
_XHCI = {"qemu-xhci": "qemu-xhci", "nec-usb-xhci": "nec-xhci", "ich9-usb-ehci1": "ich9-ehci1"}


@dataclass(frozen=True, kw_only=True)
class Board:
    """Defaults of one family of machines.

    ``usb``, ``scsi``, ``cards`` and ``screens`` are first choice first, by the capability that each needs ("" is
    always there).  ``has_usb`` boards come with a USB controller, others get one with the first USB device.
    """

    usb: Mapping[str, str] = field(default_factory=dict)
    has_usb: bool = False
    scsi: Mapping[str, str] = field(default_factory=lambda: {"": "virtio-scsi"})
    cards: Mapping[str, str] = field(default_factory=lambda: {"": "virtio"})
    screens: Mapping[str, VideoType] = field(default_factory=lambda: {"": VideoType.VIRTIO})
    serial: SerialTargetType = SerialTargetType.SYSTEM
    serial_model: str = "pl011"
    has_balloon: bool = True
    has_ps2: bool = False
    panic: PanicModel | None = None


def _pc(usb: Mapping[str, str]) -> Board:
    return Board(
        usb=usb,
        has_usb=True,
        scsi={"lsi": "lsilogic", "": "virtio-scsi"},
        cards={"rtl8139": "rtl8139", "": "virtio"},
        screens={"cirrus-vga": VideoType.CIRRUS, "": VideoType.VGA},
        serial=SerialTargetType.ISA,
        serial_model="isa-serial",
        has_ps2=True,
    )


_I440FX, _Q35 = _pc(_UHCI), _pc(_XHCI)
_OTHER_PC = replace(_I440FX, has_usb=False, usb={})
_MICROVM = Board(serial=SerialTargetType.ISA, serial_model="isa-serial")
_VIRT = Board(usb=_XHCI, has_balloon=False)
_RISCV = Board(usb=_XHCI, serial_model="16550a")
_S390 = Board(serial=SerialTargetType.SCLP, serial_model="sclpconsole", panic=PanicModel.S390)
_PSERIES = Board(
    usb=_OHCI,
    has_usb=True,
    scsi={"": "ibmvscsi"},
    cards={"rtl8139": "rtl8139", "e1000": "e1000", "": "virtio"},
    screens={"": VideoType.VGA},
    serial=SerialTargetType.SPAPR_VIO,
    serial_model="spapr-vty",
    panic=PanicModel.PSERIES,
)
_OTHER = Board(scsi={"lsi": "lsilogic", "": "virtio-scsi"})


def of(domain: Domain) -> Board:
    """The board of a domain whose architecture and machine are told."""
    if machine.is_x86(domain):
        if machine.is_i440fx(domain):
            return _I440FX
        return _Q35 if machine.is_q35(domain) else _MICROVM if machine.is_microvm(domain) else _OTHER_PC
    if machine.is_virt(domain):
        return _RISCV if (domain.os.type.arch or "").startswith("riscv") else _VIRT
    if machine.is_s390(domain):
        return _S390
    return _PSERIES if machine.is_pseries(domain) else _OTHER


def first(choices: Mapping[str, Model], caps: Capabilities) -> Model | None:
    """The first of the choices that the binary has."""
    return next((model for flag, model in choices.items() if not flag or flag in caps), None)
