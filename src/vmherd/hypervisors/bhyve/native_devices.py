"""The devices on a bhyve command line: ``-s`` and ``-l``.

A device that cannot be understood is left out and told of; a serial port that cannot is an error, as in libvirt.
Source: bhyveParseBhyvePCIArg and bhyveParseBhyveLPCArg of libvirt; bhyve(8)
"""

from __future__ import annotations

import re
from collections.abc import Callable

from vmherd.conf.domain.address import DriveAddress, PciAddress
from vmherd.conf.domain.audio import Audio, AudioStream, AudioType
from vmherd.conf.domain.chardev import ChardevSource, ChardevType, Serial, SerialTarget
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.disk import Disk, DiskBus, DiskDevice, DiskTarget
from vmherd.conf.domain.domain import Devices
from vmherd.conf.domain.filesystem import Filesystem, FilesystemSource, FilesystemTarget
from vmherd.conf.domain.graphics import AudioRef, Graphics, GraphicsType, Listen, ListenType
from vmherd.conf.domain.input import Input, InputBus, InputType
from vmherd.conf.domain.net import (
    Interface,
    InterfaceModel,
    InterfaceSource,
    InterfaceTarget,
    InterfaceType,
    MacAddress,
)
from vmherd.conf.domain.sound import Sound, SoundModel
from vmherd.conf.domain.storage import DiskSource, StorageType
from vmherd.conf.domain.video import Resolution, VgaConf, Video, VideoDriver, VideoModel, VideoType
from vmherd.errors import DocumentError

_MAC = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}")
_LAST_DISK = 25  # vdz
_ENDS = {"A": "B", "B": "A"}


class NotUnderstood(Exception):
    """Why a device is left out."""


