"""Places of the first PCI bus that the chipset fixes, by the data sheets of PIIX3 and ICH9.

Source: qemuDomainValidateDevicePCISlotsPIIX3 and qemuDomainValidateDevicePCISlotsQ35 of libvirt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import Device, PciAddress
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.sound import SoundModel
from vmherd.errors import DocumentError
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.address.slots import FUNCTIONS, Place, show

if TYPE_CHECKING:
    from vmherd.hypervisors.qemu.address.pci import Places

_IDE: Place = (0, 1, 1)
_PIIX3_USB: Place = (0, 1, 2)
_PARTS = {_IDE: ControllerType.IDE, _PIIX3_USB: ControllerType.USB}  # of the PIIX3
_SATA: Place = (0, 0x1F, 2)
_DMI_SLOT = 0x1E
_SOUND_SLOT = 0x1B
#: Where a real ICH9 has its two USB 2 controllers.
_USB2_SLOTS = (0x1D, 0x1A)


class Chipset:
    """What has its place before any other device has one."""

    def __init__(self, places: Places, domain: Domain) -> None:
        self._places = places
        self._domain = domain

    @staticmethod
    def is_own(device: Device) -> bool:
        """Whether a device is part of the PIIX3, so that ``place`` sees to it."""
        if not isinstance(device, Controller) or not isinstance(device.address, PciAddress):
            return False
        return _PARTS.get(device.address.key[1:]) is device.type and device.model in (None, "piix3-uhci")

    def place(self) -> None:
        if machine.is_i440fx(self._domain):
            self._piix3()
            self._primary_video(2)
        elif machine.is_q35(self._domain):
            self._ich9()
            self._primary_video(1)
            self._sounds()

    def _piix3(self) -> None:
        for controller in self._domain.devices.controllers:
            if controller.index == 0 and controller.type is ControllerType.IDE:
                self._fix(controller, _IDE, "the first IDE controller")
            elif controller.index == 0 and controller.type is ControllerType.USB and controller.model == "piix3-uhci":
                self._fix(controller, _PIIX3_USB, "the first PIIX3 USB controller")
        for function in range(FUNCTIONS):
            self._places.own(1, function)

    def _ich9(self) -> None:
        for controller in self._domain.devices.controllers:
            match controller.type:
                case ControllerType.SATA if controller.index == 0:
                    wanting = _is_wanting(controller)
                    self._fix(controller, _SATA, "the first SATA controller")
                    if wanting:
                        self._places.put(controller, _SATA)
                case ControllerType.USB if controller.model == "ich9-uhci1" and _is_wanting(controller):
                    self._usb2(controller)
                case ControllerType.PCI if controller.model == "dmi-to-pci-bridge" and _is_wanting(controller):
                    if self._places.is_free(_DMI_SLOT):
                        self._places.put(controller, (0, _DMI_SLOT, 0))
        self._places.own(0x1F, 0)  # the ISA bridge
        self._places.own(0x1F, 3)  # power management

    def _fix(self, controller: Controller, place: Place, what: str) -> None:
        if _is_wanting(controller):
            controller.address = PciAddress(domain=0, bus=place[0], slot=place[1], function=place[2])
        elif not isinstance(controller.address, PciAddress) or controller.address.key != (0, *place):
            raise DocumentError(
                f"{what} of this machine is at PCI address {show(place)}",
                place="domain/devices/controller/address",
                hint="leave <address> out",
            )

    def _usb2(self, controller: Controller) -> None:
        """The others of the group follow to that slot later."""
        slot = next((slot for slot in _USB2_SLOTS if self._places.is_free(slot)), None)
        if slot is not None:
            self._places.put(controller, (0, slot, 0))

    def _primary_video(self, slot: int) -> None:
        videos = self._domain.devices.videos
        plug = self._places.plugs.of(videos[0]) if videos else None
        if plug is None or not _is_wanting(videos[0]):
            return
        if self._places.is_free(slot):
            self._places.put(videos[0], (0, slot, 0))
        else:
            self._places.place_next(plug, videos[0])

    def _sounds(self) -> None:
        for sound in self._domain.devices.sounds:
            if sound.model is SoundModel.ICH9 and _is_wanting(sound) and self._places.is_free(_SOUND_SLOT):
                self._places.put(sound, (0, _SOUND_SLOT, 0))


def _is_wanting(device: Device) -> bool:
    return device.address is None or (isinstance(device.address, PciAddress) and not device.address.is_placed)
