"""<disk>: disks, CD-ROM drives and floppies.

Source: https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.conf.domain.scalars import Wwn
from vmherd.conf.domain.storage import Auth, DiskSource, Encryption, StorageFormat, StorageType
from vmherd.util.xmlmodel import Element, SizeInBytes, Switch, UInt, ULong, YesNo, attr, child, flag, leaf


class DiskDevice(StrEnum):
    DISK = "disk"
    CDROM = "cdrom"
    FLOPPY = "floppy"
    LUN = "lun"


class DiskBus(StrEnum):
    IDE = "ide"
    FDC = "fdc"
    SCSI = "scsi"
    VIRTIO = "virtio"
    XEN = "xen"
    USB = "usb"
    UML = "uml"
    SATA = "sata"
    SD = "sd"


class DiskModel(StrEnum):
    VIRTIO = "virtio"
    VIRTIO_TRANSITIONAL = "virtio-transitional"
    VIRTIO_NON_TRANSITIONAL = "virtio-non-transitional"


class DiskSgio(StrEnum):
    FILTERED = "filtered"
    UNFILTERED = "unfiltered"


class SnapshotMode(StrEnum):
    NO = "no"
    INTERNAL = "internal"
    EXTERNAL = "external"
    MANUAL = "manual"  # by someone else, while the guest is paused


class DiskCache(StrEnum):
    DEFAULT = "default"
    NONE = "none"
    WRITETHROUGH = "writethrough"
    WRITEBACK = "writeback"
    DIRECTSYNC = "directsync"
    UNSAFE = "unsafe"


class ErrorPolicy(StrEnum):
    DEFAULT = "default"
    STOP = "stop"
    REPORT = "report"
    IGNORE = "ignore"
    ENOSPACE = "enospace"


class DiskIo(StrEnum):
    DEFAULT = "default"
    NATIVE = "native"
    THREADS = "threads"
    IO_URING = "io_uring"


class DiskDiscard(StrEnum):
    DEFAULT = "default"
    UNMAP = "unmap"
    IGNORE = "ignore"


class DetectZeroes(StrEnum):
    OFF = "off"
    ON = "on"
    UNMAP = "unmap"


class MetadataCache(Element, tag="metadata_cache"):
    """How much memory the tables of a qcow2 image may take."""

    max_size: SizeInBytes | None = leaf()


class DiskDriver(Element, tag="driver"):
    """How the host reads and writes the image."""

    name: str | None = attr()
    type: StorageFormat | None = attr()
    cache: DiskCache | None = attr()
    error_policy: ErrorPolicy | None = attr()
    rerror_policy: ErrorPolicy | None = attr()
    io: DiskIo | None = attr()
    ioeventfd: Switch | None = attr()
    event_idx: Switch | None = attr()
    copy_on_read: Switch | None = attr()
    discard: DiskDiscard | None = attr()
    iothread: UInt | None = attr()
    detect_zeroes: DetectZeroes | None = attr()
    queues: UInt | None = attr()
    queue_size: UInt | None = attr()
    iommu: Switch | None = attr()
    ats: Switch | None = attr()
    packed: Switch | None = attr()
    page_per_vq: Switch | None = attr()
    metadata_cache: MetadataCache | None = child()


class ImageFormat(Element, tag="format"):
    type: StorageFormat = attr()
    metadata_cache: MetadataCache | None = child()


class BackingStore(Element, tag="backingStore"):
    """The image below this one; an empty element ends the chain."""

    type: StorageType | None = attr()
    index: UInt | None = attr()
    format: ImageFormat | None = child()
    source: DiskSource | None = child()
    backing_store: BackingStore | None = child()


class Mirror(Element, tag="mirror"):
    """The copy a running block job writes; read-only information."""

    type: StorageType | None = attr()
    file: str | None = attr()
    format_name: StorageFormat | None = attr("format")
    job: str | None = attr()
    ready: str | None = attr()
    format: ImageFormat | None = child()
    source: DiskSource | None = child()
    backing_store: BackingStore | None = child()


class Tray(StrEnum):
    CLOSED = "closed"
    OPEN = "open"


class DiskTarget(Element, tag="target"):
    """Where the guest sees the disk."""

    dev: str = attr()  # a hint for ordering (vda, sdb); guests may name it otherwise
    bus: DiskBus | None = attr()
    tray: Tray | None = attr()
    removable: Switch | None = attr()
    rotation_rate: UInt | None = attr()


class Geometry(Element, tag="geometry"):
    cyls: UInt = attr()
    heads: UInt = attr()
    secs: UInt = attr()
    trans: str | None = attr()


class BlockIo(Element, tag="blockio"):
    """Sector sizes shown to the guest, in bytes."""

    logical_block_size: UInt | None = attr()
    physical_block_size: UInt | None = attr()


class IoTune(Element, tag="iotune"):
    """Limits in bytes and operations per second; ``*_length`` is how many seconds a burst may last."""

    total_bytes_sec: ULong | None = leaf()
    read_bytes_sec: ULong | None = leaf()
    write_bytes_sec: ULong | None = leaf()
    total_iops_sec: ULong | None = leaf()
    read_iops_sec: ULong | None = leaf()
    write_iops_sec: ULong | None = leaf()
    total_bytes_sec_max: ULong | None = leaf()
    read_bytes_sec_max: ULong | None = leaf()
    write_bytes_sec_max: ULong | None = leaf()
    total_iops_sec_max: ULong | None = leaf()
    read_iops_sec_max: ULong | None = leaf()
    write_iops_sec_max: ULong | None = leaf()
    size_iops_sec: ULong | None = leaf()
    group_name: str | None = leaf()
    total_bytes_sec_max_length: ULong | None = leaf()
    read_bytes_sec_max_length: ULong | None = leaf()
    write_bytes_sec_max_length: ULong | None = leaf()
    total_iops_sec_max_length: ULong | None = leaf()
    read_iops_sec_max_length: ULong | None = leaf()
    write_iops_sec_max_length: ULong | None = leaf()


class BackendDomain(Element, tag="backenddomain"):
    """The Xen domain that serves the device."""

    name: str = attr()


class Transient(Element, tag="transient"):
    """Changes are thrown away when the guest stops."""

    share_backing: YesNo | None = attr("shareBacking")


class Disk(Device, tag="disk"):
    type: StorageType = attr(default=StorageType.FILE, always=True)
    device: DiskDevice = attr(default=DiskDevice.DISK, always=True)
    model: DiskModel | None = attr()
    rawio: YesNo | None = attr()
    sgio: DiskSgio | None = attr()
    snapshot: SnapshotMode | None = attr()
    driver: DiskDriver | None = child()
    auth: Auth | None = child()
    source: DiskSource | None = child()
    backing_store: BackingStore | None = child()
    backenddomain: BackendDomain | None = child()
    geometry: Geometry | None = child()
    blockio: BlockIo | None = child()
    mirror: Mirror | None = child()
    target: DiskTarget = child()
    iotune: IoTune | None = child()
    readonly: bool = flag()
    shareable: bool = flag()
    transient: Transient | None = child()
    serial: str | None = leaf()
    wwn: Wwn | None = leaf()
    vendor: str | None = leaf()
    product: str | None = leaf()
    encryption: Encryption | None = child()

    @property
    def is_empty(self) -> bool:
        """Whether no image is told, whatever the type of storage: a drive without a medium."""
        source = self.source
        if source is None:
            return True
        place = source.file or source.dev or source.dir or source.protocol or source.volume or source.path
        return not (place or source.address or source.fdgroup)