class DeviceReader:
    """Adds to ``devices``; what is left out goes to ``ignored``."""

    def __init__(self, devices: Devices, ignored: list[str]) -> None:
        self._devices = devices
        self._ignored = ignored
        self._emulations: dict[str, Callable[[PciAddress, str], None]] = {
            "virtio-blk": lambda address, conf: self._disk(conf, DiskBus.VIRTIO, DiskDevice.DISK, address),
            "ahci-hd": lambda address, conf: self._disk(conf, DiskBus.SATA, DiskDevice.DISK, address),
            "ahci-cd": lambda address, conf: self._disk(conf, DiskBus.SATA, DiskDevice.CDROM, address),
            "ahci": self._ahci,
            "virtio-net": lambda address, conf: self._nic("virtio", conf, address),
            "e1000": lambda address, conf: self._nic("e1000", conf, address),
            "fbuf": self._screen,
            "xhci": self._usb,
            "hda": self._sound,
            "virtio-9p": self._folder,
            "hostbridge": lambda _, __: None,  # every guest has one,
            "amd_hostbridge": lambda _, __: None,
            "lpc": self._bridge,  # and gets this one when it needs it
        }

    def pci(self, text: str) -> None:
        """``-s SLOT,EMULATION[,CONF]``"""
        place, _, device = text.partition(",")
        emulation, _, conf = device.partition(",")
        try:
            if emulation not in self._emulations:
                raise NotUnderstood("unknown device")
            self._emulations[emulation](_place(place), conf)
        except NotUnderstood as problem:
            self._ignored.append(f"-s {text}: {problem}")

    def lpc(self, text: str) -> None:
        """``-l DEVICE[,CONF]``; raises DocumentError."""
        device, _, conf = text.partition(",")
        if not device.startswith("com"):
            self._ignored.append(f"-l {text}")
            return
        where = f"bhyve -l {text}"
        if device not in ("com1", "com2"):
            raise DocumentError(f"there is no port {device}", place=where, hint="use com1 or com2")
        if not conf.startswith("/dev/nmdm") or conf[-1] not in _ENDS:
            hint = "use /dev/nmdm0A, or another name that ends in A or B"
            raise DocumentError(f"{conf!r} is no null modem", place=where, hint=hint)
        source = ChardevSource(master=conf, slave=conf[:-1] + _ENDS[conf[-1]])
        target = SerialTarget(port=int(device[3]) - 1)
        self._devices.serials.append(Serial(type=ChardevType.NMDM, sources=[source], target=target))

    def _bridge(self, address: PciAddress, _: str) -> None:
        if address.slot != 1:
            raise NotUnderstood("the bridge to ISA will be in slot 1")

    def _disk(
        self, path: str, bus: DiskBus, device: DiskDevice, address: PciAddress | DriveAddress, options: str = ""
    ) -> None:
        path, _, more = path.partition(",")
        if not path:
            raise NotUnderstood("the path of the disk is missing")
        if more:
            self._ignored.append(f"{more}, of {path}")
        number = sum(disk.target.bus is bus for disk in self._devices.disks)
        if number > _LAST_DISK:
            raise NotUnderstood(f"there are more than {_LAST_DISK + 1} disks on bus {str(bus)!r}")
        block = path.startswith("/dev/")
        self._devices.disks.append(
            Disk(
                type=StorageType.BLOCK if block else StorageType.FILE,
                device=device,
                source=DiskSource(dev=path) if block else DiskSource(file=path),
                target=DiskTarget(dev=f"{'vd' if bus is DiskBus.VIRTIO else 'sd'}{chr(ord('a') + number)}", bus=bus),
                address=address,
            )
        )

    def _ahci(self, address: PciAddress, conf: str) -> None:
        """``hd:PATH,cd:PATH,...``: disks on the ports of one controller."""
        disks = [each.partition(":") for each in conf.split(",")]
        kinds = {"hd": DiskDevice.DISK, "cd": DiskDevice.CDROM}
        if not all(kind in kinds and path for kind, _, path in disks):
            raise NotUnderstood("its disks are not like hd:PATH or cd:PATH")
        index = sum(each.type is ControllerType.SATA for each in self._devices.controllers)
        self._devices.controllers.append(Controller(type=ControllerType.SATA, index=index, address=address))
        for unit, (kind, _, path) in enumerate(disks):
            self._disk(path, DiskBus.SATA, kinds[kind], DriveAddress(controller=index, unit=unit))

    def _nic(self, model: str, conf: str, address: PciAddress) -> None:
        """``tapN[,mac=MAC]``; the bridge is not told, so it is libvirt's usual one."""
        tap, _, option = conf.partition(",")
        mac = option.removeprefix("mac=")
        if not tap.startswith("tap"):
            raise NotUnderstood("the network card is on no tap device")
        if option and (not option.startswith("mac=") or not _MAC.fullmatch(mac)):
            raise NotUnderstood(f"{option!r} is no mac=MAC")
        canonical = ":".join(part.zfill(2) for part in mac.lower().split(":"))
        self._devices.interfaces.append(
            Interface(
                type=InterfaceType.BRIDGE,
                mac=MacAddress(address=canonical) if option else None,
                source=InterfaceSource(bridge="virbr0"),
                target=InterfaceTarget(dev=tap),
                model=InterfaceModel(type=model),
                address=address,
            )
        )

    def _screen(self, _place: PciAddress, conf: str) -> None:
        """``tcp=[ADDRESS:]PORT,w=W,h=H,vga=on|off|io,password=WORD``"""
        told = _settings(conf)
        address, _, port = (told.pop("tcp", None) or told.pop("rfb", "")).rpartition(":")
        address = address.strip("[]") or "127.0.0.1"
        if not is_number(port):
            raise NotUnderstood("the frame buffer has no port for VNC")
        vga, width, height = told.pop("vga", None), told.pop("w", None), told.pop("h", None)
        if not all(map(is_number, filter(None, (width, height)))):
            raise NotUnderstood("the size of the frame buffer is no number")
        if vga not in (None, *VgaConf):
            raise NotUnderstood(f"{vga!r} is not on, off or io")
        size = Resolution(x=int(width), y=int(height)) if width and height else None
        self._devices.graphics.append(
            Graphics(
                type=GraphicsType.VNC,
                port=int(port),
                autoport=False,
                listen=address,
                passwd=told.pop("password", None),
                listens=[Listen(type=ListenType.ADDRESS, address=address)],
            )
        )
        driver = VideoDriver(vgaconf=VgaConf(vga)) if vga else None
        self._devices.videos.append(
            Video(driver=driver, model=VideoModel(type=VideoType.GOP, heads=1, resolution=size))
        )
        self._ignored.extend(f"{name} of the frame buffer" for name in told)

    def _usb(self, address: PciAddress, conf: str) -> None:
        if conf != "tablet":
            raise NotUnderstood("the device on USB is no tablet")
        controller = Controller(type=ControllerType.USB, index=0, model="nec-xhci", address=address)
        self._devices.controllers.append(controller)
        self._devices.inputs.append(Input(type=InputType.TABLET, bus=InputBus.USB))

    def _sound(self, address: PciAddress, conf: str) -> None:
        told = _settings(conf)
        number = len(self._devices.audios) + 1
        play, record = told.pop("play", None), told.pop("rec", None)
        self._devices.sounds.append(Sound(model=SoundModel.ICH7, audio=AudioRef(id=number), address=address))
        self._devices.audios.append(
            Audio(
                id=number,
                type=AudioType.OSS,
                input=AudioStream(dev=record) if record else None,
                output=AudioStream(dev=play) if play else None,
            )
        )
        self._ignored.extend(f"{name} of the sound card" for name in told)

    def _folder(self, address: PciAddress, conf: str) -> None:
        """``NAME=PATH[,ro]``"""
        share, _, option = conf.partition(",")
        name, _, path = share.partition("=")
        if not path or option not in ("", "ro"):
            raise NotUnderstood("the shared folder is not like NAME=PATH,ro")
        self._devices.filesystems.append(
            Filesystem(
                source=FilesystemSource(dir=path),
                target=FilesystemTarget(dir=name),
                readonly=bool(option),
                address=address,
            )
        )


def _place(text: str) -> PciAddress:
    """``SLOT``, ``SLOT:FUNCTION`` or ``BUS:SLOT:FUNCTION``"""
    parts = text.split(":")
    if len(parts) > 3 or not all(map(is_number, parts)):
        raise NotUnderstood(f"{text!r} is no PCI slot")
    numbers = [int(part) for part in parts]
    bus, slot, function = {1: [0, *numbers, 0], 2: [0, *numbers], 3: numbers}[len(numbers)]
    return PciAddress(domain=0, bus=bus, slot=slot, function=function)


def is_number(text: str) -> bool:
    """Whether it is a number that no field is too small for."""
    return re.fullmatch(r"[0-9]{1,9}", text) is not None


def _settings(conf: str) -> dict[str, str]:
    return dict(each.partition("=")[::2] for each in conf.split(",") if each)
