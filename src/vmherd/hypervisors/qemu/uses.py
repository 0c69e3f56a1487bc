"""Every file, folder and device of the host that a guest uses: what it must see, may open, and be able to read.

Source: qemu_namespace.c, qemu_cgroup.c and virSecurityDACSetAllLabel of libvirt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import HostPciAddress
from vmherd.conf.domain.audio import AudioType
from vmherd.conf.domain.chardev import ChardevType, SocketMode
from vmherd.conf.domain.defaults import sources_of
from vmherd.conf.domain.disk import Disk, DiskBus
from vmherd.conf.domain.filesystem import FilesystemDriverType
from vmherd.conf.domain.graphics import GraphicsType
from vmherd.conf.domain.hostdev import Hostdev, MdevSource, PciSource, ScsiSource, UsbSource
from vmherd.conf.domain.input import Input, InputType
from vmherd.conf.domain.launch import Sev
from vmherd.conf.domain.memdev import MemoryModel
from vmherd.conf.domain.os import Nvram, NvramBlock, NvramFile
from vmherd.conf.domain.rng import RandomBackend
from vmherd.conf.domain.seclabel import DeviceSeclabel
from vmherd.conf.domain.storage import DiskSource, StorageType
from vmherd.conf.domain.streams import streams_of
from vmherd.conf.domain.tpm import PassthroughTpm
from vmherd.hypervisors.qemu import hostdevs
from vmherd.hypervisors.qemu.command import blockdev
from vmherd.hypervisors.qemu.command.blockdev import Image
from vmherd.hypervisors.qemu.command.device import host_pci
from vmherd.hypervisors.qemu.command.hostside import HostSide
from vmherd.hypervisors.qemu.command.launch import Launch
from vmherd.hypervisors.qemu.host import chains

_VFIO = Path("/dev/vfio")
_SYSFS = Path("/sys")


class Kind(Enum):
    """What a file is for the guest."""

    IMAGE = auto()  # a disk, or what is below one
    BOOT = auto()  # the kernel and its kin
    VARIABLES = auto()  # of UEFI
    LINE = auto()
    MEMORY = auto()
    HOSTDEV = auto()
    FOLDER = auto()  # QEMU serves it to the guest, and changes what is in it
    DEVICE = auto()  # of the host, for everybody


@dataclass(frozen=True)
class Use:
    """One file.  ``owner`` is the alias of the device that it is for, "" where the machine itself uses it.

    ``labels`` are the document's own words on who shall own it.  ``shared``: other guests may use it at the same time.
    """

    path: str
    kind: Kind
    owner: str = ""
    writes: bool = True
    shared: bool = False
    labels: tuple[DeviceSeclabel, ...] = field(default=(), compare=False)


def of(domain: Domain, launch: Launch) -> list[Use]:
    """What the guest uses, once its host devices have been taken.  Raises HostError for images that never end."""
    found = [
        *_boot(domain),
        *_disks(domain, launch),
        *_lines(domain),
        *_memory(domain),
        *_hostdevs(hostdevs.of(domain), launch.host),
        *_folders(domain),
        *_devices(domain),
        *_renderers(domain),
    ]
    return list(dict.fromkeys(found))


def of_device(view: Domain, launch: Launch, device: str) -> list[Use]:
    """What the device with that alias uses, which is in the view of a machine."""
    return [use for use in of(view, launch) if use.owner == device]


def _boot(domain: Domain) -> Iterator[Use]:
    machine = domain.os
    loader = machine.loader.path if machine.loader else None
    tables = [table.path for table in machine.acpi_tables]
    for path in (machine.kernel, machine.initrd, machine.dtb, loader, *tables):
        if path:
            yield Use(path, Kind.BOOT, writes=False, shared=True)
    match machine.nvram:
        case Nvram(path=path) if path:
            yield Use(path, Kind.VARIABLES)
        case NvramBlock(source=DiskSource(dev=path) as source) if path:
            yield Use(path, Kind.VARIABLES, labels=tuple(source.seclabels))
        case NvramFile(source=DiskSource(file=path) as source) if path:
            yield Use(path, Kind.VARIABLES, labels=tuple(source.seclabels))


def _disks(domain: Domain, launch: Launch) -> Iterator[Use]:
    for disk, images in zip(domain.devices.disks, blockdev.plan(domain, launch).chains, strict=True):
        owner = disk.alias.name if disk.alias else ""
        if disk.target.bus is DiskBus.SD:
            yield from _plain(disk, owner)
        for number, image in enumerate(images):
            yield from _image(image, disk, owner, lower=number > 0)
        if images and images[0].type is StorageType.VHOSTUSER and images[0].source.path:
            yield Use(images[0].source.path, Kind.LINE, owner)


def _plain(disk: Disk, owner: str) -> Iterator[Use]:
    """What the document tells of a disk that is no node of its own."""
    for number, source in enumerate(sources_of(disk)):
        if path := source.file or source.dev or source.dir:
            yield Use(path, Kind.IMAGE, owner, writes=not (number or disk.readonly), labels=tuple(source.seclabels))


def _image(image: Image, disk: Disk, owner: str, *, lower: bool) -> Iterator[Use]:
    source = image.source
    if image.type is StorageType.NVME and source.address:
        yield from _vfio(source.address, owner)
    path = {StorageType.FILE: source.file, StorageType.BLOCK: source.dev, StorageType.DIR: source.dir}.get(image.type)
    if not path:
        return
    shared = lower or image.readonly or disk.shareable
    labels = tuple(source.seclabels)
    if image.fdset is None:
        yield Use(path, Kind.IMAGE, owner, writes=not image.readonly, shared=shared, labels=labels)
        if image.type is not StorageType.DIR and image.below is None and not image.last:
            for below in chains.below(Path(path), image.format):
                yield Use(str(below), Kind.IMAGE, owner, writes=False, shared=True, labels=labels)
    if source.reservations:
        yield Use("/dev/mapper/control", Kind.DEVICE, owner)


def _lines(domain: Domain) -> Iterator[Use]:
    for stream in streams_of(domain.devices):
        alias = getattr(stream, "alias", None)
        owner = alias.name if alias else ""
        for source in stream.sources:
            opened = stream.type in (ChardevType.DEV, ChardevType.PIPE)
            joined = stream.type is ChardevType.UNIX and source.mode is not SocketMode.BIND
            if source.path and (opened or joined):
                for end in (".in", ".out") if stream.type is ChardevType.PIPE else ():
                    yield Use(source.path + end, Kind.LINE, owner, labels=tuple(source.seclabels))
                yield Use(source.path, Kind.LINE, owner, labels=tuple(source.seclabels))
    for rng in domain.devices.rngs:
        if isinstance(rng.backend, RandomBackend):
            yield Use(rng.backend.path or "/dev/random", Kind.DEVICE, rng.alias.name if rng.alias else "")


def _memory(domain: Domain) -> Iterator[Use]:
    for module in domain.devices.memories:
        owner = module.alias.name if module.alias else ""
        if module.source and module.source.path:
            yield Use(module.source.path, Kind.MEMORY, owner)
        if module.model is MemoryModel.SGX_EPC:
            yield Use("/dev/sgx_vepc", Kind.DEVICE, owner)
            yield Use("/dev/sgx_provision", Kind.DEVICE, owner)


def _hostdevs(found: Sequence[Hostdev], host: HostSide) -> Iterator[Use]:
    for each in found:
        owner = each.alias.name if each.alias else ""
        match each.source:
            case UsbSource(address=place) if place:
                yield Use(f"/dev/bus/usb/{place.bus:03d}/{place.device:03d}", Kind.HOSTDEV, owner)
            case PciSource(address=card):
                yield from _vfio(card, owner)
            case MdevSource(address=mediated):
                yield from _group(_SYSFS / "bus/mdev/devices" / mediated.uuid, owner)
            case ScsiSource(adapter=adapter) as source if adapter:
                path = host.scsi_generic(source)
                yield Use(path, Kind.HOSTDEV, owner, writes=not each.readonly, shared=each.shareable)


def _vfio(card: HostPciAddress, owner: str) -> Iterator[Use]:
    return _group(_SYSFS / "bus/pci/devices" / host_pci(card), owner)


def _group(device: Path, owner: str) -> Iterator[Use]:
    """What VFIO has of a device: the container, and the group that the IOMMU guards."""
    group = (device / "iommu_group").resolve().name
    yield Use(str(_VFIO / "vfio"), Kind.DEVICE, owner)
    yield Use(str(_VFIO / group), Kind.HOSTDEV, owner)


def _folders(domain: Domain) -> Iterator[Use]:
    for each in domain.devices.filesystems:
        served = each.driver is None or each.driver.type is not FilesystemDriverType.VIRTIOFS
        if served and each.source and each.source.dir:
            yield Use(each.source.dir, Kind.FOLDER, each.alias.name if each.alias else "", writes=not each.readonly)


def _devices(domain: Domain) -> Iterator[Use]:
    """Those that many use at the same time, and those that are told by name."""
    for each in domain.devices.inputs:
        if path := _of_input(each):
            yield Use(path, Kind.HOSTDEV, each.alias.name if each.alias else "")
    for tpm in domain.devices.tpms:
        if isinstance(tpm.backend, PassthroughTpm) and tpm.backend.device:
            yield Use(tpm.backend.device.path, Kind.HOSTDEV, tpm.alias.name if tpm.alias else "")
    if any(audio.type in (AudioType.ALSA, AudioType.SDL) for audio in domain.devices.audios):
        yield Use("/dev/snd", Kind.DEVICE)
    if any(audio.type is AudioType.OSS for audio in domain.devices.audios):
        yield Use("/dev/dsp", Kind.DEVICE)
    if isinstance(domain.launch_security, Sev):
        yield Use("/dev/sev", Kind.DEVICE)


def _renderers(domain: Domain) -> Iterator[Use]:
    for graphics in domain.devices.graphics:
        if graphics.gl and graphics.gl.rendernode:
            yield Use(graphics.gl.rendernode, Kind.DEVICE)
        if graphics.type is GraphicsType.SDL:
            yield Use("/dev/dri", Kind.DEVICE)
    for video in domain.devices.videos:
        if video.model and video.model.acceleration and video.model.acceleration.rendernode:
            yield Use(video.model.acceleration.rendernode, Kind.DEVICE)
        if video.model and video.model.blob:
            yield Use("/dev/udmabuf", Kind.DEVICE)


def _of_input(each: Input) -> str | None:
    if each.source is None:
        return None
    return each.source.evdev if each.type is InputType.PASSTHROUGH else each.source.dev
