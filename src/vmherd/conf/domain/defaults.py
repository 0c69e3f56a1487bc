"""Defaults of single devices that need no look at the others, or only at those of their kind."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from vmherd.conf.domain.disk import BackingStore, Disk, DiskBus, DiskDevice, ImageFormat, Mirror, SnapshotMode
from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.filesystem import Filesystem
from vmherd.conf.domain.graphics import Graphics, GraphicsType, Listen, ListenType
from vmherd.conf.domain.hostdev import Hostdev, HostdevMode, ScsiSource
from vmherd.conf.domain.input import Input, InputBus, InputType
from vmherd.conf.domain.net import Interface, InterfaceBackend, InterfaceDriver, MacAddress
from vmherd.conf.domain.os import NvramNetwork
from vmherd.conf.domain.redirdev import RedirRule
from vmherd.conf.domain.scalars import ANY
from vmherd.conf.domain.shmem import ShmemModel, ShmemModelRef
from vmherd.conf.domain.storage import (
    DEFAULT_PORTS,
    FIELDS_OF_TYPE,
    PROTOCOLS_OF_FIELD,
    DiskSource,
    NetProtocol,
    StorageFormat,
    StorageType,
    Transport,
)
from vmherd.conf.domain.video import Video, VideoType
from vmherd.util.xmlmodel import scale

KIB_OF_VIDEO = {
    VideoType.VGA: 16384,
    VideoType.CIRRUS: 16384,
    VideoType.VMVGA: 16384,
    VideoType.VBOX: 8192,
    VideoType.XEN: 4096,
    VideoType.QXL: 65536,
    VideoType.BOCHS: 16384,
}
_PREFIXES = {"hd": DiskBus.IDE, "sd": DiskBus.SCSI, "vd": DiskBus.VIRTIO, "xvd": DiskBus.XEN, "ubd": DiskBus.UML}
_ANY = (None, *NetProtocol)
_NO_MAC = "00:00:00:00:00:00"


def fill(domain: Domain) -> None:
    """Complete disks, network cards, inputs, screens, video cards, host devices and shared memory, in place."""
    devices = domain.devices
    for disk in devices.disks:
        _disk(disk)
    for interface in devices.interfaces:
        _interface(interface)
    for each in devices.inputs:
        _input(each, domain.os.type.name, domain.os.type.arch or "")
    for graphics in devices.graphics:
        _graphics(graphics)
    for filesystem in devices.filesystems:
        _filesystem(filesystem)
    for hostdev in devices.hostdevs:
        _hostdev(hostdev)
    for rule in devices.redirfilter.rules if devices.redirfilter else []:
        _redirection(rule)
    for shmem in devices.shmems:
        shmem.model = shmem.model or ShmemModelRef(type=ShmemModel.IVSHMEM)
    _videos(devices.videos)
    if isinstance(domain.os.nvram, NvramNetwork):
        domain.os.nvram.source = _meaningful(StorageType.NETWORK, domain.os.nvram.source)


def _disk(disk: Disk) -> None:
    target = disk.target
    if target.bus is None:
        floppy = disk.device is DiskDevice.FLOPPY
        target.bus = DiskBus.FDC if floppy else _bus_of(target.dev)
    if disk.device is DiskDevice.CDROM:
        disk.readonly = True
    if disk.readonly and disk.snapshot is SnapshotMode.NO:
        disk.snapshot = None  # what it would be anyway
    if disk.type is StorageType.VHOSTUSER:
        disk.snapshot = disk.snapshot or SnapshotMode.NO  # the image belongs to another process
    if disk.mirror is not None:
        _mirror(disk.mirror)
    if disk.source is not None:
        disk.source = _meaningful(disk.type, disk.source)
    elif disk.device in (DiskDevice.CDROM, DiskDevice.FLOPPY):
        disk.type = _type_of_empty(disk.type)
    for store in _stores(disk):
        if store.source is not None:
            store.source = _meaningful(store.type or StorageType.FILE, store.source)


def _stores(disk: Disk) -> Iterator[BackingStore | Mirror]:
    """The images below the disk's own, and the mirror with those below it."""
    for first in (disk.backing_store, disk.mirror):
        store: BackingStore | Mirror | None = first
        while store is not None:
            yield store
            store = store.backing_store


