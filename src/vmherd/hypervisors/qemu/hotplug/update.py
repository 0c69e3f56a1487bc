"""What changes of a device while it stays in a guest that runs; anything else is refused.

Source: qemuDomainUpdateDeviceLive, qemuDomainChangeDiskLive, qemuDomainChangeNet, qemuDomainChangeGraphics and
qemuDomainChangeMemoryLive of libvirt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import Device
from vmherd.conf.domain.disk import Disk
from vmherd.conf.domain.graphics import Graphics
from vmherd.conf.domain.memdev import MemoryDevice, MemoryModel
from vmherd.conf.domain.net import Interface
from vmherd.conf.domain.plug import find, replace
from vmherd.conf.domain.plug.fragment import word
from vmherd.errors import DeviceMissing, OperationUnsupported, Unsupported
from vmherd.hypervisors.qemu.command.device import alias
from vmherd.hypervisors.qemu.hotplug import cards, media, place, removal, screens
from vmherd.hypervisors.qemu.hotplug.disks import DRIVES
from vmherd.hypervisors.qemu.hotplug.running import Means, Running
from vmherd.util.xmlmodel import Element


async def update(running: Running, means: Means, device: Element, *, force: bool = False) -> None:
    """Change what can be changed.  Raises DeviceMissing, Unsupported and OperationUnsupported for what cannot."""
    change = _CHANGES.get(type(device))
    if change is None:
        text = f"live update of device '{word(device)}' is not supported"
        raise Unsupported(text, hint="change the definition, and start the guest anew")
    await change(running, means, device, force)


async def _disk(running: Running, means: Means, wanted: Disk, force: bool) -> None:
    """Its medium, if it is a drive; how it takes part in snapshots, and whether it may be missing at the next start."""
    wanted = place.complete_alone(running.domain, wanted, means)
    old = find(running.domain, wanted)
    assert isinstance(old, Disk)
    new = _inherited(wanted, old)
    _refuse_changes(old, new, "disk", ("type", "source", "backing_store", "auth", "encryption", "snapshot", "driver"))
    if old.driver and new.driver and old.driver.replace(type=None) != new.driver.replace(type=None):
        raise OperationUnsupported("cannot modify field 'driver' of the disk", hint=_HINT)
    if _location(old) != _location(new):
        if old.device not in DRIVES:
            text = "disk source can be changed only in removable drives"
            raise Unsupported(text, place="disk/source", hint="detach the disk, and attach another one")
        await media.change(running, old, new, means, force=force)

    def settle(domain: Domain) -> None:
        found = removal.named(domain, alias(old))
        if isinstance(found, Disk):
            found.snapshot = new.snapshot
            if found.source and new.source:
                found.source.startup_policy = new.source.startup_policy

    running.note(settle)


def _location(disk: Disk) -> object:
    """Where the image of a disk is."""
    source = disk.source.replace(index=None, startup_policy=None, seclabels=[]) if disk.source else None
    return None if disk.is_empty else (disk.type, source)


def _inherited(wanted: Any, old: Device) -> Any:
    """``wanted`` with what goes without saying in a device that is there: its name and its place."""
    new = wanted.copy()
    new.alias = old.alias
    new.address = new.address or old.address
    for name in ("mirror", "backing_store"):
        if hasattr(new, name) and getattr(new, name) is None:
            setattr(new, name, getattr(old, name))
    if isinstance(new, Disk) and isinstance(old, Disk):
        new.target.tray = old.target.tray
    return new


def _refuse_changes(old: Device, new: Device, what: str, allowed: Collection[str]) -> None:
    for name in type(old).__struct_fields__:
        if name not in allowed and getattr(old, name) != getattr(new, name):
            raise OperationUnsupported(f"cannot modify field '{name}' of the {what}", hint=_HINT)


_HINT = "change the definition, and start the guest anew"


async def _interface(running: Running, means: Means, wanted: Interface, _: bool) -> None:
    """Whether its cable is plugged in, into which network or bridge, its bandwidth and its filter."""
    old = find(running.domain, place.complete_alone(running.domain, wanted, means))
    assert isinstance(old, Interface)
    wanted = place.complete_alone(running.domain, wanted.replace(mac=wanted.mac or old.mac), means)
    new = _inherited(wanted, old)
    new.target = new.target or old.target
    place_of_card = ("type", "source", "port", "vlan", "virtualport", "trust_guest_rx_filters")
    _refuse_changes(old, new, "network device", ("link", "bandwidth", "filterref", *place_of_card))
    await cards.change(running, means, old, new)
    running.note(lambda domain: _put(domain, alias(old), new))


async def _graphics(running: Running, _: Means, wanted: Graphics, __: bool) -> None:
    """Its password, until when that is valid, and what happens to whoever is connected."""
    old = find(running.domain, wanted)
    assert isinstance(old, Graphics)
    await screens.change(running, old, wanted)

    def settle(domain: Domain) -> None:
        for found in (each for each in domain.devices.graphics if each.type is wanted.type):
            screens.take_over(found, wanted)

    running.note(settle)


async def _module(running: Running, means: Means, wanted: MemoryDevice, _: bool) -> None:
    """How much of a virtio-mem the guest shall have."""
    old = _same_module(running.domain, wanted)
    if old.model is not MemoryModel.VIRTIO_MEM:
        text = f"cannot modify memory of model '{old.model}'"
        raise OperationUnsupported(text, hint="detach it, and attach another one")
    new = _inherited(place.complete_alone(running.domain, wanted, means), old)
    requested = new.target.requested
    new.target.requested, new.target.current = old.target.requested, old.target.current
    new.target.address = new.target.address or old.target.address
    _refuse_changes(old, new, "memory device", ())
    async with running.monitor() as monitor:
        path = {"path": f"/machine/peripheral/{alias(old)}", "property": "requested-size", "value": requested or 0}
        await monitor.execute("qom-set", path)

    def settle(domain: Domain) -> None:
        found = removal.named(domain, alias(old))
        if isinstance(found, MemoryDevice):
            found.target.requested = requested

    running.note(settle)


def _same_module(domain: Domain, wanted: MemoryDevice) -> MemoryDevice:
    """By its name or its place.  Source: virDomainMemoryFindByDeviceInfo of libvirt"""
    for each in domain.devices.memories:
        if wanted.alias and wanted.alias == each.alias:
            return each
        if wanted.address and wanted.address == each.address:
            return each
    told = wanted.alias.name if wanted.alias else "without <alias> and <address>"
    raise DeviceMissing(f"memory '{told}' not found", hint="tell its <alias> or its <address>, as 'dumpxml' shows it")


def _put(domain: Domain, name: str, new: Device) -> None:
    if found := removal.named(domain, name):
        replace(domain, found, new.copy())


_CHANGES: dict[type[Element], Callable[[Running, Means, Any, bool], Awaitable[None]]] = {
    Disk: _disk,
    Interface: _interface,
    Graphics: _graphics,
    MemoryDevice: _module,
}
