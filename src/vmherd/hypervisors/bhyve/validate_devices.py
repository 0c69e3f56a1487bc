"""Which devices this host's bhyve can give a guest.

Source: the builders of src/bhyve/bhyve_command.c of libvirt; bhyve(8)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import DriveAddress, PciAddress
from vmherd.conf.domain.audio import AudioType
from vmherd.conf.domain.controller import ControllerType
from vmherd.conf.domain.disk import DiskBus, DiskDevice
from vmherd.conf.domain.filesystem import AccessMode, FilesystemType
from vmherd.conf.domain.graphics import Graphics, GraphicsType, ListenType
from vmherd.conf.domain.input import InputBus, InputType
from vmherd.conf.domain.memballoon import MemballoonModel
from vmherd.conf.domain.net import InterfaceType
from vmherd.conf.domain.problem import Problem, numbered
from vmherd.conf.domain.sound import SoundModel
from vmherd.conf.domain.storage import StorageFormat, StorageType
from vmherd.conf.domain.video import VideoType
from vmherd.hypervisors.bhyve import address
from vmherd.hypervisors.bhyve.capabilities import Capabilities, Feature

Rule = Callable[[Domain, Capabilities], Iterator[Problem]]

_NEWER = "remove it, or use a newer bhyve"
_VNC_PORTS = range(5900, 65536)
#: Elements of <devices> that bhyve has nothing for.
_NOTHING = {
    "leases": "lease",
    "smartcards": "smartcard",
    "parallels": "parallel",
    "channels": "channel",
    "tpms": "tpm",
    "hostdevs": "hostdev",
    "redirdevs": "redirdev",
    "hubs": "hub",
    "watchdog": "watchdog",
    "rngs": "rng",
    "nvram": "nvram",
    "panics": "panic",
    "shmems": "shmem",
    "memories": "memory",
    "cryptos": "crypto",
    "iommu": "iommu",
    "vsock": "vsock",
}


def _absent(domain: Domain, _: Capabilities) -> Iterator[Problem]:
    for name, tag in _NOTHING.items():
        if getattr(domain.devices, name):
            yield Problem(f"domain/devices/{tag}", f"bhyve guests have no <{tag}>", "remove it")
    balloon = domain.devices.memballoon
    if balloon is not None and balloon.model is not MemballoonModel.NONE:
        yield Problem("domain/devices/memballoon", "bhyve guests have no balloon", "remove it, or use model='none'")


def _controllers(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    kinds: set[ControllerType] = set()
    for number, controller in numbered(domain.devices.controllers):
        place = f"domain/devices/controller[{number}]"
        kind = controller.type
        if kind is ControllerType.PCI and controller.model != "pci-root":
            yield Problem(f"{place}/@model", "bhyve has one PCI bus and no bridges", "use model='pci-root'")
        if kind in (ControllerType.USB, ControllerType.ISA) and kind in kinds:
            yield Problem(place, f"bhyve has one controller of type {str(kind)!r}", "remove it")
        if kind not in (ControllerType.PCI, ControllerType.SATA, ControllerType.USB, ControllerType.ISA):
            yield Problem(f"{place}/@type", f"bhyve has no controller of type {str(kind)!r}", "use type='sata'")
        if kind is ControllerType.USB and controller.model != "nec-xhci":
            yield Problem(f"{place}/@model", "bhyve's USB controller is an xHCI", "use model='nec-xhci'")
        if kind is ControllerType.USB and Feature.XHCI not in caps:
            yield Problem(place, "this bhyve has no USB", _NEWER)
        kinds.add(kind)


def _places(domain: Domain, _: Capabilities) -> Iterator[Problem]:
    """Devices in a slot, SATA disks on a controller."""
    hint = "leave <address> out"
    for device in address.pci_devices(domain):
        if not isinstance(device.address, PciAddress):
            yield Problem(f"domain/devices/{type(device).__xml__.tag}/address", "it is on the PCI bus", hint)
    for number, disk in numbered(domain.devices.disks):
        if disk.target.bus is DiskBus.SATA and not isinstance(disk.address, DriveAddress):
            yield Problem(f"domain/devices/disk[{number}]/address", "a SATA disk is on a controller", hint)


def _full_controllers(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    most = 32 if Feature.AHCI_32_SLOTS in caps else 1
    on_sata = [disk.address for disk in domain.devices.disks if disk.target.bus is DiskBus.SATA]
    used = Counter(each.controller for each in on_sata if isinstance(each, DriveAddress))
    for controller, count in used.items():
        if count > most:
            text = f"this bhyve has {most} disk on a SATA controller" if most == 1 else f"{most} disks are the most"
            hint = "leave out the <address> of the disks, to spread them"
            yield Problem(f"domain/devices/controller[@type='sata'][@index='{controller}']", text, hint)


def _inputs(domain: Domain, _: Capabilities) -> Iterator[Problem]:
    """PS/2 mouse and keyboard are always there; on USB there is one tablet, and the controller is there for it."""
    usb = [each for each in domain.devices.inputs if each.bus is InputBus.USB]
    controllers = [each for each in domain.devices.controllers if each.type is ControllerType.USB]
    for number, each in numbered(domain.devices.inputs):
        place = f"domain/devices/input[{number}]"
        if each.bus not in (InputBus.USB, InputBus.PS2):
            yield Problem(f"{place}/@bus", f"bhyve has no input device on bus {str(each.bus)!r}", "use bus='usb'")
        elif each.bus is InputBus.USB and each.type is not InputType.TABLET:
            yield Problem(f"{place}/@type", "the input device on USB is a tablet", "use type='tablet', or bus='ps2'")
    if len(usb) > 1:
        yield Problem("domain/devices/input", "bhyve has one input device on USB", "remove the others")
    if controllers and not usb:
        hint = "add <input type='tablet' bus='usb'/>, or remove the controller"
        yield Problem("domain/devices/controller", "the USB controller has no device, and bhyve wants one", hint)
    if usb and not controllers:
        hint = "add <controller type='usb' model='nec-xhci'/>"
        yield Problem("domain/devices/input", "the tablet has no USB controller", hint)


def _disks(domain: Domain, _: Capabilities) -> Iterator[Problem]:
    for number, disk in numbered(domain.devices.disks):
        place = f"domain/devices/disk[{number}]"
        if disk.target.bus not in (DiskBus.SATA, DiskBus.VIRTIO):
            hint = "use bus='sata' or bus='virtio'"
            yield Problem(f"{place}/target/@bus", f"bhyve has no disks on bus {str(disk.target.bus)!r}", hint)
        if disk.device not in (DiskDevice.DISK, DiskDevice.CDROM):
            text = f"bhyve has no {str(disk.device)!r}"
            yield Problem(f"{place}/@device", text, "use device='disk' or device='cdrom'")
        elif disk.device is DiskDevice.CDROM and disk.target.bus is DiskBus.VIRTIO:
            yield Problem(f"{place}/target/@bus", "a CD-ROM drive is not on bus 'virtio'", "use bus='sata'")
        if disk.type not in (StorageType.FILE, StorageType.BLOCK):
            text = f"bhyve cannot open disks of type {str(disk.type)!r}"
            yield Problem(f"{place}/@type", text, "use type='file' or type='block'")
        elif disk.source is None or not (disk.source.file or disk.source.dev):
            yield Problem(f"{place}/source", "bhyve has no empty drives", "add <source file=''/>, or remove the drive")


#: What would change what the guest reads or writes, were it forgotten.
_DISK_PROMISES = ("encryption", "iotune", "transient", "serial", "wwn", "vendor", "product", "geometry", "blockio")


def _contents(domain: Domain, _: Capabilities) -> Iterator[Problem]:
    """bhyve hands on the bytes of a file as they are, for reading and writing."""
    for number, disk in numbered(domain.devices.disks):
        place = f"domain/devices/disk[{number}]"
        kind = disk.driver.type if disk.driver else None
        if kind not in (None, StorageFormat.RAW, StorageFormat.ISO):
            hint = "convert it: qemu-img convert -O raw"
            yield Problem(f"{place}/driver/@type", f"bhyve cannot read {str(kind)!r} images", hint)
        if disk.readonly and disk.device is DiskDevice.DISK:
            yield Problem(f"{place}/readonly", "disks of bhyve guests can be written", "use device='cdrom', or a copy")
        for name in _DISK_PROMISES:
            if getattr(disk, name) or (name == "encryption" and disk.source and disk.source.encryption):
                yield Problem(f"{place}/{name}", f"bhyve's disks have no <{name}>", "remove it")


def _interfaces(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    for number, interface in numbered(domain.devices.interfaces):
        place = f"domain/devices/interface[{number}]"
        model = interface.model.type if interface.model else None
        if model not in ("virtio", "e1000"):
            text = f"bhyve has no network card {model!r}" if model else "the model of the network card is missing"
            yield Problem(f"{place}/model", text, "use <model type='virtio'/>")
        if model == "e1000" and Feature.NET_E1000 not in caps:
            yield Problem(f"{place}/model/@type", "this bhyve has no e1000", "use <model type='virtio'/>")
        if interface.type is not InterfaceType.BRIDGE:
            text = f"bhyve plugs network cards into bridges, not into type {str(interface.type)!r}"
            yield Problem(f"{place}/@type", text, "use type='bridge' with <source bridge=''/>")


def _screens(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    screens, videos = domain.devices.graphics, domain.devices.videos
    for number, video in numbered(videos):
        if video.model is None or video.model.type is not VideoType.GOP:
            yield Problem(f"domain/devices/video[{number}]/model", "bhyve has a frame buffer only", "use type='gop'")
    if len(screens) > 1 or (screens and len(videos) > 1):
        yield Problem("domain/devices/graphics", "bhyve has one screen", "keep one <graphics> and one <video>")
    if not screens:
        return
    place = "domain/devices/graphics[1]"
    if domain.bootloader is not None or domain.os.loader is None:
        hint = "add <os firmware='efi'>, or remove the screen"
        yield Problem(place, "a screen is for guests that boot UEFI", hint)
    if Feature.FBUF not in caps:
        yield Problem(place, "this bhyve has no frame buffer", _NEWER)
    yield from _screen(screens[0], place, caps)


def _screen(graphics: Graphics, place: str, caps: Capabilities) -> Iterator[Problem]:
    if graphics.type is not GraphicsType.VNC:
        yield Problem(f"{place}/@type", f"bhyve has no {str(graphics.type)!r}", "use type='vnc'")
        return
    if graphics.listens and graphics.listens[0].type not in (ListenType.ADDRESS, ListenType.NETWORK):
        yield Problem(f"{place}/listen", "bhyve's VNC server listens on an address only", "use type='address'")
    if not graphics.autoport and graphics.port not in _VNC_PORTS:
        yield Problem(f"{place}/@port", f"{graphics.port} is no VNC port", "choose one from 5900 to 65535")
    if graphics.passwd is not None and Feature.VNC_PASSWORD not in caps:
        yield Problem(f"{place}/@passwd", "this bhyve has no VNC passwords", _NEWER)
    if graphics.passwd is not None and "," in graphics.passwd:
        yield Problem(f"{place}/@passwd", "a comma ends the password on bhyve's command line", "use another character")


def _sounds(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    backends = {audio.id: audio.type for audio in domain.devices.audios}
    for number, sound in numbered(domain.devices.sounds):
        place = f"domain/devices/sound[{number}]"
        if sound.model is not SoundModel.ICH7:
            yield Problem(f"{place}/@model", f"bhyve has no sound card {str(sound.model)!r}", "use model='ich7'")
        if Feature.SOUND_HDA not in caps:
            yield Problem(place, "this bhyve has no sound", _NEWER)
        backend = backends.get(sound.audio.id) if sound.audio else AudioType.OSS
        if backend is None:
            yield Problem(f"{place}/audio/@id", "there is no such <audio>", "add it, or correct the id")
        elif backend is not AudioType.OSS:
            text = f"bhyve plays sound through OSS, not through {str(backend)!r}"
            yield Problem("domain/devices/audio/@type", text, "use type='oss'")


def _filesystems(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    for number, each in numbered(domain.devices.filesystems):
        place = f"domain/devices/filesystem[{number}]"
        if Feature.VIRTIO_9P not in caps:
            yield Problem(place, "this bhyve cannot share folders", _NEWER)
        if each.type is not FilesystemType.MOUNT:
            yield Problem(f"{place}/@type", "bhyve shares folders of the host only", "use type='mount'")
        if each.driver is not None and each.driver.type is not None:
            yield Problem(f"{place}/driver/@type", "bhyve has one way to share a folder", "remove <driver>")
        if each.accessmode is not AccessMode.PASSTHROUGH:
            hint = "use accessmode='passthrough'"
            yield Problem(f"{place}/@accessmode", "bhyve neither maps nor squashes owners", hint)
        if each.source is None or not each.source.dir:
            yield Problem(f"{place}/source", "the folder of the host is missing", "add <source dir=''/>")


RULES: tuple[Rule, ...] = (
    _absent,
    _controllers,
    _places,
    _full_controllers,
    _inputs,
    _disks,
    _contents,
    _interfaces,
    _screens,
    _sounds,
    _filesystems,
)
