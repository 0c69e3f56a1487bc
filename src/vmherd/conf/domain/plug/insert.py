"""Putting a device into a domain, taking one out, and what there can be once only.

Source: qemuDomainAttachDeviceConfig, virDomainDiskInsert and virDomainMemoryInsert of libvirt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vmherd.conf.domain.buses import drive_number, number_controllers
from vmherd.conf.domain.chardev import Channel, Console, Parallel, Serial
from vmherd.conf.domain.controller import Controller
from vmherd.conf.domain.disk import Disk
from vmherd.conf.domain.domain import Domain, devices_of
from vmherd.conf.domain.filesystem import Filesystem
from vmherd.conf.domain.hostdev import Hostdev
from vmherd.conf.domain.lease import Lease
from vmherd.conf.domain.memdev import MemoryDevice
from vmherd.conf.domain.plug.find import is_same_hostdev
from vmherd.conf.domain.plug.fragment import room, word
from vmherd.conf.domain.shmem import Shmem
from vmherd.errors import DocumentError, InvalidState
from vmherd.util.xmlmodel import Element


def insert(domain: Domain, device: Element) -> None:
    """Add a device.  Raises InvalidState where it is there already, or another one in its place."""
    check = _ONCE.get(type(device))
    if check:
        check(domain, device)
    _check_alias(domain, device)
    name = room(type(device))
    there = getattr(domain.devices, name)
    if isinstance(there, list):
        there.insert(_place(there, device), device)
    elif there is not None:
        raise InvalidState(f"domain already has a {word(device)}", hint="detach that first")
    else:
        setattr(domain.devices, name, device)
    if isinstance(device, Controller):
        number_controllers(domain.devices.controllers)
    if isinstance(device, MemoryDevice):
        _grow(domain, device.target.size)


def take_out(domain: Domain, device: Element) -> None:
    """Remove a device that ``find`` found in this domain."""
    name = room(type(device))
    there = getattr(domain.devices, name)
    if isinstance(there, list):
        there[:] = [each for each in there if each is not device]
    else:
        setattr(domain.devices, name, None)
    if isinstance(device, MemoryDevice):
        _grow(domain, -device.target.size)


def replace(domain: Domain, old: Element, new: Element) -> None:
    """Put ``new`` where ``old`` is, which ``find`` found in this domain."""
    name = room(type(old))
    there = getattr(domain.devices, name)
    if isinstance(there, list):
        there[:] = [new if each is old else each for each in there]
    else:
        setattr(domain.devices, name, new)


def _place(there: list[Any], device: Element) -> int:
    """At the end; disks stand in the order of their names among those of their bus."""
    if not isinstance(device, Disk):
        return len(there)
    same = [place for place, each in enumerate(there) if each.target.bus is device.target.bus]
    number = drive_number(device.target.dev) or 0
    later = [place for place in same if (drive_number(there[place].target.dev) or 0) > number]
    return later[0] if later else same[-1] + 1 if same else len(there)


def _grow(domain: Domain, size: int) -> None:
    """Modules count as memory of the guest, and the balloon gives them all to it."""
    domain.memory.size += size
    if domain.current_memory is not None:
        domain.current_memory += size


def _check_alias(domain: Domain, device: Element) -> None:
    alias = getattr(device, "alias", None)
    if alias and any(each.alias == alias for each in devices_of(domain.devices)):
        tag = type(device).__xml__.tag
        place = f"domain/devices/{tag}/alias/@name"
        raise DocumentError(f"non unique alias detected: {alias.name}", place=place, hint="choose another name")


def _disk(domain: Domain, disk: Disk) -> None:
    if any(each.target.dev == disk.target.dev for each in domain.devices.disks):
        raise InvalidState(f"target {disk.target.dev} already exists", hint="choose another <target dev=''/>")


def _controller(domain: Domain, controller: Controller) -> None:
    same = [each for each in domain.devices.controllers if each.type is controller.type]
    if controller.index is not None and any(each.index == controller.index for each in same):
        raise InvalidState(f"controller {controller.type}:{controller.index} already exists", hint="leave index out")


def _hostdev(domain: Domain, hostdev: Hostdev) -> None:
    if any(is_same_hostdev(hostdev, each) for each in domain.devices.hostdevs):
        raise InvalidState("device is already in the domain configuration", hint="detach it first")


def _lease(domain: Domain, lease: Lease) -> None:
    if any((each.lockspace, each.key) == (lease.lockspace, lease.key) for each in domain.devices.leases):
        raise InvalidState(f"Lease {lease.key} in lockspace {lease.lockspace} already exists", hint="keep one")


def _stream(domain: Domain, stream: Serial | Parallel | Console | Channel) -> None:
    there = getattr(domain.devices, room(type(stream)))
    if any(_ends(each) == _ends(stream) for each in there):
        raise InvalidState("chardev already exists", hint="change its source, its port or its name")


def _ends(stream: Serial | Parallel | Console | Channel) -> object:
    """What makes a character device this one.  Source: virDomainChrEquals of libvirt"""
    target = stream.target.replace(state=None) if isinstance(stream, Channel) else stream.target
    return stream.type, stream.sources, target


def _filesystem(domain: Domain, filesystem: Filesystem) -> None:
    tag = filesystem.target.dir if filesystem.target else None
    if any(each.target and each.target.dir == tag for each in domain.devices.filesystems):
        raise InvalidState("Target already exists", hint="choose another <target dir=''/>")


def _shmem(domain: Domain, shmem: Shmem) -> None:
    if any(each.name == shmem.name for each in domain.devices.shmems):
        raise InvalidState("device is already in the domain configuration", hint="choose another name")


#: What there can be once, and how that is told.
_ONCE: dict[type[Element], Callable[[Domain, Any], None]] = {
    Disk: _disk,
    Controller: _controller,
    Hostdev: _hostdev,
    Lease: _lease,
    Serial: _stream,
    Parallel: _stream,
    Console: _stream,
    Channel: _stream,
    Filesystem: _filesystem,
    Shmem: _shmem,
}
