"""What QEMU's disks cannot be or do.

Source: qemuValidateDomainDeviceDefDisk in qemu_validate.c, qemuDomainValidateStorageSource in qemu_domain.c of libvirt.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.address import CcwAddress, DriveAddress, PciAddress, UsbAddress
from vmherd.conf.domain.controller import ControllerType
from vmherd.conf.domain.defaults import sources_of
from vmherd.conf.domain.disk import (
    Disk,
    DiskBus,
    DiskCache,
    DiskDevice,
    DiskDriver,
    DiskIo,
    DiskSgio,
    IoTune,
    SnapshotMode,
)
from vmherd.conf.domain.problem import numbered
from vmherd.conf.domain.storage import (
    DiskSource,
    Encryption,
    EncryptionEngine,
    EncryptionFormat,
    NetProtocol,
    StorageFormat,
    StorageType,
)
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command.protocols import PROTOCOLS
from vmherd.hypervisors.qemu.rules import sharing

Rule = Callable[[Domain, Disk, str, Capabilities], Iterator[Problem]]

#: Formats that QEMU cannot write to, or knows by another name.
_FORMATS = {
    StorageFormat.COW: "QEMU has no driver for it; convert the image with qemu-img",
    StorageFormat.DIR: "use 'fat'",
    StorageFormat.ISO: "use 'raw'",
    StorageFormat.AIO: "use 'raw'",
}
_ENCRYPTED = (None, StorageFormat.RAW, StorageFormat.QCOW2)
_REMOVABLE = (DiskDevice.CDROM, DiskDevice.FLOPPY)


def disks(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """Every rule for every disk."""
    for number, disk in numbered(domain.devices.disks):
        place = f"domain/devices/disk[{number}]"
        for rule in _OF_DISK:
            yield from rule(domain, disk, place, caps)


def images(domain: Domain) -> Iterator[Problem]:
    """Image formats that a start needs; a definition may wait for its image to be converted."""
    for number, disk in numbered(domain.devices.disks):
        place = f"domain/devices/disk[{number}]"
        kind = disk.driver.type if disk.driver else None
        if kind in _FORMATS:
            yield Problem(f"{place}/driver/@type", f"QEMU does not run {str(kind)!r} images", _FORMATS[kind])
        yield from _fat(disk, kind, place)
        for encryption in _encryptions(disk):
            if encryption.engine is not EncryptionEngine.LIBRBD and kind not in _ENCRYPTED:
                yield Problem(f"{place}/driver/@type", f"QEMU has no encrypted {kind} images", "use 'raw' or 'qcow2'")
        for source in sources_of(disk):
            if source.protocol is not None and source.protocol not in PROTOCOLS:
                text = f"QEMU has no driver for {str(source.protocol)!r} any more"
                hint = "export the image with another protocol, such as nbd"
                yield Problem(f"{place}/source/@protocol", text, hint)


def _fat(disk: Disk, kind: StorageFormat | None, place: str) -> Iterator[Problem]:
    """A folder is shown as a disk with a FAT file system, which the guest may read only."""
    folder = disk.type is StorageType.DIR
    if kind is StorageFormat.FAT and disk.type not in (StorageType.DIR, StorageType.VOLUME):
        yield Problem(f"{place}/driver/@type", "'fat' is made of a folder", "use type='dir', or the format 'raw'")
    if folder and kind not in (None, StorageFormat.FAT, StorageFormat.RAW):
        yield Problem(f"{place}/driver/@type", f"a folder is no {kind} image", "use 'fat'")
    if folder and not disk.readonly:
        yield Problem(f"{place}/readonly", "QEMU writes folders badly, so the guest may only read", "add <readonly/>")


def _encryptions(disk: Disk) -> list[Encryption]:
    found = [disk.encryption, *(source.encryption for source in sources_of(disk))]
    return [each for each in found if each is not None]


def _use(_: Domain, disk: Disk, place: str, __: Capabilities) -> Iterator[Problem]:
    """What depends on how a disk is used."""
    driver, bus = disk.driver or DiskDriver(), disk.target.bus
    if disk.shareable and driver.type not in (None, StorageFormat.RAW):
        text = f"guests would damage a {driver.type} image that they share"
        yield Problem(f"{place}/shareable", text, "use a raw image, or remove <shareable/>")
    if disk.readonly and disk.device is DiskDevice.DISK and bus in (DiskBus.IDE, DiskBus.SATA):
        text = f"a hard disk on {bus.upper()} cannot be read-only"
        yield Problem(f"{place}/readonly", text, "use bus='virtio' or bus='scsi', or device='cdrom'")
    if driver.name not in (None, "qemu"):
        yield Problem(f"{place}/driver/@name", f"QEMU is no {driver.name!r}", "use name='qemu', or leave it out")
    if driver.copy_on_read and (disk.readonly or disk.device in _REMOVABLE):
        yield Problem(f"{place}/driver/@copy_on_read", "what is read cannot be kept in such a disk", "remove it")
    if driver.metadata_cache and driver.type is not StorageFormat.QCOW2:
        yield Problem(f"{place}/driver/metadata_cache", "only qcow2 images have such tables", "remove it")


def _io(_: Domain, disk: Disk, place: str, caps: Capabilities) -> Iterator[Problem]:
    driver = disk.driver or DiskDriver()
    if driver.io is DiskIo.NATIVE and driver.cache not in (DiskCache.NONE, DiskCache.DIRECTSYNC):
        text = "the kernel's asynchronous I/O bypasses its cache"
        yield Problem(f"{place}/driver/@io", text, "add cache='none', or use io='threads'")
    if driver.io is DiskIo.IO_URING and caps.flags and "aio.io_uring" not in caps:
        yield Problem(f"{place}/driver/@io", f"{caps.binary} has no io_uring", "use io='threads'")


def _iothread(domain: Domain, disk: Disk, place: str, _: Capabilities) -> Iterator[Problem]:
    """Only virtio disks on PCI and CCW leave the main loop."""
    thread = disk.driver.iothread if disk.driver else None
    if thread is None:
        return
    where = f"{place}/driver/@iothread"
    if disk.target.bus is not DiskBus.VIRTIO:
        text = f"disks on {disk.target.bus} are served by the main loop"
        yield Problem(where, text, "remove it; of bus='scsi' give one to the controller")
    elif disk.address and not isinstance(disk.address, PciAddress | CcwAddress):
        yield Problem(where, "only virtio disks on PCI and CCW have I/O threads", "remove it")
    known = {each.id for each in domain.iothreadids} or set(range(1, (domain.iothreads or 0) + 1))
    if thread not in known:
        yield Problem(where, f"there is no I/O thread {thread}", "add it: <iothreads>, or name one there is")


def _place(domain: Domain, disk: Disk, place: str, _: Capabilities) -> Iterator[Problem]:
    """Where a disk can be plugged in."""
    address, bus, where = disk.address, disk.target.bus, f"{place}/address"
    if bus is DiskBus.VIRTIO and disk.device is DiskDevice.CDROM:
        yield Problem(f"{place}/@device", "a virtio disk cannot be taken out", "use bus='sata' or bus='scsi'")
    if bus is DiskBus.USB and address and not isinstance(address, UsbAddress):
        yield Problem(f"{where}/@type", "a disk on USB has an address on USB", "use type='usb'")
    if not isinstance(address, DriveAddress):
        return
    if bus is not DiskBus.IDE and address.bus != 0:
        yield Problem(f"{where}/@bus", f"a controller of type {bus} has one bus", "use bus='0'")
    if bus is DiskBus.SCSI:
        yield from _scsi_target(domain, address, where)
    elif address.target != 0:
        yield Problem(f"{where}/@target", f"controllers of type {bus} have no targets", "use target='0'")


def _scsi_target(domain: Domain, address: DriveAddress, where: str) -> Iterator[Problem]:
    scsi = [each for each in domain.devices.controllers if each.type is ControllerType.SCSI]
    model = next((each.model for each in scsi if each.index == address.controller), None)
    if model == "lsilogic" and address.target != 0:
        yield Problem(f"{where}/@target", "an lsilogic controller knows units only", "use target='0'")


def _lun(_: Domain, disk: Disk, place: str, __: Capabilities) -> Iterator[Problem]:
    if disk.device is not DiskDevice.LUN:
        if disk.wwn and disk.target.bus not in (DiskBus.IDE, DiskBus.SATA, DiskBus.SCSI):
            yield Problem(f"{place}/wwn", "only IDE, SATA and SCSI disks have a world wide name", "remove it")
        return
    if disk.target.bus not in (DiskBus.SCSI, DiskBus.VIRTIO):
        yield Problem(f"{place}/target/@bus", f"there is no lun on {disk.target.bus}", "use bus='scsi'")
    if disk.source and disk.source.protocol not in (None, NetProtocol.ISCSI):
        text = f"a lun is reached through iSCSI, not {disk.source.protocol}"
        yield Problem(f"{place}/source/@protocol", text, "use protocol='iscsi', or device='disk'")
    if disk.driver and disk.driver.type not in (None, StorageFormat.RAW):
        text = f"a lun is the host's device as it is, no {disk.driver.type} image"
        yield Problem(f"{place}/driver/@type", text, "use type='raw', or device='disk'")
    for name in ("wwn", "vendor", "product", "serial"):
        if getattr(disk, name) is not None and (name != "serial" or disk.target.bus is DiskBus.SCSI):
            yield Problem(f"{place}/{name}", "a lun tells its own", "remove it")


_SERIAL = re.compile(r"[A-Za-z0-9\-_ .+]*")


def _identity(_: Domain, disk: Disk, place: str, __: Capabilities) -> Iterator[Problem]:
    if disk.serial and not _SERIAL.fullmatch(disk.serial):
        text = f"{disk.serial!r} has characters that QEMU does not take"
        yield Problem(f"{place}/serial", text, "use letters, digits and '-_ .+'")
    shape = disk.geometry
    if shape and disk.target.bus in (DiskBus.USB, DiskBus.SD):
        yield Problem(f"{place}/geometry", f"a disk on {disk.target.bus} has no geometry", "remove it")
    elif shape and shape.trans and disk.target.bus is not DiskBus.IDE:
        yield Problem(f"{place}/geometry/@trans", "only disks on IDE translate their geometry", "remove it")


#: The most that QEMU limits anything to: 1 PB a second.
_MOST = 10**15


def _limits(_: Domain, disk: Disk, place: str, __: Capabilities) -> Iterator[Problem]:
    tune = disk.iotune
    if tune is None:
        return
    limits = {name: getattr(tune, name) for name in tune.__struct_fields__ if name != "group_name"}
    for name, value in limits.items():
        if value is not None and value > _MOST:
            yield Problem(f"{place}/iotune/{name}", f"{value} is more than QEMU can count", "remove it")
    if tune.group_name and not any(limits.values()):
        yield Problem(f"{place}/iotune/group_name", "a group shares limits, and there are none", "add a limit")


def _sources(_: Domain, disk: Disk, place: str, caps: Capabilities) -> Iterator[Problem]:
    for source in sources_of(disk):
        where = f"{place}/source"
        if source.protocol is not NetProtocol.RBD:
            for name in ("snapshot", "config"):
                if getattr(source, name):
                    yield Problem(f"{where}/{name}", "only RBD images have it", "remove it")
        if source.tls and source.protocol not in (NetProtocol.NBD, NetProtocol.VXHS):
            yield Problem(f"{where}/@tls", f"{source.protocol} is not encrypted by QEMU", "remove it")
        if source.tls_hostname and not source.tls:
            yield Problem(f"{where}/@tlsHostname", "without TLS nobody shows a name", "add tls='yes'")
        if source.reservations and caps.flags and "pr-manager-helper" not in caps:
            yield Problem(f"{where}/reservations", f"{caps.binary} cannot reserve disks", "remove it")
    for encryption in _encryptions(disk):
        yield from _encryption(disk, encryption, f"{place}/encryption", caps)


def _encryption(disk: Disk, encryption: Encryption, place: str, caps: Capabilities) -> Iterator[Problem]:
    if encryption.format in (EncryptionFormat.DEFAULT, EncryptionFormat.QCOW):
        yield Problem(f"{place}/@format", "QEMU has given up the encryption of old qcow images", "use format='luks'")
    if encryption.engine is not EncryptionEngine.LIBRBD:
        if encryption.format in (EncryptionFormat.LUKS2, EncryptionFormat.LUKS_ANY):
            text = f"QEMU itself does not decrypt {str(encryption.format)!r}"
            yield Problem(f"{place}/@format", text, "use format='luks', or engine='librbd'")
        if len(encryption.secrets) > 1:
            yield Problem(f"{place}/secret", "QEMU takes one passphrase", "keep one <secret>")
        return
    if caps.flags and "rbd-encryption" not in caps:
        yield Problem(f"{place}/@engine", f"{caps.binary} leaves no encryption to librbd", "use engine='qemu'")
    if not any(source.protocol is NetProtocol.RBD for source in sources_of(disk)):
        yield Problem(f"{place}/@engine", "librbd decrypts RBD images only", "use engine='qemu'")


#: Buses on which a disk can come while the guest runs.
_HOTPLUG = (DiskBus.VIRTIO, DiskBus.SCSI, DiskBus.USB)


def _transient(_: Domain, disk: Disk, place: str, __: Capabilities) -> Iterator[Problem]:
    if disk.transient is None:
        return
    where = f"{place}/transient"
    if disk.is_empty or disk.readonly or disk.device is not DiskDevice.DISK:
        yield Problem(where, "only a disk that is written to has changes to throw away", "remove it")
    elif disk.type is not StorageType.FILE:
        text = "the changes are kept beside the image, so that it has to be a file"
        yield Problem(where, text, "use type='file', or remove it")
    if disk.transient.share_backing and disk.target.bus not in _HOTPLUG:
        text = (
            f"the image can be shared by disks that come when the guest runs, which those on {disk.target.bus} cannot"
        )
        yield Problem(f"{where}/@shareBacking", text, "use bus='virtio'")


#: Attributes of <driver> and elements that another process, which plays the disk, does not hear of.
_DRIVER = ("cache", "error_policy", "rerror_policy", "io", "ioeventfd", "copy_on_read", "discard", "iothread")
_DRIVER_TOO = ("detect_zeroes", "metadata_cache")
_ELEMENTS = (
    "iotune", "readonly", "shareable", "transient", "serial", "wwn", "vendor", "product", "blockio", "geometry",
    "encryption", "auth", "mirror", "backing_store",
)  # fmt: skip


def _vhost_user(domain: Domain, disk: Disk, place: str, _: Capabilities) -> Iterator[Problem]:
    if disk.type is not StorageType.VHOSTUSER:
        return
    if disk.target.bus is not DiskBus.VIRTIO:
        yield Problem(f"{place}/target/@bus", "a vhost-user disk is a virtio disk", "use bus='virtio'")
    if disk.snapshot not in (None, SnapshotMode.NO):
        yield Problem(f"{place}/@snapshot", "the image belongs to another process", "use snapshot='no'")
    for name in (*_DRIVER, *_DRIVER_TOO):
        if disk.driver and getattr(disk.driver, name) is not None:
            yield Problem(f"{place}/driver/@{name}", "a vhost-user disk has none", "remove it")
    for name in _ELEMENTS:
        if getattr(disk, name):
            yield Problem(f"{place}/{name}", "a vhost-user disk has none", "remove it")
    yield from sharing.required(domain, "a vhost-user disk")


_LIMITS = tuple(f"{way}_{unit}_sec" for unit in ("bytes", "iops") for way in ("total", "read", "write"))


def _burst(tune: IoTune, name: str, place: str) -> Iterator[Problem]:
    """A burst belongs to a limit."""
    usual, most, seconds = (getattr(tune, f"{name}{end}") for end in ("", "_max", "_max_length"))
    if most and not usual:
        yield Problem(f"{place}/{name}_max", f"without {name} there is nothing that a burst exceeds", f"add {name}")
    elif most and usual and most < usual:
        yield Problem(f"{place}/{name}_max", f"a burst is more than {name}", f"raise it above {usual}")
    if seconds and not most:
        yield Problem(f"{place}/{name}_max_length", f"there is no {name}_max that could last", f"add {name}_max")


def not_here_yet(domain: Domain) -> Iterator[Problem]:
    """What can be described, but a start would fail at, or this program does not hand to QEMU yet."""
    for number, disk in numbered(domain.devices.disks):
        place = f"domain/devices/disk[{number}]"
        if disk.target.bus is DiskBus.USB and disk.is_empty:
            yield Problem(f"{place}/source", "QEMU has no empty drives on USB", "add an image, or use bus='sata'")
        if disk.iotune:
            for name in _LIMITS:
                yield from _burst(disk.iotune, name, f"{place}/iotune")
        if disk.sgio is DiskSgio.UNFILTERED:
            text = "kernels no longer let a disk have SCSI commands unfiltered"
            yield Problem(f"{place}/@sgio", text, "use rawio='yes', as root")
        if disk.rawio and os.geteuid() != 0:
            yield Problem(f"{place}/@rawio", "only root may send any SCSI command", "remove it, or use qemu:///system")
        for source in sources_of(disk):
            yield from _source_not_yet(source, f"{place}/source")


def _source_not_yet(source: DiskSource, place: str) -> Iterator[Problem]:
    if source.address is not None:
        text = "NVMe controllers of the host are not handed over yet"
        yield Problem(f"{place}/address", text, "use its block device: type='block' and <source dev='/dev/nvme0n1'/>")
    if source.fdgroup:
        yield Problem(f"{place}/@fdgroup", "open files are not taken from clients yet", "remove fdgroup")
    if source.tls:
        yield Problem(f"{place}/@tls", "there are no certificates for NBD yet", "connect through a tunnel")


_OF_DISK: tuple[Rule, ...] = (
    _use, _io, _iothread, _place, _lun, _identity, _limits, _sources, _transient, _vhost_user,
)  # fmt: skip

RULES = (disks,)
