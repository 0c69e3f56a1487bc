"""Which device of a domain a description means.

Disks are known by their target, cards by their address, controllers by type and index, devices of the host by what
they are there; any other by all that is told of it.  Source: virDomainDiskRemoveByName, virDomainNetFindIdx,
virDomainHostdevFind, virDomainControllerFind, virDomainRNGFind and their relatives in libvirt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from vmherd.conf.domain.address import Address, Device
from vmherd.conf.domain.chardev import Channel, Console, Parallel, Serial
from vmherd.conf.domain.controller import Controller
from vmherd.conf.domain.disk import Disk
from vmherd.conf.domain.domain import Domain, devices_of
from vmherd.conf.domain.graphics import Graphics
from vmherd.conf.domain.hostdev import Hostdev, MdevSource, PciSource, ScsiHostSource, ScsiSource, UsbSource
from vmherd.conf.domain.lease import Lease
from vmherd.conf.domain.net import Interface
from vmherd.conf.domain.plug.fragment import room, word
from vmherd.errors import DeviceMissing, OperationFailed
from vmherd.util.xmlmodel import Element

Stream = Serial | Parallel | Console | Channel

#: Where a device sits and what a guest made of it does not tell which one is meant.
_OF_RUN = frozenset({"alias", "tty", "state", "requested", "current"})


def find(domain: Domain, wanted: Element) -> Element:
    """The one that ``wanted`` describes.

    Raises DeviceMissing where there is none, OperationFailed where it could be several.
    """
    there = getattr(domain.devices, room(type(wanted)))
    candidates = there if isinstance(there, list) else [there] if there is not None else []
    chosen = _KEYS.get(type(wanted))
    if chosen:
        return chosen(candidates, wanted)
    found: Element = _first((each for each in candidates if _says(wanted, each)), _missing(wanted))
    return found


def find_alias(domain: Domain, alias: str) -> Device:
    """The device of that name.  Raises DeviceMissing."""
    for each in devices_of(domain.devices):
        if each.alias and each.alias.name == alias:
            return each
    raise DeviceMissing(f"no device found with alias {alias}", hint="'vmherd dumpxml' shows the names")


def _first(found: Iterable[Any], missing: str) -> Any:
    for each in found:
        return each
    raise DeviceMissing(missing, hint="'vmherd dumpxml' shows what there is")


def _missing(wanted: Element) -> str:
    model = getattr(wanted, "model", None)
    kind = type(wanted).__xml__.tag
    if model is not None and isinstance(model, str):
        return f"model '{model}' {kind} device not present in domain configuration"
    return f"matching {word(wanted)} device was not found"


def _says(wanted: Any, found: Any) -> bool:
    """Whether all that is told of ``wanted`` holds for ``found``; what is left out matches anything."""
    if isinstance(wanted, Address):
        return bool(wanted == found)
    if isinstance(wanted, Element) and type(wanted) is type(found):
        names = (name for name in wanted.__struct_fields__ if name not in _OF_RUN)
        return all(_says(getattr(wanted, name), getattr(found, name)) for name in names)
    if isinstance(wanted, list) and isinstance(found, list):
        return not wanted or (len(wanted) == len(found) and all(map(_says, wanted, found)))
    return wanted is None or bool(wanted == found)


def _disk(disks: list[Disk], wanted: Disk) -> Disk:
    found = (each for each in disks if each.target.dev == wanted.target.dev)
    disk: Disk = _first(found, f"disk {wanted.target.dev} not found")
    return disk


def _controller(controllers: list[Controller], wanted: Controller) -> Controller:
    found = (each for each in controllers if (each.type, each.index) == (wanted.type, wanted.index))
    controller: Controller = _first(found, f"controller {wanted.type}:{wanted.index} not found")
    return controller


def _interface(interfaces: list[Interface], wanted: Interface) -> Interface:
    """By its MAC address, its place and its name, as far as they are told."""
    mac = wanted.mac.address if wanted.mac else None
    found = [
        each
        for each in interfaces
        if (mac is None or (each.mac and each.mac.address == mac))
        and (wanted.address is None or wanted.address == each.address)
        and (wanted.alias is None or wanted.alias == each.alias)
    ]
    told = f"MAC address {mac}" if mac else "the description"
    if len(found) > 1:
        raise OperationFailed(f"multiple devices matching {told} found", hint="tell its <address>, too")
    interface: Interface = _first(found, f"no device matching {told} found")
    return interface


def _hostdev(hostdevs: list[Hostdev], wanted: Hostdev) -> Hostdev:
    found = (each for each in hostdevs if is_same_hostdev(wanted, each))
    hostdev: Hostdev = _first(found, f"host {wanted.type} device {_told(wanted)}not found")
    return hostdev


def is_same_hostdev(wanted: Hostdev, found: Hostdev) -> bool:
    """Whether both are the same device of the host.  Source: virDomainHostdevMatch"""
    if (wanted.mode, wanted.type) != (found.mode, found.type):
        return False
    ours, theirs = wanted.source, found.source
    if isinstance(ours, UsbSource) and isinstance(theirs, UsbSource):
        if ours.address:
            place = theirs.address
            return place is not None and (ours.address.bus, ours.address.device) == (place.bus, place.device)
        return (ours.vendor, ours.product) == (theirs.vendor, theirs.product)
    if isinstance(ours, PciSource) and isinstance(theirs, PciSource):
        return ours.address == theirs.address
    return ours == theirs


def _told(wanted: Hostdev) -> str:
    """What a device of the host is known by, with a blank behind."""
    match wanted.source:
        case UsbSource(address=place) if place:
            return f"{place.bus:03d}.{place.device:03d} "
        case UsbSource(vendor=vendor, product=product) if vendor and product:
            return f"vendor=0x{vendor.id:04x} product=0x{product.id:04x} "
        case PciSource(address=place):
            return f"{place.domain:04x}:{place.bus:02x}:{place.slot:02x}.{place.function} "
        case ScsiSource(adapter=adapter, address=address) if adapter and address:
            return f"{adapter.name}:{address.bus}:{address.target}.{address.unit} "
        case MdevSource(address=mediated):
            return f"{mediated.uuid} "
        case ScsiHostSource(wwpn=wwpn):
            return f"{wwpn} "
    return ""


def _stream(streams: list[Stream], wanted: Stream) -> Stream:
    found = (each for each in streams if _is_same_stream(wanted, each))
    text = f"chr type '{type(wanted).__xml__.tag}' device not present in domain configuration"
    stream: Stream = _first(found, text)
    return stream


def _is_same_stream(wanted: Stream, found: Stream) -> bool:
    """Whether both have the same ends; a path that QEMU or we chose need not be told.  Source: virDomainChrEquals"""
    if wanted.type is not found.type or not _says(wanted.sources, found.sources):
        return False
    return _says(wanted.target, found.target) and _says(wanted.address, found.address)


def _lease(leases: list[Lease], wanted: Lease) -> Lease:
    found = (each for each in leases if (each.lockspace, each.key) == (wanted.lockspace, wanted.key))
    space = wanted.lockspace or ""
    lease: Lease = _first(found, f"Lease {wanted.key} in lockspace {space} does not exist")
    return lease


def _graphics(screens: list[Graphics], wanted: Graphics) -> Graphics:
    found = (each for each in screens if each.type is wanted.type)
    graphics: Graphics = _first(found, "cannot find existing graphics device to modify")
    return graphics


_KEYS: dict[type[Element], Callable[[Any, Any], Element]] = {
    Disk: _disk,
    Controller: _controller,
    Interface: _interface,
    Hostdev: _hostdev,
    Serial: _stream,
    Parallel: _stream,
    Console: _stream,
    Channel: _stream,
    Lease: _lease,
    Graphics: _graphics,
}