def sources_of(disk: Disk) -> list[DiskSource]:
    """The disk's own image and those below it, the mirror and those below that."""
    found = [disk.source, *(store.source for store in _stores(disk))]
    return [source for source in found if source is not None]


def _meaningful(type_: StorageType, source: DiskSource) -> DiskSource:
    """What counts for this type of storage, and for the protocol of a server."""
    fields = FIELDS_OF_TYPE[type_]
    if type_ is StorageType.NETWORK:
        fields = tuple(name for name in fields if source.protocol in PROTOCOLS_OF_FIELD.get(name, _ANY))
    found = source.only(fields)
    for host in found.hosts:
        if found.protocol is not None and host.transport in (None, Transport.TCP):
            host.port = host.port or DEFAULT_PORTS.get(found.protocol)
    return found


def _mirror(mirror: Mirror) -> None:
    """An old document tells the file in attributes alone; a new one repeats them for old readers."""
    if mirror.source is not None:
        if mirror.type is StorageType.FILE and mirror.job == "copy":
            mirror.file = mirror.source.file
            mirror.format_name = mirror.format.type if mirror.format else None
        return
    if mirror.file is None:
        return
    mirror.type = mirror.type or StorageType.FILE
    mirror.job = mirror.job or "copy"
    mirror.source = DiskSource(file=mirror.file)
    mirror.format_name = mirror.format_name or StorageFormat.RAW
    mirror.format = ImageFormat(type=mirror.format_name)


def _type_of_empty(type_: StorageType) -> StorageType:
    """An empty drive has neither server nor pool."""
    return StorageType.FILE if type_ in (StorageType.NETWORK, StorageType.VOLUME) else type_


def _bus_of(dev: str) -> DiskBus | None:
    return next((bus for prefix, bus in _PREFIXES.items() if dev.startswith(prefix)), None)


def complete_mac(interface: Interface) -> None:
    """An address for a card that has none: 52:54:00 is QEMU's own prefix; libvirt has it for every driver."""
    if interface.mac is None or interface.mac.address == _NO_MAC:
        tail = ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))
        interface.mac = MacAddress(address=f"52:54:00:{tail}")


def _interface(interface: Interface) -> None:
    complete_mac(interface)
    if interface.source is not None:
        interface.source.portid = None  # known only while a port exists
    _virtio_options(interface)
    rx = interface.coalesce.rx if interface.coalesce else None
    if rx is None or rx.frames is None or not rx.frames.max:
        interface.coalesce = None


def _virtio_options(interface: Interface) -> None:
    """Only virtio cards have any; there is one queue at least.  Source: virDomainNetDefParseXML"""
    virtio = interface.model is not None and interface.model.type.lower().startswith("virtio")
    if not virtio:
        interface.driver = None
    elif interface.driver and interface.driver.queues == 1:
        interface.driver.queues = None
    if interface.driver == InterfaceDriver():
        interface.driver = None
    if interface.backend and not virtio:
        interface.backend.vhost = None
    if interface.backend == InterfaceBackend():
        interface.backend = None


def _input(each: Input, os_type: str, arch: str) -> None:
    if each.bus is None:
        each.bus = _input_bus(each.type, os_type, arch)


def _input_bus(type_: InputType, os_type: str, arch: str) -> InputBus:
    if type_ is InputType.EVDEV:
        return InputBus.NONE
    if type_ is InputType.PASSTHROUGH:
        return InputBus.VIRTIO
    if os_type != "hvm":
        return InputBus.XEN
    pc = arch in ("x86_64", "i686", "")
    return InputBus.PS2 if pc and type_ in (InputType.MOUSE, InputType.KEYBOARD) else InputBus.USB


