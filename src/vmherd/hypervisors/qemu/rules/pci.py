"""PCI controllers: which ones a machine has, and what each can be told; settings that all PCI devices share.

Source: qemuValidateDomainDeviceDefControllerPCI, virDomainControllerDefParseXML and virDomainDeviceInfoParseXML of
libvirt.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.address import PciAddress, UnassignedAddress
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.domain import devices_of
from vmherd.conf.domain.problem import duplicates, numbered
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.address.bridges import DEVICES, ROOT_PORTS

_ROOTS = ("pci-root", "pcie-root")
#: Which models can be told each setting of <target>, by its name here and in the document.
_SETTINGS = {
    "chassis_nr": ("chassisNr", ("pci-bridge",)),
    "chassis": ("chassis", ("pcie-root-port", "pcie-switch-downstream-port")),
    "port": ("port", ("pcie-root-port", "pcie-switch-downstream-port")),
    "bus_nr": ("busNr", ("pci-expander-bus", "pcie-expander-bus")),
    "node": ("node", ("pci-expander-bus", "pcie-expander-bus")),
    "hotplug": ("hotplug", ("pci-root", "pcie-root-port", "pcie-switch-downstream-port")),
    "index": ("index", ()),
}
_RANGES = {"chassis_nr": (0, 255), "chassis": (0, 255), "port": (0, 255), "bus_nr": (1, 254), "index": (0, 30)}


def controllers(domain: Domain) -> Iterator[Problem]:
    """Every PCI controller that the machine does not have, or that is told what it cannot do."""
    for number, each in numbered(domain.devices.controllers):
        place = f"domain/devices/controller[{number}]"
        if each.type is ControllerType.PCI:
            yield from _model(domain, each, place)
            yield from _device(each, place)
            yield from _target(domain, each, place)
        elif each.pcihole64 is not None:
            yield Problem(f"{place}/pcihole64", "only the first PCI controller has it", "remove it")


def _model(domain: Domain, each: Controller, place: str) -> Iterator[Problem]:
    wanted = machine.pci_root(domain) if each.index == 0 else None
    if wanted and each.model != wanted:
        text = f"the first PCI bus of {domain.os.type.machine} is a {wanted}, not a {each.model}"
        yield Problem(f"{place}/@model", text, f"use model='{wanted}'")
    elif each.index != 0 and each.model in _ROOTS and not (each.model == "pci-root" and machine.is_pseries(domain)):
        yield Problem(f"{place}/@index", f"a {each.model} has index 0, not {each.index}", "use index='0'")
    if each.model in _ROOTS and each.address is not None:
        yield Problem(f"{place}/address", f"a {each.model} sits on no other bus", "remove <address>")
    if each.pcihole64 is not None and each.model not in _ROOTS:
        yield Problem(f"{place}/pcihole64", "only the first PCI controller has it", "remove it")
    if each.model == "pci-expander-bus" and not machine.is_i440fx(domain):
        yield Problem(f"{place}/@model", f"{each.model} is for machines of the pc family", "use 'pcie-expander-bus'")
    if each.model == "pcie-expander-bus" and machine.pci_root(domain) != "pcie-root":
        hint = "use 'pci-expander-bus', or machine='q35'"
        yield Problem(f"{place}/@model", f"{each.model} needs a machine with PCI Express", hint)


def _device(each: Controller, place: str) -> Iterator[Problem]:
    """The device that implements it, where it is told."""
    name = each.pci_model.name if each.pci_model else None
    model = each.model or ""
    known = ROOT_PORTS if model == "pcie-root-port" else tuple(filter(None, (DEVICES.get(model),)))
    if name is not None and model not in _ROOTS and name not in known:
        text = f"{name!r} does not implement a {model}"
        yield Problem(f"{place}/model/@name", text, f"use {' or '.join(map(repr, known))}, or leave <model> out")


def _target(domain: Domain, each: Controller, place: str) -> Iterator[Problem]:
    target = each.target
    if target is None:
        return
    host_bridge = each.model == "pci-root" and machine.is_pseries(domain)
    for name, (attribute, models) in _SETTINGS.items():
        value = getattr(target, name)
        if value is None:
            continue
        where = f"{place}/target/@{attribute}" if name != "node" else f"{place}/target/node"
        if each.model not in models and not (host_bridge and name in ("index", "node")):
            yield Problem(where, f"a {each.model} has no {attribute}", "remove it")
        first, last = _RANGES.get(name, (0, value))
        if not first <= value <= last:
            yield Problem(where, f"{value} is not between {first} and {last}")
    cells = domain.cpu.numa.cells if domain.cpu and domain.cpu.numa else []
    if target.node is not None and target.node not in {cell.id for cell in cells}:
        yield Problem(f"{place}/target/node", f"there is no NUMA node {target.node}", "add <numa> to <cpu>")


#: QEMU keeps the index in 14 bits (hw/acpi/pcihp.c), and 0 is none.
_LAST_INDEX = (1 << 14) - 1


def devices(domain: Domain) -> Iterator[Problem]:
    """The index by which the guest names a card, and its option ROM."""
    indexes = []
    for device in devices_of(domain.devices):
        place = f"domain/devices/{type(device).__xml__.tag}"
        if device.acpi:
            indexes.append((f"{place}/acpi/@index", device.acpi.index))
            if not isinstance(device.address, PciAddress):
                yield Problem(f"{place}/acpi", "only PCI devices have an index", "remove it")
            if not 1 <= device.acpi.index <= _LAST_INDEX:
                yield Problem(f"{place}/acpi/@index", f"{device.acpi.index} is not between 1 and {_LAST_INDEX}")
        if device.rom and not isinstance(device.address, PciAddress | UnassignedAddress):
            yield Problem(f"{place}/rom", "only PCI devices have a ROM", "remove it")
    yield from duplicates(indexes, "ACPI index {} is another device's", "give each its own")


RULES = (controllers, devices)
