"""Changing the devices of a definition, as libvirt's QEMU driver allows it.

Source: qemuDomainAttachDeviceConfig, qemuDomainDetachDeviceConfig and qemuDomainUpdateDeviceConfig of libvirt
"""

from __future__ import annotations

from vmherd.conf.domain.address import Device
from vmherd.conf.domain.chardev import Channel, Console, Parallel, Serial
from vmherd.conf.domain.controller import Controller
from vmherd.conf.domain.disk import Disk
from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.filesystem import Filesystem
from vmherd.conf.domain.graphics import Graphics
from vmherd.conf.domain.hostdev import Hostdev
from vmherd.conf.domain.input import Input
from vmherd.conf.domain.lease import Lease
from vmherd.conf.domain.memdev import MemoryDevice
from vmherd.conf.domain.net import Interface
from vmherd.conf.domain.plug.find import find, find_alias
from vmherd.conf.domain.plug.fragment import word
from vmherd.conf.domain.plug.insert import insert, replace, take_out
from vmherd.conf.domain.redirdev import Redirdev
from vmherd.conf.domain.rng import Rng
from vmherd.conf.domain.shmem import Shmem
from vmherd.conf.domain.sound import Sound
from vmherd.conf.domain.vsock import Vsock
from vmherd.conf.domain.watchdog import Watchdog
from vmherd.errors import OperationUnsupported
from vmherd.util.xmlmodel import Element

_COMING_AND_GOING = (
    Disk, Interface, Sound, Hostdev, Lease, Controller, Serial, Parallel, Console, Channel, Filesystem, Rng,
    MemoryDevice, Redirdev, Shmem, Watchdog, Input, Vsock,
)  # fmt: skip
_CHANGING = (Disk, Graphics, Interface, MemoryDevice)


def attach(domain: Domain, device: Element) -> None:
    """Add a device.  Raises InvalidState where there is one already, OperationUnsupported for what stays as it is."""
    _require(device, _COMING_AND_GOING, "attach")
    device = device.copy()
    if isinstance(device, Device):
        drop_generated_alias(device)
    insert(domain, device)


def detach(domain: Domain, device: Element) -> None:
    """Remove the device that is meant.  Raises DeviceMissing, OperationUnsupported for what stays as it is."""
    _require(device, _COMING_AND_GOING, "detach")
    there = domain.devices.watchdog if isinstance(device, Watchdog) else None  # there is but one, whatever its action
    take_out(domain, there or find(domain, device))


def detach_alias(domain: Domain, alias: str) -> None:
    """Remove the device of that name.  Raises as ``detach`` does."""
    device = find_alias(domain, alias)
    _require(device, _COMING_AND_GOING, "detach")
    take_out(domain, device)


def update(domain: Domain, device: Element) -> None:
    """Put a device in the place of the one that is meant.  Raises DeviceMissing, OperationUnsupported."""
    _require(device, _CHANGING, "update")
    old = find(domain, device)
    new = device.copy()
    if isinstance(new, Device) and isinstance(old, Device):
        drop_generated_alias(new)
        new.address, new.alias = new.address or old.address, new.alias or old.alias
    if isinstance(new, Interface) and isinstance(old, Interface):
        new.mac = new.mac or old.mac
    if isinstance(new, MemoryDevice) and isinstance(old, MemoryDevice):
        domain.memory.size += new.target.size - old.target.size
    replace(domain, old, new)


def drop_generated_alias(device: Device) -> None:
    """A name is the user's only if it says so; others are given anew with each start."""
    if device.alias and not device.alias.is_users:
        device.alias = None


def _require(device: Element, kinds: tuple[type[Element], ...], verb: str) -> None:
    if not isinstance(device, kinds):
        hint = "change the whole document with 'vmherd edit'"
        raise OperationUnsupported(f"persistent {verb} of device '{word(device)}' is not supported", hint=hint)
