"""PCI buses of a guest: what may be plugged into each, and which places are taken.

Source: virDomainPCIAddressBusSetModel, virDomainPCIAddressFlagsCompatible and virDomainPCIAddressGetNextAddr of
libvirt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.errors import DocumentError

FUNCTIONS = 8
_LAST = 31
#: (bus, slot, function); domain 0 is the only one of a PC.
Place = tuple[int, int, int]


class Kind(StrEnum):
    """How a device is plugged in, as it is told to people."""

    PCI = "standard PCI device"
    PCIE = "PCI Express device"
    ROOT_PORT = "pcie-root-port"
    UPSTREAM = "pcie-switch-upstream-port"
    DOWNSTREAM = "pcie-switch-downstream-port"
    DMI = "dmi-to-pci-bridge"
    EXPANDER = "pci-expander-bus"
    PCIE_EXPANDER = "pcie-expander-bus"
    BRIDGE = "pci-bridge"
    PCIE_BRIDGE = "pcie-to-pci-bridge"


@dataclass(frozen=True, eq=False)
class Plug:
    """What a device needs of a bus.

    ``shares`` lets devices of the kind have a slot together; ``built_in`` belongs on the first bus.
    """

    kind: Kind
    hotplug: bool = True
    shares: bool = False
    built_in: bool = False


@dataclass(slots=True, eq=False)
class Bus:
    """One bus with its places; ``shared`` are slots whose devices share them."""

    model: str
    accepts: frozenset[Kind]
    hotplug: bool
    first: int
    last: int
    owners: dict[tuple[int, int], Device | None] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    shared: set[int] = field(default_factory=set)

    @property
    def is_full(self) -> bool:
        return all(slot in self.used for slot in range(self.first, self.last + 1))

    def free(self, plug: Plug, function: int) -> tuple[int, int] | None:
        """The first slot and function that suits a device nobody has placed."""
        if plug.kind not in self.accepts or (plug.hotplug and not self.hotplug):
            return None
        for slot in range(self.first, self.last + 1):
            if slot not in self.used:
                return slot, function
            if plug.shares and slot in self.shared:
                for number in range(function, FUNCTIONS):
                    if (slot, number) not in self.owners:
                        return slot, number
        return None


#: What each model accepts, whether devices can come and go, and its first and last slot.
_BUSES: dict[str, tuple[set[Kind], bool, int, int]] = {
    "pci-root": ({Kind.PCI, Kind.BRIDGE, Kind.EXPANDER}, True, 1, _LAST),
    "pci-bridge": ({Kind.PCI, Kind.BRIDGE}, True, 1, _LAST),
    "pci-expander-bus": ({Kind.PCI, Kind.BRIDGE}, True, 0, _LAST),
    "pcie-root": (
        {Kind.PCIE, Kind.ROOT_PORT, Kind.DMI, Kind.PCIE_BRIDGE, Kind.PCIE_EXPANDER}, False, 1, _LAST
    ),
    "dmi-to-pci-bridge": ({Kind.PCI, Kind.BRIDGE}, False, 0, _LAST),
    "pcie-to-pci-bridge": ({Kind.PCI, Kind.BRIDGE}, True, 1, _LAST),
    "pcie-root-port": ({Kind.PCIE, Kind.UPSTREAM, Kind.PCIE_BRIDGE}, True, 0, 0),
    "pcie-switch-downstream-port": ({Kind.PCIE, Kind.UPSTREAM, Kind.PCIE_BRIDGE}, True, 0, 0),
    "pcie-switch-upstream-port": ({Kind.DOWNSTREAM}, False, 0, _LAST),
    "pcie-expander-bus": ({Kind.ROOT_PORT, Kind.DMI}, False, 0, _LAST),
}  # fmt: skip
_ACCEPTS = {model: frozenset(kinds) for model, (kinds, *_) in _BUSES.items()}
#: Endpoints of either generation work in slots of the other, if a document puts them there.
_ENDPOINTS = frozenset({Kind.PCI, Kind.PCIE})
_ANYWHERE = _ENDPOINTS | {Kind.BRIDGE}  # such a bridge is a conventional device as well


def bus(model: str, *, hotplug: bool = True) -> Bus:
    """An empty bus behind a controller of ``model``; ``hotplug`` is what its document says."""
    _, can, first, last = _BUSES[model]
    return Bus(model, _ACCEPTS[model], can and hotplug, first, last)


def is_known(model: str | None) -> bool:
    return model in _BUSES


def check(buses: list[Bus], place: Place, plug: Plug) -> None:
    """Raise DocumentError where a document puts a device that a bus cannot take.

    Source: virDomainPCIAddressValidate; what a document says need not be hot-pluggable.
    """
    number, slot, _ = place
    target = buses[number]
    if plug.built_in and number:
        raise _misplaced(f"the device at PCI address {show(place)} belongs on the first bus", "use bus='0'")
    if plug.kind not in target.accepts and not (plug.kind in _ANYWHERE and target.accepts & _ENDPOINTS):
        where = f"PCI controller {number}, a {target.model}"
        text = f"the device at PCI address {show(place)} cannot be plugged into {where}"
        raise _misplaced(text, f"it needs a controller that accepts a {plug.kind}; or leave <address> out")
    if not target.first <= slot <= target.last:
        slots = f"slot {target.first}" if target.first == target.last else f"slots {target.first} to {target.last}"
        raise _misplaced(f"PCI address {show(place)}: a {target.model} has {slots}", "leave <address> out")


def _misplaced(text: str, hint: str) -> DocumentError:
    return DocumentError(text, place="domain/devices", hint=hint)


def show(place: Place) -> str:
    number, slot, function = place
    return f"0000:{number:02x}:{slot:02x}.{function:x}"
