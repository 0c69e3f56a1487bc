"""Taking a device out of a guest that runs: QEMU asks the guest, which takes its time or says no.

Source: qemuDomainDetachDeviceLive, qemuDomainWaitForDeviceRemoval and processDeviceDeletedEvent of libvirt; the events
DEVICE_DELETED, DEVICE_UNPLUG_GUEST_ERROR, MEM_UNPLUG_ERROR and ACPI_DEVICE_OST in QEMU's qapi/
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from enum import Enum, auto
from typing import Any, cast

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import Device, PciAddress
from vmherd.conf.domain.controller import Controller
from vmherd.conf.domain.domain import devices_of
from vmherd.conf.domain.plug import find, find_alias
from vmherd.conf.domain.plug.fragment import word
from vmherd.errors import OperationFailed
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.hotplug import place, removal
from vmherd.hypervisors.qemu.hotplug.families import family
from vmherd.hypervisors.qemu.hotplug.running import Means, Running
from vmherd.hypervisors.qemu.monitor import Monitor, Refused
from vmherd.util.xmlmodel import Element

#: Seconds a guest gets until we leave the rest to the keeper (QEMU_UNPLUG_TIMEOUT of libvirt).
PATIENCE = 5.0

#: ACPI: what a guest may be asked, and its answers that mean that it goes on or has done it ("_OST" in the ACPI
#: specification).
_EJECT = (0x3, 0x103)
_GOES_ON = (0x0, 0x84)


class Fate(Enum):
    """What became of a device that shall go."""

    GONE = auto()
    KEPT = auto()  # the guest said no
    WAITING = auto()


async def detach(running: Running, means: Means, wanted: Element) -> None:
    """Take out the device that is meant, and wait a little.

    Raises DeviceMissing, OperationUnsupported for what stays, OperationFailed where it is in use or the guest says no.
    """
    chosen = family(wanted, "detach")
    if isinstance(wanted, Controller):
        chosen.may_go(running.domain, wanted)  # whether it is there or not
    assert isinstance(wanted, Device)  # a family has no others
    found = find(running.domain, place.complete_alone(running.domain, wanted, means))
    assert isinstance(found, Device)
    await _take_out(running, found, patience=PATIENCE)


async def detach_alias(running: Running, alias: str) -> None:
    """Ask for the device of that name; whoever wants to know what becomes of it hears the events."""
    await _take_out(running, find_alias(running.domain, alias), patience=0.0)


async def _take_out(running: Running, device: Device, *, patience: float) -> None:
    family(device, "detach").may_go(running.domain, device)
    alias = _removable(running.domain, device)
    async with running.monitor(events=True) as monitor:
        match await remove(monitor, alias, patience):
            case Fate.GONE:
                await removal.finish(running, alias, monitor)
            case Fate.KEPT:
                text = "unplug of device was rejected by the guest"
                raise OperationFailed(text, hint="it is in use there: unmount it, or put it offline, first")


async def remove(monitor: Monitor, alias: str, patience: float) -> Fate:
    """Have QEMU remove a device; what became of it within ``patience`` seconds.  The monitor must hear events."""
    try:
        await monitor.execute("device_del", {"id": alias})
    except Refused as problem:
        if problem.kind == "DeviceNotFound":
            return Fate.GONE
        raise
    try:
        async with asyncio.timeout(patience), aclosing(monitor.events()) as events:
            async for event in events:
                fate = fate_of(str(event["event"]), cast("Mapping[str, Any]", event.get("data", {})), alias)
                if fate is not Fate.WAITING:
                    return fate
    except TimeoutError:
        pass
    return Fate.WAITING


def fate_of(event: str, data: Mapping[str, Any], alias: str) -> Fate:
    """What an event tells of the device with that name."""
    told = affected(event, data)
    return told[1] if told and told[0] == alias else Fate.WAITING


def affected(event: str, data: Mapping[str, Any]) -> tuple[str, Fate] | None:
    """The name of the device that an event ends the removal of, and how."""
    match event:
        case "DEVICE_DELETED" if "device" in data:
            return str(data["device"]), Fate.GONE
        case "DEVICE_UNPLUG_GUEST_ERROR" | "MEM_UNPLUG_ERROR" if "device" in data:
            return str(data["device"]), Fate.KEPT
        case "ACPI_DEVICE_OST" if "device" in data["info"]:
            info = data["info"]
            if info["source"] in _EJECT and info["status"] not in _GOES_ON:
                return str(info["device"]), Fate.KEPT
    return None


def _removable(domain: Domain, device: Device) -> str:
    """The name of a device that may leave its place.  Source: qemuDomainDetachDeviceLive of libvirt"""
    if device.alias is None:
        raise OperationFailed(f"Cannot detach {word(device)} device with no alias", hint="start the guest anew")
    if isinstance(device.address, PciAddress):
        _check_slot(domain, device, device.address)
    return device.alias.name


def _check_slot(domain: Domain, device: Device, address: PciAddress) -> None:
    slot = address.key[:3]
    others = [each.address for each in devices_of(domain.devices) if each is not device]
    shown = "{:04x}:{:02x}:{:02x}.{:x}".format(*address.key)
    if any(isinstance(each, PciAddress) and each.key[:3] == slot for each in others):
        text = f"cannot hot unplug {word(device)} device with multifunction PCI guest address: {shown}"
        raise OperationFailed(text, hint="change the definition, and start the guest anew")
    if not address.bus and machine.pci_root(domain) == "pcie-root":
        text = f"cannot hot unplug {word(device)} device with PCI guest address: {shown} - not allowed by controller"
        raise OperationFailed(text, hint="devices on pcie-root-port controllers can come and go")
