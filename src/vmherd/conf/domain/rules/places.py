"""What any device may have: a boot order, a name, an address, an index; each is that of one device."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain.address import Device, PciAddress
from vmherd.conf.domain.domain import Domain, devices_of, placed_devices
from vmherd.conf.domain.problem import Problem, duplicates

_MAX_BUS = 0xFF
_MAX_SLOT = 0x1F
_MAX_FUNCTION = 7

_Placed = list[tuple[str, Device]]
_Key = tuple[int, int, int, int]


def devices(domain: Domain) -> Iterator[Problem]:
    """All of it in one go, since there are many devices; their places are spelt out only where something is amiss."""
    every = list(devices_of(domain.devices))
    addresses = [each.address.key for each in every if isinstance(each.address, PciAddress)]
    pci = [key for key in addresses if any(key)]
    orders = [each.boot.order for each in every if each.boot]
    names = [each.alias.name for each in every if each.alias]
    indexes = [each.acpi.index for each in every if each.acpi and each.acpi.index]
    groups: tuple[list[object], ...] = ([*pci], [*orders], [*names], [*indexes])
    if orders or not all(map(_exists, pci)) or any(len(set(group)) < len(group) for group in groups):
        placed = list(placed_devices(domain.devices))
        yield from _boot_order(domain, placed)
        yield from _names(placed)
        yield from _pci(placed)
        yield from _indexes(placed)


def _exists(key: _Key) -> bool:
    """A bus has 32 slots with 8 functions each."""
    _, bus, slot, function = key
    return bus <= _MAX_BUS and slot <= _MAX_SLOT and function <= _MAX_FUNCTION


def _boot_order(domain: Domain, placed: _Placed) -> Iterator[Problem]:
    orders = [(f"{place}/boot/@order", device.boot.order) for place, device in placed if device.boot]
    yield from duplicates(orders, "boot order {} is taken by another device")
    yield from (Problem(place, "the order counts from 1") for place, order in orders if order == 0)
    if orders and domain.os.boots:
        hint = "keep one of the two ways"
        yield Problem("domain/os/boot", "devices have a boot order too; both at once contradict each other", hint)


def _names(placed: _Placed) -> Iterator[Problem]:
    aliases = [(f"{place}/alias/@name", device.alias.name) for place, device in placed if device.alias]
    # A console that mirrors the first serial port is the same device, so it has the same alias.
    aliases = [each for each in aliases if not each[0].startswith("domain/devices/console[1]/")]
    yield from duplicates(aliases, "alias {} is taken by another device")


def _pci(placed: _Placed) -> Iterator[Problem]:
    told = [(f"{place}/address", each.address.key) for place, each in placed if isinstance(each.address, PciAddress)]
    for place, key in told:
        if not _exists(key):
            text = f"no PCI bus has a place {_show(key)}"
            yield Problem(place, text, "buses end at 0xff, slots at 0x1f, functions at 7")
    known = [(place, key) for place, key in told if any(key)]
    yield from duplicates(known, "PCI address {} is taken by another device", show=_show)


def _indexes(placed: _Placed) -> Iterator[Problem]:
    """The number in the name of a network card."""
    found = [(f"{place}/acpi/@index", each.acpi.index) for place, each in placed if each.acpi]
    yield from duplicates([each for each in found if each[1]], "ACPI index {} is that of another device")


def _show(key: _Key) -> str:
    return "{:04x}:{:02x}:{:02x}.{:x}".format(*key)


RULES = (devices,)
