"""Devices on the VIO bus of pSeries machines, each at a register of its own.

Source: qemuDomainAssignSpaprVIOAddresses of libvirt; hw/ppc/spapr_vio.c of QEMU
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import Device, SpaprVioAddress
from vmherd.conf.domain.chardev import SerialTargetType
from vmherd.conf.domain.controller import ControllerType
from vmherd.conf.domain.domain import placed_devices
from vmherd.errors import DocumentError
from vmherd.hypervisors.qemu import machine

_CARDS, _SCSI, _NVRAM, _SERIAL = 0x1000, 0x2000, 0x3000, 0x30000000
_STEP = 0x1000


def assign(domain: Domain) -> None:
    """Address them in place.  Raises DocumentError where two devices want one register."""
    if not machine.is_pseries(domain):
        return
    taken: set[int] = set()
    for place, device in placed_devices(domain.devices):
        if isinstance(device.address, SpaprVioAddress) and device.address.reg is not None:
            if device.address.reg in taken:
                text = f"the register {device.address.reg:#x} is taken by another device"
                raise DocumentError(text, place=f"{place}/address/@reg", hint="leave <address> out")
            taken.add(device.address.reg)
    for device, first in _devices(domain):
        if device.address is None or (isinstance(device.address, SpaprVioAddress) and device.address.reg is None):
            reg = next(reg for reg in count(first, _STEP) if reg not in taken)
            taken.add(reg)
            device.address = SpaprVioAddress(reg=reg)


def _devices(domain: Domain) -> Iterator[tuple[Device, int]]:
    devices = domain.devices
    yield from ((card, _CARDS) for card in devices.interfaces if card.model and card.model.type == "spapr-vlan")
    for controller in devices.controllers:
        if controller.type is ControllerType.SCSI and controller.model == "ibmvscsi":
            yield controller, _SCSI
    for serial in devices.serials:
        if serial.target and serial.target.type is SerialTargetType.SPAPR_VIO:
            yield serial, _SERIAL
    if devices.nvram:
        yield devices.nvram, _NVRAM
