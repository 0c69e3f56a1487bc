"""This host's end of a guest's network cards and host devices, made ready before QEMU starts.

Network devices and locks end with QEMU, since it holds the only descriptors; helpers and devices that were taken from
the host have notes in the guest's folder (see `helpers` and `rebind`).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.hostdev import MdevSource, PciSource, ScsiSource, UsbSource
from vmherd.conf.domain.net import Interface, InterfaceType
from vmherd.errors import HostError
from vmherd.hypervisors.qemu import alias as names
from vmherd.hypervisors.qemu import hostdevs
from vmherd.hypervisors.qemu.cards import hostend
from vmherd.hypervisors.qemu.cards.hostend import HostEnds
from vmherd.hypervisors.qemu.command.device import alias, host_pci
from vmherd.hypervisors.qemu.command.netdev import TAPS, is_passt, queues
from vmherd.hypervisors.qemu.helpers import passt
from vmherd.hypervisors.qemu.host import hostpci, hostusb, rebind
from vmherd.hypervisors.qemu.startup.resources import Resources

_SCSI = Path("/sys/class/scsi_device")


class Prepared:
    """``locks`` is the folder with the marks of devices that a guest uses, ``uri`` leads to its networks."""

    def __init__(self, domain: Domain, folder: Path, locks: Path, resources: Resources, uri: str) -> None:
        self._domain = domain
        self._folder = folder
        self._locks = locks
        self._inherit = resources.inherit
        self._reach = resources.reach
        self._ends = HostEnds(domain, folder, locks, uri)
        self._taps: dict[str, list[int]] = {}
        self._taken = rebind.noted(folder)

    async def prepare(self, log: int, *, starting: bool = True) -> None:
        """Take devices from the host, make network devices, start routers.

        Raises HostError, and what speaks against a card's place in a network.  ``log`` is the descriptor of the guest's
        log; the names of devices may change while the guest is ``starting`` only.
        """
        for interface in self._domain.devices.interfaces:
            await self._ends.plug(interface)
            if interface.type is InterfaceType.HOSTDEV:
                if starting:
                    self._name_anew(interface)
                await self._ends.hand_over(interface)
        self._take_devices()
        for interface in self._domain.devices.interfaces:
            if interface.type in TAPS:
                self._taps[alias(interface)] = [self._inherit(fd) for fd in await self._ends.connect(interface)]
            elif is_passt(interface):
                await passt.start(interface, self._folder, log)
            elif interface.type == "vhostuser":
                _check_vhost_user(interface)

    def _name_anew(self, interface: Interface) -> None:
        """A card that is a device of the host after all is named as such."""
        before = alias(interface)
        if before.startswith("net"):
            interface.alias = None
            names.assign(self._domain)
            hostend.renamed(self._folder, before, alias(interface))

    def _take_devices(self) -> None:
        self._find_usb()
        cards = []
        for hostdev in hostdevs.of(self._domain):
            match hostdev.source:
                case UsbSource(address=place) if place:
                    self._claim(f"usb-{place.bus:03d}-{place.device:03d}", "this USB device")
                    hostusb.check_access(place)
                case PciSource(address=card):
                    self._claim(f"pci-{host_pci(card)}", f"PCI device {host_pci(card)}")
                    hostpci.take(card, managed=bool(hostdev.managed), note=self._note)
                    cards.append(card)
                case MdevSource(address=mediated):
                    if not Path("/sys/bus/mdev/devices", mediated.uuid).exists():
                        hint = "'mdevctl list' lists them, 'mdevctl start' makes one"
                        raise HostError(f"there is no mediated device {mediated.uuid} on this host", hint=hint)
        for card in cards:
            hostpci.check_group(card)

    def _find_usb(self) -> None:
        """Learn where USB devices are now; what may be missing, and is, the guest does without."""
        devices = self._domain.devices
        for hostdev in list(devices.hostdevs):
            if isinstance(hostdev.source, UsbSource):
                hostdev.source.address = hostusb.find(hostdev.source)
                if hostdev.source.address is None:
                    devices.hostdevs.remove(hostdev)

    def _claim(self, name: str, what: str) -> None:
        """A lock that lives as long as QEMU does."""
        fd = self._inherit(os.open(self._locks / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HostError(f"{what} is in use by another guest", hint="stop that guest first") from None

    def _note(self, taken: rebind.Taken) -> None:
        self._taken.append(taken)
        rebind.note(self._folder, self._taken)

    def tap(self, interface: Interface) -> Sequence[int]:
        return self._taps[alias(interface)]

    def vhost_net(self, interface: Interface) -> Sequence[int]:
        path = interface.backend.vhost if interface.backend and interface.backend.vhost else "/dev/vhost-net"
        try:
            return [self._open(path) for _ in range(queues(interface) or 1)]
        except OSError as problem:
            if interface.driver is None or interface.driver.name != "vhost":
                return []
            hint = "load the module vhost_net, or leave <driver name='vhost'/> out"
            raise HostError(f"{path}: {problem.strerror}", hint=hint) from None

    def vdpa(self, interface: Interface) -> int:
        path = interface.source.dev if interface.source and interface.source.dev else ""
        try:
            return self._open(path)
        except OSError as problem:
            raise HostError(f"vdpa device {path}: {problem.strerror}", hint="'vdpa dev' lists them") from None

    def passt(self, interface: Interface) -> Path:
        return Path(self._reach(passt.socket(interface, self._folder)))

    def vhost_scsi(self) -> int:
        try:
            return self._open("/dev/vhost-scsi")
        except OSError as problem:
            hint = "load the module vhost_scsi, and make the target with targetcli"
            raise HostError(f"/dev/vhost-scsi: {problem.strerror}", hint=hint) from None

    def _open(self, path: str) -> int:
        return self._inherit(os.open(path, os.O_RDWR | os.O_CLOEXEC))

    def scsi_generic(self, source: ScsiSource) -> str:
        return scsi_generic(source)


def scsi_generic(source: ScsiSource) -> str:
    """The device file of a SCSI device of this host.  Raises HostError if it is not there."""
    assert source.adapter is not None
    assert source.address is not None  # validation asks for both
    place = source.address
    host = source.adapter.name.removeprefix("scsi_host")
    name = f"{host}:{place.bus}:{place.target}:{place.unit}"
    for found in (_SCSI / name / "device/scsi_generic").glob("*"):
        return f"/dev/{found.name}"
    raise HostError(f"there is no SCSI device {name} on this host", hint="'lsscsi -g' lists them")


def _check_vhost_user(interface: Interface) -> None:
    """Who connects needs somebody who listens."""
    source = interface.source
    if source and source.mode == "client" and source.path and not Path(source.path).is_socket():
        text = f"nobody serves the vhost-user socket {source.path}"
        raise HostError(text, hint="start the program that switches the packets first")