def _graphics(graphics: Graphics) -> None:
    if graphics.type not in (GraphicsType.VNC, GraphicsType.SPICE, GraphicsType.RDP):
        return
    _listens(graphics)
    if graphics.type is GraphicsType.SPICE and not _wants_ports(graphics):
        graphics.listens[0] = Listen(type=ListenType.NONE)
    if any(each.type in (ListenType.SOCKET, ListenType.NONE) for each in graphics.listens):
        graphics.autoport = graphics.port = graphics.tls_port = None
        return
    if graphics.type is not GraphicsType.SPICE and graphics.port in (None, 0, -1):
        graphics.autoport = True
    if graphics.autoport is None:
        graphics.autoport = graphics.type is GraphicsType.SPICE and graphics.port == -1 == graphics.tls_port
    if graphics.type is not GraphicsType.SPICE and graphics.autoport and graphics.port in (None, 0):
        graphics.port = -1


def _wants_ports(graphics: Graphics) -> bool:
    """A SPICE server without ports is reached only through the hypervisor's own connections."""
    on_network = graphics.listens[0].type in (ListenType.ADDRESS, ListenType.NETWORK)
    return not on_network or bool(graphics.autoport or graphics.port or graphics.tls_port)


def _listens(graphics: Graphics) -> None:
    """Let the old attributes and the first <listen> say the same; a contradiction stays, for validation to see."""
    graphics.listen = graphics.listen or None
    first = graphics.listens[0] if graphics.listens else None
    if graphics.type is GraphicsType.VNC and graphics.socket and (first is None or first.type is not ListenType.SOCKET):
        first = Listen(type=ListenType.SOCKET, socket=graphics.socket)
        graphics.listens = [first]
        graphics.listen = None
    if first is None:
        first = Listen(type=ListenType.ADDRESS)
        graphics.listens = [first]
    if first.type is ListenType.ADDRESS:
        first.address = first.address or graphics.listen
    graphics.listen = graphics.listen or first.address
    if graphics.type is GraphicsType.VNC and first.type is ListenType.SOCKET:
        graphics.socket = graphics.socket or first.socket


def _filesystem(filesystem: Filesystem) -> None:
    filesystem.fmode = filesystem.fmode and filesystem.fmode.zfill(4)
    filesystem.dmode = filesystem.dmode and filesystem.dmode.zfill(4)
    source = filesystem.source
    if source is not None and source.usage is not None:
        source.usage = -(-source.usage * scale(source.units or "KiB") // 1024)
        source.units = "KiB"


def _hostdev(hostdev: Hostdev) -> None:
    if hostdev.mode is HostdevMode.SUBSYSTEM and hostdev.managed is None:
        hostdev.managed = False
    if isinstance(hostdev.source, ScsiSource) and hostdev.source.name and "/" not in hostdev.source.name:
        hostdev.source.name += "/0"  # the LUN


def _redirection(rule: RedirRule) -> None:
    """What matches any device is left out."""
    rule.device_class = None if rule.device_class == ANY else rule.device_class
    rule.vendor = None if rule.vendor == ANY else rule.vendor
    rule.product = None if rule.product == ANY else rule.product
    rule.version = None if rule.version == str(ANY) else rule.version


def _videos(videos: list[Video]) -> None:
    for video in videos:
        model = video.model
        if model is None or model.type is VideoType.NONE:
            continue
        model.heads = model.heads or 1
        model.vram = model.vram or KIB_OF_VIDEO.get(model.type)
        if model.type is VideoType.QXL:
            model.ram = model.ram or 65536
            model.vgamem = model.vgamem or 16384
    models = [video.model for video in videos if video.model and video.model.type is not VideoType.NONE]
    if models and not any(model.primary for model in models):
        models[0].primary = True
    videos.sort(key=lambda video: not (video.model and video.model.primary))
