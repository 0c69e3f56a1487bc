"""Gives every device that needs one a place in the guest, and names the devices of a guest that starts.

PCI as libvirt does it (qemuDomainAssignPCIAddresses): what the chipset fixes first, then device families in a fixed
order, each device in the first free place that suits it; PCI Express machines get a root port per device.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import Alias, Device, DriveAddress, PciAddress, VirtioSerialAddress
from vmherd.conf.domain.buses import add_controller, drive_number
from vmherd.conf.domain.chardev import (
    ChannelTargetType,
    ConsoleTargetType,
    Serial,
    SerialTargetType,
)
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.disk import Disk, DiskBus
from vmherd.conf.domain.hostdev import HostdevType
from vmherd.conf.domain.input import InputBus
from vmherd.conf.domain.memballoon import MemballoonModel
from vmherd.conf.domain.net import Interface
from vmherd.conf.domain.shmem import Shmem
from vmherd.conf.domain.sound import Sound
from vmherd.conf.domain.video import Video, VideoType
from vmherd.conf.domain.watchdog import Watchdog, WatchdogModel
from vmherd.errors import DocumentError
from vmherd.hypervisors.qemu import bridges, machine
from vmherd.hypervisors.qemu.capabilities import Capabilities

_SLOTS = 32
_DMI_SLOT = 0x1E  # where the board has the bridge to conventional PCI
#: Of a virtio-serial controller that does not tell (max_ports of QEMU's virtio-serial-pci).
_VIRTIO_PORTS = 31
_FULL = "spread the devices over the functions of a slot with <address>, or use machine='q35'"
_FUNCTIONS = 8


def assign(domain: Domain, caps: Capabilities) -> None:
    """Address every device that has no address yet, adding controllers where buses are full.

    Raises DocumentError where two devices want one place, or nothing is left.
    """
    _virtio_serial(domain)
    if machine.pci_root(domain):
        _Pci(domain).assign()
        bridges.describe(domain, caps)


def _virtio_serial(domain: Domain) -> None:
    """Ports of channels; a console needs no port, since QEMU finds it one."""
    devices = domain.devices
    channels = [each for each in devices.channels if each.target.type is ChannelTargetType.VIRTIO]
    given = [each.address for each in (*channels, *devices.consoles)]
    taken = {(each.controller, each.port) for each in given if isinstance(each, VirtioSerialAddress)}
    for channel in channels:
        if channel.address is None:
            controller, port = next(place for place in _virtio_ports(devices.controllers) if place not in taken)
            taken.add((controller, port))
            add_controller(devices.controllers, ControllerType.VIRTIO_SERIAL, controller)
            channel.address = VirtioSerialAddress(controller=controller, port=port)


def _virtio_ports(controllers: list[Controller]) -> Iterator[tuple[int, int]]:
    """Every port of every controller, without end; port 0 is for a console."""
    limits = {each.index: each.ports for each in controllers if each.type is ControllerType.VIRTIO_SERIAL}
    for index in count():
        yield from ((index, port) for port in range(1, limits.get(index) or _VIRTIO_PORTS))


class _Pci:
    """One assignment of PCI addresses.  A place is (bus, slot, function); domain 0 is the only one.

    ``_owners`` has the taken functions of each (bus, slot), with None for what is the board's own.
    """

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._express = machine.pci_root(domain) == "pcie-root"
        self._owners: dict[tuple[int, int], dict[int, Device | None]] = {}

    def assign(self) -> None:
        for device in _pci_devices(self._domain):
            self._reserve_given(device)
        self._chipset()
        if not self._express:
            self._add_bridges()
        waiting = [device for device in _pci_devices(self._domain) if not _is_placed(device)]
        for device in waiting:
            if not _is_placed(device):
                self._place(device)
        if self._express and waiting:
            self._spare_port()

    def _reserve_given(self, device: Device) -> None:
        if isinstance(address := device.address, PciAddress) and address.is_placed:
            self._take((address.bus or 0, address.slot or 0, address.function or 0), device)

    def _take(self, place: tuple[int, int, int], device: Device | None) -> None:
        bus, slot, function = place
        functions = self._owners.setdefault((bus, slot), {})
        if functions.setdefault(function, device) is not device:
            mine, owner = _told(device), _told(functions[function])
            raise DocumentError(
                f"PCI address 0000:{bus:02x}:{slot:02x}.{function:x} is wanted by {mine} and taken by {owner}",
                place="domain/devices",
                hint="leave out the <address> of one of the two devices",
            )

    def _chipset(self) -> None:
        """Places that the chipset fixes, by the data sheets of PIIX3 and ICH9."""
        if machine.is_i440fx(self._domain):
            self._fixed_slot(0)
            self._piix3()
        elif machine.is_q35(self._domain):
            self._fixed_slot(0)
            self._ich9()
        else:
            self._fixed_slot(0)
        self._primary_video()

    def _fixed_slot(self, slot: int) -> None:
        for function in range(_FUNCTIONS):
            self._owners.setdefault((0, slot), {}).setdefault(function, None)

    def _own(self, *places: tuple[int, int]) -> None:
        """What nobody can move: the host bridge, the ISA bridge, power management."""
        for slot, function in places:
            self._take((0, slot, function), None)

    def _piix3(self) -> None:
        self._own((0, 0), (1, 0), (1, 3))
        for controller in self._controllers(ControllerType.IDE):
            if controller.index == 0:
                self._put(controller, 0, 1, 1)
        for controller in self._controllers(ControllerType.USB):
            if controller.index == 0 and controller.model == "piix3-uhci" and not _is_placed(controller):
                self._put(controller, 0, 1, 2)
        self._fixed_slot(1)

    def _ich9(self) -> None:
        self._own((0, 0), (0x1F, 0), (0x1F, 3))
        for controller in self._controllers(ControllerType.SATA):
            if controller.index == 0:
                self._put(controller, 0, 0x1F, 2)
        self._fixed_slot(0x1F)
        for sound in self._domain.devices.sounds:
            if sound.model == "ich9" and not _is_placed(sound) and self._is_free(0, 0x1B):
                self._put(sound, 0, 0x1B, 0)

    def _primary_video(self) -> None:
        videos = self._domain.devices.videos
        if not videos or videos[0].model is None or videos[0].model.type is VideoType.NONE:
            return
        slot = 2 if machine.is_i440fx(self._domain) else 1
        if not _is_placed(videos[0]) and self._is_free(0, slot):
            self._put(videos[0], 0, slot, 0)

    def _controllers(self, type_: ControllerType) -> list[Controller]:
        return [each for each in self._domain.devices.controllers if each.type is type_]

    def _put(self, device: Device, bus: int, slot: int, function: int) -> None:
        self._take((bus, slot, function), device)
        device.address = PciAddress(domain=0, bus=bus, slot=slot, function=function)

    def _is_free(self, bus: int, slot: int) -> bool:
        return (bus, slot) not in self._owners

    def _place(self, device: Device) -> None:
        if self._express and isinstance(device, Controller) and device.type is ControllerType.PCI:
            self._place_bridge(device)
            return
        bus, slot = self._express_place(device) if self._express else self._conventional_place()
        self._put(device, bus, slot, 0)

    def _place_bridge(self, bridge: Controller) -> None:
        """What carries other devices on PCI Express has its own place in the tree."""
        match bridge.model:
            case "pcie-root-port":
                self._put_root_port(bridge)
            case "pcie-switch-downstream-port":
                self._put(bridge, *self._first_free(self._buses("pcie-switch-upstream-port"), 0), 0)
            case "pcie-switch-upstream-port" | "pcie-to-pci-bridge":
                self._put(bridge, *self._express_place(bridge), 0)
            case "pci-bridge":
                self._put(bridge, *self._bridge_place(), 0)
            case "dmi-to-pci-bridge" if self._is_free(0, _DMI_SLOT):
                self._put(bridge, 0, _DMI_SLOT, 0)
            case _:
                self._put(bridge, *self._first_free([0], 1), 0)

    def _bridge_place(self) -> tuple[int, int]:
        """A conventional bridge behind the first of the others; only that to DMI has a slot 0."""
        for bus in self._buses("dmi-to-pci-bridge", "pcie-to-pci-bridge", "pci-bridge"):
            first = 0 if bus in self._buses("dmi-to-pci-bridge") else 1
            if any(self._is_free(bus, slot) for slot in range(first, _SLOTS)):
                return self._first_free([bus], first)
        return self._legacy_place()

    def _first_free(self, buses: list[int], first: int) -> tuple[int, int]:
        for bus in buses:
            for slot in range(first, _SLOTS):
                if self._is_free(bus, slot):
                    return bus, slot
        raise DocumentError("no PCI slot is left for another bridge", place="domain/devices", hint=_FULL)

    def _conventional_place(self) -> tuple[int, int]:
        for bus in self._buses("pci-root", "pci-bridge"):
            # A bridge keeps slot 0 for its own hot-plug controller.
            for slot in range(1, _SLOTS):
                if self._is_free(bus, slot):
                    return bus, slot
        raise DocumentError("no PCI slot is left for another device", place="domain/devices", hint=_FULL)

    def _add_bridges(self) -> None:
        """Bridges for more devices than there are slots, with one slot to spare for a device plugged in later."""
        wanted = 1 + sum(not _is_placed(device) for device in _pci_devices(self._domain))
        buses = self._buses("pci-root", "pci-bridge")
        free = sum(self._is_free(bus, slot) for bus in buses for slot in range(1, _SLOTS))
        while free < wanted:
            index = self._next_index()
            bridge = Controller(type=ControllerType.PCI, index=index, model="pci-bridge")
            self._domain.devices.controllers.append(bridge)
            free += _SLOTS - 2  # its slots but for slot 0, and for the one it takes itself

    def _express_place(self, device: Device) -> tuple[int, int]:
        if not _is_express(device):
            return self._legacy_place()
        for bus in self._buses("pcie-root-port", "pcie-switch-downstream-port"):
            if self._is_free(bus, 0):
                return bus, 0
        return self._add_root_port(), 0

    def _legacy_place(self) -> tuple[int, int]:
        """A conventional device sits behind a bridge."""
        for bus in self._buses("pcie-to-pci-bridge", "pci-bridge"):
            for slot in range(1, _SLOTS):
                if self._is_free(bus, slot):
                    return bus, slot
        bridge = Controller(type=ControllerType.PCI, model="pcie-to-pci-bridge")
        port = next((bus for bus in self._buses("pcie-root-port") if self._is_free(bus, 0)), None)
        port = self._add_root_port() if port is None else port
        bridge.index = self._next_index()
        self._domain.devices.controllers.append(bridge)
        self._put(bridge, port, 0, 0)
        return bridge.index, 1

    def _buses(self, *models: str) -> list[int]:
        return [c.index or 0 for c in self._controllers(ControllerType.PCI) if c.model in models]

    def _next_index(self) -> int:
        return 1 + max((c.index or 0 for c in self._controllers(ControllerType.PCI)), default=-1)

    def _add_root_port(self) -> int:
        index = self._next_index()
        port = Controller(type=ControllerType.PCI, index=index, model="pcie-root-port")
        self._domain.devices.controllers.append(port)
        self._put_root_port(port)
        return index

    def _put_root_port(self, port: Controller) -> None:
        slot, function = self._port_place()
        self._put(port, 0, slot, function)
        if function == 0 and isinstance(port.address, PciAddress):
            port.address.multifunction = True

    def _port_place(self) -> tuple[int, int]:
        """Root ports share slots, eight to each."""
        for slot in range(1, _SLOTS):
            functions = self._owners.get((0, slot))
            if functions is None:
                return slot, 0
            first = functions.get(0)
            shared = isinstance(first, Controller) and first.model == "pcie-root-port" and _is_multifunction(first)
            if shared and _FUNCTIONS - 1 not in functions:
                return slot, next(function for function in range(1, _FUNCTIONS) if function not in functions)
        raise DocumentError("no place is left for another PCIe root port", place="domain/devices")

    def _spare_port(self) -> None:
        """One port stays free, so that a device can be plugged in later."""
        if not any(self._is_free(bus, 0) for bus in self._buses("pcie-root-port")):
            self._add_root_port()


def _told(device: Device | None) -> str:
    return "the chipset" if device is None else f"<{type(device).__xml__.tag}>"


def _is_placed(device: Device) -> bool:
    return device.address is not None and not (isinstance(device.address, PciAddress) and not device.address.is_placed)


def _is_multifunction(device: Device) -> bool:
    return isinstance(device.address, PciAddress) and bool(device.address.multifunction)


_EXPRESS_NICS = ("virtio", "virtio-non-transitional", "e1000e", "igb", "vmxnet3")
_CONVENTIONAL_CONTROLLERS = ("piix3-uhci", "piix4-uhci", "ehci", "pci-ohci", "vt82c686b-uhci", "lsilogic")


def _is_express(device: Device) -> bool:
    """Whether a device belongs on PCI Express; the others are conventional PCI devices."""
    match device:
        case Interface():
            return device.model is not None and device.model.type in _EXPRESS_NICS
        case Controller():
            return device.model not in _CONVENTIONAL_CONTROLLERS
        case Video():
            return device.model is not None and device.model.type is VideoType.VIRTIO
        case Sound() | Watchdog() | Shmem() | Serial():
            return False
    model = str(getattr(device, "model", None) or "")  # of a virtio device of any kind
    return not model.endswith("-transitional") or model.endswith("non-transitional")


def _pci_devices(domain: Domain) -> Iterator[Device]:
    """Every device that sits on PCI, in the order in which they choose their places."""
    devices = domain.devices
    yield from (c for c in devices.controllers if c.type is ControllerType.PCI and c.index != 0)
    yield from devices.filesystems
    yield from devices.interfaces
    yield from (sound for sound in devices.sounds if sound.model in ("es1370", "ac97", "ich6", "ich9"))
    yield from (c for c in devices.controllers if _on_pci(c))
    yield from (disk for disk in devices.disks if _is_pci_disk(disk))
    yield from (hostdev for hostdev in devices.hostdevs if hostdev.type is HostdevType.PCI)
    if devices.memballoon and devices.memballoon.model is not MemballoonModel.NONE:
        yield devices.memballoon
    yield from devices.rngs
    if devices.watchdog and devices.watchdog.model is WatchdogModel.I6300ESB:
        yield devices.watchdog
    yield from (v for v in devices.videos if v.model and v.model.type not in (VideoType.NONE, VideoType.RAMFB))
    yield from devices.shmems
    yield from (each for each in devices.inputs if each.bus is InputBus.VIRTIO)
    yield from (s for s in devices.serials if s.target and s.target.type is SerialTargetType.PCI)
    if devices.vsock:
        yield devices.vsock
    yield from devices.cryptos


def _on_pci(controller: Controller) -> bool:
    if controller.type in (ControllerType.SCSI, ControllerType.SATA, ControllerType.VIRTIO_SERIAL, ControllerType.IDE):
        return True
    return controller.type is ControllerType.USB and controller.model != "none"


def _is_pci_disk(disk: Disk) -> bool:
    return disk.target.bus is DiskBus.VIRTIO and not isinstance(disk.address, DriveAddress)


def assign_aliases(domain: Domain) -> None:
    """Name every device of a guest that starts, as libvirt does (qemu_alias.c); names the user chose stay."""
    devices = domain.devices
    for disk in devices.disks:
        _name(disk, _disk_alias(domain, disk))
    for controller in devices.controllers:
        _name(controller, _controller_alias(domain, controller))
    for serial, console in zip(devices.serials[:1], devices.consoles[:1], strict=False):
        _name(serial, "serial0")
        if console.target and console.target.type is ConsoleTargetType.SERIAL:
            console.alias = serial.alias
    families: dict[str, list[Device]] = {
        "net": [*devices.interfaces],
        "fs": [*devices.filesystems],
        "sound": [*devices.sounds],
        "hostdev": [*devices.hostdevs],
        "redir": [*devices.redirdevs],
        "video": [*devices.videos],
        "console": [*devices.consoles],
        "hub": [*devices.hubs],
        "smartcard": [*devices.smartcards],
        "serial": [*devices.serials],
        "parallel": [*devices.parallels],
        "channel": [*devices.channels],
        "input": [*devices.inputs],
        "rng": [*devices.rngs],
        "tpm": [*devices.tpms],
        "shmem": [*devices.shmems],
        "panic": [*devices.panics],
        "crypto": [*devices.cryptos],
        "balloon": [devices.memballoon] if devices.memballoon else [],
        "watchdog": [devices.watchdog] if devices.watchdog else [],
        "vsock": [devices.vsock] if devices.vsock else [],
    }
    for prefix, members in families.items():
        for number, device in enumerate(members):
            _name(device, f"{prefix}{number}")


def _name(device: Device, alias: str) -> None:
    device.alias = device.alias or Alias(name=alias)


def _disk_alias(domain: Domain, disk: Disk) -> str:
    address = disk.address
    if isinstance(address, DriveAddress):
        bus = str(disk.target.bus)
        # The oldest SCSI controller has neither channels nor logical units.
        if disk.target.bus is DiskBus.SCSI and _scsi_model(domain, address.controller) != "lsilogic":
            return f"scsi{address.controller}-{address.bus}-{address.target}-{address.unit}"
        return f"{bus}{address.controller}-{address.bus}-{address.unit}"
    return f"{disk.target.bus}-disk{drive_number(disk.target.dev) or 0}"


def _scsi_model(domain: Domain, index: int) -> str | None:
    controllers = domain.devices.controllers
    return next((c.model for c in controllers if c.type is ControllerType.SCSI and c.index == index), None)


def _controller_alias(domain: Domain, controller: Controller) -> str:
    index = controller.index or 0
    if controller.type is ControllerType.PCI:
        return f"{'pcie' if controller.model == 'pcie-root' else 'pci'}.{index}"
    if controller.type is ControllerType.USB and index == 0:
        return "usb"
    first_of_chipset = (controller.type is ControllerType.IDE and machine.is_i440fx(domain)) or (
        controller.type is ControllerType.SATA and machine.is_q35(domain)
    )
    if index == 0 and first_of_chipset:
        return "ide"
    return f"{controller.type}{index}"
