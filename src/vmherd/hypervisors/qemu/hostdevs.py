"""Every device of the host that a guest is handed: <hostdev> and <interface type='hostdev'> alike."""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import HostPciAddress, PciAddress
from vmherd.conf.domain.hostdev import Hostdev, HostdevMode, HostdevType, PciSource
from vmherd.conf.domain.net import Interface, InterfaceType


def of(domain: Domain) -> list[Hostdev]:
    """Network cards come first, as in libvirt's list of host devices; aliases and addresses are theirs."""
    cards = [each for each in domain.devices.interfaces if each.type is InterfaceType.HOSTDEV]
    return [*map(of_card, cards), *domain.devices.hostdevs]


def of_card(interface: Interface) -> Hostdev:
    """The host device that a card of type 'hostdev' is; one without a source for any other."""
    place = interface.source.host_address if interface.source else None
    source = None
    if isinstance(place, PciAddress):
        domain, bus, slot, function = place.key
        source = PciSource(address=HostPciAddress(domain=domain, bus=bus, slot=slot, function=function))
    return Hostdev(
        mode=HostdevMode.SUBSYSTEM,
        type=HostdevType.PCI,
        managed=interface.managed,
        driver=interface.passthrough,
        source=source,
        teaming=interface.teaming,
        alias=interface.alias,
        address=interface.address,
        boot=interface.boot,
        rom=interface.rom,
        acpi=interface.acpi,
    )
