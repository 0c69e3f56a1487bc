"""Gives every PCI device a place, adding controllers where buses are missing or full.

Source: qemuDomainAssignPCIAddresses of libvirt.  What the chipset fixes comes first, then device families in a fixed
order, each device in the first free place that suits it.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import Device, PciAddress
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.domain import devices_of
from vmherd.conf.domain.net import InterfaceType
from vmherd.errors import DocumentError
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.address import slots
from vmherd.hypervisors.qemu.address.chipset import Chipset
from vmherd.hypervisors.qemu.address.plugs import PCI, PCIE, Plugs
from vmherd.hypervisors.qemu.address.slots import Bus, Kind, Place, Plug
from vmherd.hypervisors.qemu.capabilities import Capabilities

_LAST_BUS = 255
_FULL = "spread the devices over the functions of a slot with <address>, or use machine='q35'"


def assign(domain: Domain, caps: Capabilities) -> None:
    """Address every PCI device of ``domain`` in place.

    Raises DocumentError where two want one place, a bus cannot take a device, or nothing is left.
    """
    if _add_controllers(domain, caps):
        Places(domain, caps).fill()
    _mark_shared_slots(domain)
    _check_order(domain)


def _add_controllers(domain: Domain, caps: Capabilities) -> bool:
    """A trial, which places everything but notes nothing, tells which controllers it takes.

    Whether there is anything left to place.
    """
    highest = _highest(domain)
    trial = Places(domain, caps, trial=True)
    trial.fill(spare=True)
    if highest <= 0 and len(trial.buses) > highest + 1 and trial.is_express:
        # The document leaves its topology to us: one port stays free for a device that is plugged in later.
        trial.place_next(PCIE, None)
    known = {each.index for each in _bridges(domain)}
    number = 1
    while number < len(trial.buses):
        if number not in known:
            added = Controller(type=ControllerType.PCI, index=number, model=trial.buses[number].model)
            domain.devices.controllers.append(added)
            trial.is_open = True
            if plug := trial.plugs.of(added):
                trial.place_next(plug, None)
        number += 1
    return trial.is_open


def _bridges(domain: Domain) -> list[Controller]:
    return [each for each in domain.devices.controllers if each.type is ControllerType.PCI]


def _highest(domain: Domain) -> int:
    return max((each.index or 0 for each in _bridges(domain)), default=-1)


class Places:
    """The buses of a guest while places are given out; a ``trial`` gives them out, but notes them nowhere.

    ``is_open`` tells that a device had none before.
    """

    def __init__(self, domain: Domain, caps: Capabilities, *, trial: bool = False) -> None:
        self._domain = domain
        self._trial = trial
        self.is_open = False
        self.is_express = machine.pci_root(domain) == "pcie-root"
        self._has_express_bridge = "pcie-pci-bridge" in caps
        # IBM's POWER has room for more first buses.
        self._conventional = "pci-root" if machine.is_pseries(domain) else "pci-bridge"
        self.plugs = Plugs(PCIE if self.is_express else PCI)
        self.buses = self._known_buses()
        #: The first bus with room for a plug at a function: places are only taken, so those before stay full.
        self._from: dict[tuple[Plug, int], int] = {}

    def _known_buses(self) -> list[Bus]:
        """Those of the document; a gap in their numbers is closed with what the machine has most of."""
        filler = "pcie-root-port" if self.is_express else self._conventional
        highest = _highest(self._domain)
        if highest > _LAST_BUS:
            text = f"{highest} is more than the {_LAST_BUS} that PCI can count"
            raise DocumentError(text, place="domain/devices/controller/@index", hint="use lower numbers")
        found = [slots.bus(filler) for _ in range(highest + 1)]
        for each in _bridges(self._domain):
            if not slots.is_known(each.model):
                hint = "use 'pci-bridge' on a conventional machine, 'pcie-root-port' on PCI Express"
                raise DocumentError(
                    f"{each.model!r} is no PCI controller", place="domain/devices/controller/@model", hint=hint
                )
            hotplug = each.target is None or each.target.hotplug is not False
            found[each.index or 0] = slots.bus(each.model or "", hotplug=hotplug)
        return found

    def fill(self, *, spare: bool = False) -> None:
        """Place everything; ``spare`` keeps a slot of conventional PCI for a device that is plugged in later."""
        for device in devices_of(self._domain.devices):
            if isinstance(device.address, PciAddress) and device.address.is_placed and not Chipset.is_own(device):
                address = device.address
                place = (address.bus or 0, address.slot or 0, address.function or 0)
                self.take(place, self.plugs.of(device) or PCI, device)
        Chipset(self, self._domain).place()
        if spare and not self.is_express and not all(each.is_full for each in self.buses):
            self.place_next(PCI, None)
        for device in _in_turn(self._domain):
            if is_wanting(device) and (plug := self.plugs.of(device)):
                self._place(device, plug)

    def take(self, place: Place, plug: Plug, device: Device | None) -> None:
        """Reserve a place that is told.  Raises DocumentError where it is taken or does not suit."""
        bus, slot, function = place
        self._grow(bus, plug)
        slots.check(self.buses, place, plug)
        target = self.buses[bus]
        if (slot, function) in target.owners:
            mine, owner = _told(device), _told(target.owners[slot, function])
            raise DocumentError(
                f"PCI address {slots.show(place)} is wanted by {mine} and taken by {owner}",
                place="domain/devices",
                hint="leave out the <address> of one of the two devices",
            )
        self._mark(place, plug, device)

    def _mark(self, place: Place, plug: Plug, device: Device | None) -> None:
        bus, slot, function = place
        target = self.buses[bus]
        if plug.shares and slot not in target.used:
            target.shared.add(slot)
        target.used.add(slot)
        target.owners[slot, function] = device

    def is_free(self, slot: int) -> bool:
        """Whether nothing is in a slot of the first bus."""
        return slot not in self.buses[0].used

    def own(self, slot: int, function: int) -> None:
        """Reserve a place of the first bus for a part of the chipset that no document speaks of."""
        self.take((0, slot, function), PCIE if self.is_express else PCI, None)

    def put(self, device: Device, place: Place) -> None:
        """Give a device a place that is told."""
        self.take(place, self.plugs.of(device) or PCI, device)
        _note(device, place)

    def place_next(self, plug: Plug, device: Device | None, function: int = 0) -> None:
        """Give a device the first free place, on a new bus if a trial finds none."""
        place = self._next(plug, function)
        self._mark(place, plug, device)
        self.is_open |= device is not None
        if device is not None and not self._trial:
            _note(device, place)

    def _next(self, plug: Plug, function: int) -> Place:
        for number in range(self._from.get((plug, function), 0), 1 if plug.built_in else len(self.buses)):
            if found := self.buses[number].free(plug, function):
                self._from[plug, function] = number
                return number, *found
        if not self._trial or plug.built_in:
            raise DocumentError("no PCI slot is left for another device", place="domain/devices", hint=_FULL)
        self._grow(len(self.buses), plug)
        self._from[plug, function] = last = len(self.buses) - 1
        return last, self.buses[last].first, function

    def _grow(self, number: int, plug: Plug) -> None:
        """Add buses up to ``number``, of the model that takes such a device."""
        if number < len(self.buses):
            return
        if number > _LAST_BUS:
            raise DocumentError(f"{number} PCI buses are too many", place="domain/devices", hint=_FULL)
        model = self._wanted_bus(plug)
        if model == "pci-bridge" and not any(Kind.BRIDGE in each.accepts for each in self.buses):
            number += number == len(self.buses)
            self._lead_to_conventional()
        self.buses += [slots.bus(model) for _ in range(number - len(self.buses) + 1)]

    def _lead_to_conventional(self) -> None:
        """All is PCI Express so far.  A root port that is added for a bridge is kept for it."""
        if self._has_express_bridge:
            port = slots.bus("pcie-root-port")
            port.accepts = frozenset({Kind.PCIE_BRIDGE})
            self.buses += [port, slots.bus("pcie-to-pci-bridge")]
        else:
            self.buses.append(slots.bus("dmi-to-pci-bridge"))

    def _wanted_bus(self, plug: Plug) -> str:
        match plug.kind:
            case Kind.PCI | Kind.BRIDGE:
                return self._conventional
            case Kind.PCIE | Kind.UPSTREAM | Kind.PCIE_BRIDGE:
                return "pcie-root-port"
            case Kind.DOWNSTREAM:
                return "pcie-switch-upstream-port"
        raise DocumentError(f"no PCI slot is left for another {plug.kind}", place="domain/devices", hint=_FULL)

    def _place(self, device: Device, plug: Plug) -> None:
        if isinstance(device, Controller) and (function := _USB2.get(device.model or "")) is not None:
            self._place_usb2(device, plug, function)
        else:
            self.place_next(plug, device)

    def _place_usb2(self, part: Controller, plug: Plug, function: int) -> None:
        """The parts of one USB 2 controller share a slot."""
        parts = (each for each in self._domain.devices.controllers if each.model in _USB2 and each.index == part.index)
        beside = next((each.address for each in parts if not is_wanting(each)), None)
        if isinstance(beside, PciAddress):
            self.put(part, (beside.bus or 0, beside.slot or 0, function))
        else:
            self.place_next(plug, part, function)


#: The functions of the parts of a USB 2 controller (Intel's ICH9 data sheet).
_USB2 = {"ich9-ehci1": 7, "ich9-uhci1": 0, "ich9-uhci2": 1, "ich9-uhci3": 2}


def is_wanting(device: Device) -> bool:
    """Whether a place on PCI may be chosen for it."""
    return device.address is None or (isinstance(device.address, PciAddress) and not device.address.is_placed)


def _note(device: Device, place: Place) -> None:
    bus, slot, function = place
    if not isinstance(device.address, PciAddress):
        device.address = PciAddress()
    address = device.address
    address.domain, address.bus, address.slot, address.function = 0, bus, slot, function
    if isinstance(device, Controller) and device.model == "ich9-uhci1":
        address.multifunction = True


def _told(device: Device | None) -> str:
    return "the chipset" if device is None else f"<{type(device).__xml__.tag}>"


def _in_turn(domain: Domain) -> Iterator[Device]:
    """Every device in the order in which they choose their places."""
    devices = domain.devices
    yield from _bridges(domain)
    yield from devices.filesystems
    handed_over = [each for each in devices.interfaces if each.type is InterfaceType.HOSTDEV]
    yield from (each for each in devices.interfaces if each.type is not InterfaceType.HOSTDEV)
    yield from devices.sounds
    yield from (each for each in devices.controllers if each.type is not ControllerType.PCI)
    yield from devices.disks
    yield from handed_over
    yield from devices.hostdevs
    if devices.memballoon:
        yield devices.memballoon
    yield from devices.rngs
    if devices.watchdog:
        yield devices.watchdog
    yield from devices.videos
    yield from devices.shmems
    yield from devices.inputs
    yield from devices.serials
    if devices.vsock:
        yield devices.vsock
    yield from devices.cryptos
    yield from devices.memories
    if devices.iommu:
        yield devices.iommu


def _mark_shared_slots(domain: Domain) -> None:
    """Function 0 tells the guest to look for others in its slot.  Source: virDomainPCIAddressSetAllMulti"""
    placed = [each.address for each in devices_of(domain.devices) if isinstance(each.address, PciAddress)]
    shared = {address.key[:3] for address in placed if address.function}
    for address in placed:
        if not address.function and address.multifunction is None and address.is_placed and address.key[:3] in shared:
            address.multifunction = True


def _check_order(domain: Domain) -> None:
    """A conventional bridge sits on a bus whose number is lower than that of its own."""
    for each in _bridges(domain):
        place = each.address
        if each.model == "pci-bridge" and isinstance(place, PciAddress) and (each.index or 0) <= (place.bus or 0):
            raise DocumentError(
                f"PCI bridge {each.index} cannot sit on bus {place.bus}, which comes behind it",
                place="domain/devices/controller/address/@bus",
                hint="give it a higher index, or leave <address> out",
            )
