"""The small form of a guest: what a person says, expanded to a domain document.

A document can say everything; a spec says what most guests need, and chooses the rest so that the guest is
fast and safe: virtio devices, a random number generator, a serial console, ACPI for a clean shutdown.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from vmherd.conf.capabilities import HostCapabilities
from vmherd.conf.domain import Devices, Domain, DomainType
from vmherd.conf.domain.chardev import ChardevType, Serial
from vmherd.conf.domain.disk import Disk, DiskBus, DiskDevice, DiskDriver, DiskTarget
from vmherd.conf.domain.features import Apic, Features
from vmherd.conf.domain.graphics import Graphics, GraphicsType
from vmherd.conf.domain.memory import Memory
from vmherd.conf.domain.net import Interface, InterfaceModel, InterfaceSource, InterfaceType
from vmherd.conf.domain.os import BootDevice, BootFrom, Os, OsType
from vmherd.conf.domain.rng import RandomBackend, Rng, RngModel
from vmherd.conf.domain.storage import DiskSource, StorageFormat
from vmherd.conf.domain.vcpu import Vcpu
from vmherd.conf.domain.video import Video, VideoModel, VideoType
from vmherd.errors import InvalidArgument
from vmherd.guest.image import format_of
from vmherd.util.xmlmodel import parse

MIB = 1 << 20


class Platform(msgspec.Struct, frozen=True):
    """What runs the guest, best first of what a host offers: ``kvm`` or ``qemu`` on ``x86_64``."""

    type: DomainType
    arch: str


def best_platform(capabilities: str) -> Platform:
    """The first way to run full guests in a host's capabilities document.

    Raises InvalidArgument where it offers none.
    """
    for guest in parse(HostCapabilities, capabilities).guests:
        if guest.os_type == "hvm" and guest.arch.domains:
            return Platform(DomainType(guest.arch.domains[0].type), guest.arch.name)
    raise InvalidArgument("this host runs no full virtual machines", hint="'vmherd doctor' says what it lacks")


class GuestSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A guest in a few words.

    ``memory`` is in bytes.  ``disks`` are image files, ``new_disk`` is a qcow2 image yet to be made that comes
    before them.  The first one boots unless there is a ``kernel``, and while it is empty, the ``cdrom`` does.
    Each of ``networks`` gives it a card there; without any it has one on a user-mode network, where it reaches out
    and nothing reaches it, unless ``network`` is off.  ``vnc`` gives it a screen, for viewers on this host.
    """

    name: str
    memory: int = 512 * MIB
    cpus: int = 1
    kernel: Path | None = None
    initrd: Path | None = None
    cmdline: str = ""
    disks: tuple[Path, ...] = ()
    new_disk: Path | None = None
    cdrom: Path | None = None
    network: bool = True
    networks: tuple[str, ...] = ()
    vnc: bool = False

    def document(self, platform: Platform) -> Domain:
        """The domain document.  Raises InvalidArgument if an image cannot be read."""
        return Domain(
            type=platform.type,
            name=self.name,
            memory=Memory(size=self.memory),
            vcpu=Vcpu(count=self.cpus),
            os=self._os(platform),
            features=Features(acpi=True, apic=Apic() if platform.arch in ("x86_64", "i686") else None),
            devices=self._devices(),
        )

    def _os(self, platform: Platform) -> Os:
        boots = [BootDevice.HD] if self.disks or self.new_disk else []
        if self.cdrom:
            boots.append(BootDevice.CDROM)
        return Os(
            type=OsType(arch=platform.arch, name="hvm"),
            kernel=_text(self.kernel),
            initrd=_text(self.initrd),
            cmdline=self.cmdline or None,
            boots=[] if self.kernel else [BootFrom(dev=device) for device in boots],
        )

    def _devices(self) -> Devices:
        return Devices(
            disks=[*self._disks()],
            interfaces=self._cards(),
            serials=[Serial(type=ChardevType.PTY)],
            graphics=[Graphics(type=GraphicsType.VNC, port=-1, autoport=True)] if self.vnc else [],
            videos=[Video(model=VideoModel(type=VideoType.VGA))] if self.vnc else [],
            rngs=[Rng(model=RngModel.VIRTIO, backend=RandomBackend(path="/dev/urandom"))],
        )

    def _cards(self) -> list[Interface]:
        if self.networks:
            return [_card(InterfaceType.NETWORK, InterfaceSource(network=name)) for name in self.networks]
        return [_card(InterfaceType.USER)] if self.network else []

    def _disks(self) -> list[Disk]:
        images = [(path, format_of(path)) for path in self.disks]
        if self.new_disk:
            images.insert(0, (self.new_disk, StorageFormat.QCOW2))
        disks = [_disk(path, format_, index) for index, (path, format_) in enumerate(images)]
        return [*disks, _cdrom(self.cdrom)] if self.cdrom else disks


def _text(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None


def _card(kind: InterfaceType, source: InterfaceSource | None = None) -> Interface:
    return Interface(type=kind, source=source, model=InterfaceModel(type="virtio"))


def _disk(path: Path, format_: StorageFormat, index: int) -> Disk:
    return Disk(
        driver=DiskDriver(name="qemu", type=format_),
        source=DiskSource(file=_text(path)),
        target=DiskTarget(dev=f"vd{_letters(index)}", bus=DiskBus.VIRTIO),
    )


def _cdrom(path: Path) -> Disk:
    return Disk(
        device=DiskDevice.CDROM,
        driver=DiskDriver(name="qemu", type=StorageFormat.RAW),
        source=DiskSource(file=_text(path)),
        target=DiskTarget(dev="sda", bus=DiskBus.SATA),
        readonly=True,
    )


def _letters(index: int) -> str:
    """a to z, then aa: the way Linux names disks."""
    head, last = divmod(index, 26)
    return (_letters(head - 1) if head else "") + chr(ord("a") + last)
