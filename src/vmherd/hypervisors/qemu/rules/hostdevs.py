"""Checks of devices of the host that the guest is handed.

Source: virDomainHostdevDefParseXMLSubsys, virDomainHostdevDefValidate and qemuValidateDomainDeviceDefHostdev of
libvirt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.address import CcwAddress, DriveAddress, PciAddress, UnassignedAddress, UsbAddress
from vmherd.conf.domain.controller import ControllerType
from vmherd.conf.domain.hostdev import (
    Hostdev,
    HostdevMode,
    HostdevType,
    MdevModel,
    PciSource,
    ScsiHostSource,
    ScsiSource,
    UsbSource,
)
from vmherd.conf.domain.net import Interface, InterfaceType, TeamingType
from vmherd.conf.domain.problem import duplicates, numbered
from vmherd.hypervisors.qemu import hostdevs as handed
from vmherd.util.xmlmodel import Element

_T = HostdevType
#: A World Wide Port Name: "naa.", then 16 digits of which the first tells its kind.
_WWPN = re.compile(r"naa\.5[0-9a-fA-F]{15}")
_BOOTABLE = (_T.USB, _T.PCI, _T.SCSI)


def problems(domain: Domain) -> Iterator[Problem]:
    """Every host device that QEMU cannot hand on as it is described."""
    for number, hostdev in numbered(domain.devices.hostdevs):
        place = f"domain/devices/hostdev[{number}]"
        if hostdev.mode is HostdevMode.CAPABILITIES:
            text = "QEMU guests have no host devices of mode 'capabilities', which is for containers"
            yield Problem(f"{place}/@mode", text, "use mode='subsystem'")
            continue
        yield from _source(hostdev, place)
        yield from _settings(hostdev, place)
        if hostdev.type is _T.SCSI:
            yield from _scsi_place(domain, hostdev, place)
        if hostdev.type is _T.MDEV:
            yield from _mediated(domain, hostdev, place)
    for number, interface in numbered(domain.devices.interfaces):
        if interface.type is InterfaceType.HOSTDEV:
            yield from _card(interface, f"domain/devices/interface[{number}]")
    yield from _only_one(domain)


def not_here_yet(domain: Domain) -> Iterator[Problem]:
    """What libvirt does for a host device beside QEMU, and this driver does not do yet."""
    for number, hostdev in numbered(domain.devices.hostdevs):
        for name in ("sgio", "rawio"):
            if getattr(hostdev, name):
                place = f"domain/devices/hostdev[{number}]/@{name}"
                yield Problem(place, f"{name} is not enforced by the QEMU driver yet", "remove it")


def _source(hostdev: Hostdev, place: str) -> Iterator[Problem]:
    match hostdev.source:
        case None:
            yield Problem(f"{place}/source", "which device it is, is missing", "add <source>")
        case UsbSource() as usb if usb.address is None and (usb.vendor is None or usb.product is None):
            hint = "add <vendor id=''/> and <product id=''/>, or <address bus='' device=''/>"
            yield Problem(f"{place}/source", "a USB device is told by vendor and product, or by its address", hint)
        case PciSource() as pci:
            yield from _backend(hostdev.driver.name if hostdev.driver else None, place)
            if pci.write_filtering is not None:
                yield Problem(f"{place}/source/@writeFiltering", "QEMU decides what may be written", "remove it")
        case ScsiHostSource() as target:
            if target.protocol != "vhost":
                yield Problem(f"{place}/source/@protocol", "SCSI targets are reached by vhost", "use 'vhost'")
            if not _WWPN.fullmatch(target.wwpn):
                text = f"{target.wwpn!r} is no World Wide Port Name"
                yield Problem(f"{place}/source/@wwpn", text, "write it naa.5 and 15 hexadecimal digits")
        case ScsiSource() as scsi:
            yield from _scsi(scsi, place)


def _backend(name: str | None, place: str) -> Iterator[Problem]:
    if name not in (None, "vfio", "default"):
        text = f"QEMU hands on PCI devices by VFIO, not by {name!r}"
        yield Problem(f"{place}/driver/@name", text, "use name='vfio', or leave it out")


def _scsi(source: ScsiSource, place: str) -> Iterator[Problem]:
    secret = source.auth.secret if source.auth else None
    if source.protocol not in (None, "adapter", "iscsi"):
        yield Problem(f"{place}/source/@protocol", f"{source.protocol!r} reaches no SCSI device", "use 'iscsi'")
    elif source.protocol == "iscsi":
        if not source.name or len(source.hosts) != 1:
            hint = "add name='iqn...' and one <host name=''/>"
            yield Problem(f"{place}/source", "an iSCSI device has a name and one host", hint)
        if secret and secret.type != "iscsi":
            yield Problem(f"{place}/source/auth/secret/@type", "the secret is for iSCSI", "use type='iscsi'")
    elif source.adapter is None or source.address is None:
        text = "a SCSI device of this host is told by its adapter and its address there"
        yield Problem(f"{place}/source", text, "add <adapter name=''/> and <address/>")


def _settings(hostdev: Hostdev, place: str) -> Iterator[Problem]:
    kind = str(hostdev.type)
    for name in ("sgio", "rawio"):
        if getattr(hostdev, name) is not None and hostdev.type is not _T.SCSI:
            yield Problem(f"{place}/@{name}", f"a {kind} device has none: it is for SCSI", "remove it")
    if hostdev.boot and hostdev.type not in _BOOTABLE and hostdev.model is not MdevModel.VFIO_PCI:
        yield Problem(f"{place}/boot", f"no guest boots from a {kind} device", "remove it")
    if hostdev.address is not None and not isinstance(hostdev.address, _places(hostdev)):
        yield Problem(f"{place}/address/@type", f"a {kind} device sits on another kind of bus", "remove <address>")
    if hostdev.teaming and hostdev.type is not _T.PCI:
        yield Problem(f"{place}/teaming", "only network cards on PCI work in teams", "remove it")
    elif hostdev.teaming and (hostdev.teaming.type is TeamingType.PERSISTENT or not hostdev.teaming.persistent):
        hint = "use type='transient' and persistent='ALIAS'"
        yield Problem(f"{place}/teaming", "a host device comes and goes, and names the card that stays", hint)


def _places(hostdev: Hostdev) -> tuple[type[Element], ...]:
    """The kinds of address that a device may have."""
    match hostdev.type:
        case HostdevType.PCI:
            return PciAddress, UnassignedAddress
        case HostdevType.USB:
            return (UsbAddress,)
        case HostdevType.SCSI:
            return (DriveAddress,)
        case HostdevType.SCSI_HOST:
            return PciAddress, CcwAddress
    return (CcwAddress,) if hostdev.model is MdevModel.VFIO_CCW else (PciAddress,)


def _scsi_place(domain: Domain, hostdev: Hostdev, place: str) -> Iterator[Problem]:
    address = hostdev.address
    if not isinstance(address, DriveAddress):
        return
    controllers = (each for each in domain.devices.controllers if each.type is ControllerType.SCSI)
    model = next((each.model for each in controllers if each.index == address.controller), None)
    if model == "lsilogic" and address.target:
        yield Problem(f"{place}/address/@target", "the lsilogic controller has target 0 only", "count in unit")


def _mediated(domain: Domain, hostdev: Hostdev, place: str) -> Iterator[Problem]:
    if hostdev.model not in (MdevModel.VFIO_PCI, MdevModel.VFIO_CCW, MdevModel.VFIO_AP):
        yield Problem(f"{place}/@model", "what kind of device it makes is missing", "use model='vfio-pci'")
    for name in ("display", "ramfb"):
        if getattr(hostdev, name) is not None and hostdev.model is not MdevModel.VFIO_PCI:
            yield Problem(f"{place}/@{name}", "only a vfio-pci device shows anything", "remove it")
    if hostdev.display and not domain.devices.graphics:
        yield Problem(f"{place}/@display", "there is no screen to show it on", "add <graphics>")
    if hostdev.ramfb and not hostdev.display:
        yield Problem(f"{place}/@ramfb", "a device that shows nothing has no frame buffer", "add display='on'")


def _card(interface: Interface, place: str) -> Iterator[Problem]:
    source = interface.source.host_address if interface.source else None
    if source is not None and not isinstance(source, PciAddress):
        yield Problem(f"{place}/source/address", "only cards on PCI are handed on", "use <hostdev type='usb'>")
    yield from _backend(interface.passthrough.name if interface.passthrough else None, place)


def _only_one(domain: Domain) -> Iterator[Problem]:
    """What only one device can be, and devices that are a card and something else at once."""
    devices = handed.of(domain)
    cards = len(devices) - len(domain.devices.hostdevs)
    sources = [("domain/devices/hostdev/source", repr(each.source)) for each in devices if each.source]
    if cards:  # of other devices alone, another rule tells
        yield from duplicates(sources, "this device is handed over twice", "keep one", show=str)
    if sum(bool(each.ramfb) for each in devices) > 1:
        yield Problem("domain/devices/hostdev/@ramfb", "only one device shows the first screen", "leave it on one")
    if sum(each.model is MdevModel.VFIO_AP for each in devices) > 1:
        yield Problem("domain/devices/hostdev/@model", "only one vfio-ap device works", "keep one")


RULES = (problems,)
