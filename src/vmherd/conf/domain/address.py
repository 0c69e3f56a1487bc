"""Where a device sits in the guest (<address>), and the small elements every device may carry.

Source: https://libvirt.org/formatdomain.html#device-addresses
"""

from __future__ import annotations

from vmherd.util.xmlmodel import Element, Hex, Hex2, Hex4, Hex8, Switch, UInt, YesNo, attr, child


class Zpci(Element, tag="zpci"):
    """The user-visible identifiers of a PCI device on s390x."""

    uid: Hex4 | None = attr()
    fid: Hex8 | None = attr()


class PciAddress(Element, tag="address", when={"type": "pci"}):
    """A PCI function.  An address without numbers asks for PCI and leaves the slot to the driver."""

    domain: Hex4 | None = attr()
    bus: Hex2 | None = attr()
    slot: Hex2 | None = attr()
    function: Hex | None = attr()
    multifunction: Switch | None = attr()
    zpci: Zpci | None = child()

    def __post_init__(self) -> None:
        if self.is_placed:  # what is absent beside a number that is told means zero
            self.domain, self.bus, self.slot, self.function = self.key

    @property
    def is_placed(self) -> bool:
        """Whether it names a place; all zero only asks for PCI.  Source: virPCIDeviceAddressIsEmpty of libvirt."""
        return bool(self.bus or self.slot or self.function or self.domain)

    @property
    def key(self) -> tuple[int, int, int, int]:
        """Domain, bus, slot and function, with libvirt's zeros for what is absent."""
        return (self.domain or 0, self.bus or 0, self.slot or 0, self.function or 0)


class HostPciAddress(Element, tag="address"):
    domain: Hex4 = attr(default=0, always=True)
    bus: Hex2 = attr(default=0, always=True)
    slot: Hex2 = attr(default=0, always=True)
    function: Hex = attr(default=0, always=True)


class DriveAddress(Element, tag="address", when={"type": "drive"}):
    """A disk's place on a controller: IDE, SATA, SCSI or floppy."""

    controller: UInt = attr(default=0, always=True)
    bus: UInt = attr(default=0, always=True)
    target: UInt = attr(default=0, always=True)
    unit: UInt = attr(default=0, always=True)


class VirtioSerialAddress(Element, tag="address", when={"type": "virtio-serial"}):
    controller: UInt = attr(default=0, always=True)
    bus: UInt = attr(default=0, always=True)
    port: UInt | None = attr()


class CcidAddress(Element, tag="address", when={"type": "ccid"}):
    controller: UInt = attr(default=0, always=True)
    slot: UInt = attr(default=0, always=True)


class UsbAddress(Element, tag="address", when={"type": "usb"}):
    """A port of a USB bus; ``port`` is a path through hubs such as ``1.2.3``."""

    bus: UInt = attr(default=0, always=True)
    port: str | None = attr()


class SpaprVioAddress(Element, tag="address", when={"type": "spapr-vio"}):
    reg: Hex8 | None = attr()


class CcwAddress(Element, tag="address", when={"type": "ccw"}):
    """A channel device of s390x."""

    cssid: Hex | None = attr()
    ssid: Hex | None = attr()
    devno: Hex4 | None = attr()


class VirtioS390Address(Element, tag="address", when={"type": "virtio-s390"}):
    """The old virtio bus of s390x, before channel devices."""


class VirtioMmioAddress(Element, tag="address", when={"type": "virtio-mmio"}):
    """A memory-mapped virtio slot; the machine chooses which."""


class IsaAddress(Element, tag="address", when={"type": "isa"}):
    iobase: Hex | None = attr()
    irq: Hex | None = attr()


class DimmAddress(Element, tag="address", when={"type": "dimm"}):
    slot: UInt = attr(default=0, always=True)
    base: Hex | None = attr()


class UnassignedAddress(Element, tag="address", when={"type": "unassigned"}):
    """The device is detached from the guest but stays reserved on the host."""


Address = (
    PciAddress
    | DriveAddress
    | VirtioSerialAddress
    | CcidAddress
    | UsbAddress
    | SpaprVioAddress
    | CcwAddress
    | VirtioS390Address
    | VirtioMmioAddress
    | IsaAddress
    | DimmAddress
    | UnassignedAddress
)


class Alias(Element, tag="alias"):
    """The device's id in the hypervisor; one chosen by the user starts with ``ua-``."""

    name: str = attr()

    @property
    def is_users(self) -> bool:
        """Whether the user chose it, so that it belongs to the stored definition."""
        return self.name.startswith("ua-")


class Boot(Element, tag="boot"):
    """The device's place in the boot order, counted from 1."""

    order: UInt = attr()
    loadparm: str | None = attr()


class Master(Element, tag="master"):
    """The companion of a USB 2 controller that this USB 1 controller serves."""

    startport: UInt = attr()


class Rom(Element, tag="rom"):
    """The option ROM of a PCI device."""

    enabled: YesNo | None = attr()
    bar: Switch | None = attr()
    file: str | None = attr()


class Acpi(Element, tag="acpi"):
    """The index that gives a PCI network card its stable name in the guest."""

    index: UInt = attr()


class Device(Element):
    """Base of all devices: what libvirt calls device info.

    ``boot`` counts only for devices a guest can boot from, ``master`` for USB controllers, ``rom`` for network cards
    and host devices on PCI.
    """

    boot: Boot | None = child(last=True)
    alias: Alias | None = child(last=True)
    master: Master | None = child(last=True)
    rom: Rom | None = child(last=True)
    acpi: Acpi | None = child(last=True)
    address: Address | None = child(last=True)


class VirtioDriver(Element, tag="driver"):
    """Options every virtio device has."""

    iommu: Switch | None = attr()
    ats: Switch | None = attr()
    packed: Switch | None = attr()
    page_per_vq: Switch | None = attr()
