"""<filesystem>: host folders and images the guest mounts.

Source: https://libvirt.org/formatdomain.html#filesystems
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.util.xmlmodel import Element, SizeInBytes, Switch, UInt, ULong, attr, child, flag, leaf, scale


class FilesystemType(StrEnum):
    MOUNT = "mount"
    BLOCK = "block"
    FILE = "file"
    TEMPLATE = "template"
    RAM = "ram"
    BIND = "bind"
    VOLUME = "volume"


class AccessMode(StrEnum):
    """Whose rights the files in the guest have."""

    PASSTHROUGH = "passthrough"
    MAPPED = "mapped"
    SQUASH = "squash"


class MultiDevs(StrEnum):
    """What to do with a folder that spans several host devices, whose inode numbers may clash."""

    DEFAULT = "default"
    REMAP = "remap"
    FORBID = "forbid"
    WARN = "warn"


class FilesystemModel(StrEnum):
    VIRTIO = "virtio"
    VIRTIO_TRANSITIONAL = "virtio-transitional"
    VIRTIO_NON_TRANSITIONAL = "virtio-non-transitional"


class FilesystemDriverType(StrEnum):
    PATH = "path"
    HANDLE = "handle"
    LOOP = "loop"
    NBD = "nbd"
    PLOOP = "ploop"
    VIRTIOFS = "virtiofs"
    MTP = "mtp"


class FilesystemDriver(Element, tag="driver"):
    type: FilesystemDriverType | None = attr()
    format: str | None = attr()
    wrpolicy: str | None = attr()
    queue: ULong | None = attr()
    iommu: Switch | None = attr()
    ats: Switch | None = attr()
    packed: Switch | None = attr()
    page_per_vq: Switch | None = attr()


class BinaryCache(Element, tag="cache"):
    mode: str = attr()


class BinarySandbox(Element, tag="sandbox"):
    mode: str = attr()


class BinaryLock(Element, tag="lock"):
    posix: Switch | None = attr()
    flock: Switch | None = attr()


class ThreadPool(Element, tag="thread_pool"):
    size: UInt = attr()


class FilesystemBinary(Element, tag="binary"):
    """The virtiofs daemon and its options."""

    path: str | None = attr()
    xattr: Switch | None = attr()
    cache: BinaryCache | None = child()
    sandbox: BinarySandbox | None = child()
    lock: BinaryLock | None = child()
    thread_pool: ThreadPool | None = child()


class FilesystemSource(Element, tag="source"):
    """The host's end; the attribute that counts follows the type (``ram`` has ``usage`` counted in ``units``)."""

    dir: str | None = attr()
    dev: str | None = attr()
    file: str | None = attr()
    name: str | None = attr()
    usage: ULong | None = attr()
    units: str | None = attr()
    pool: str | None = attr()
    volume: str | None = attr()
    socket: str | None = attr()

    def __post_init__(self) -> None:
        if self.usage is not None and self.usage * scale(self.units or "KiB") >= 2**63:
            raise ValueError(f"{self.usage} {self.units or 'KiB'} is more than can be counted")


class FilesystemTarget(Element, tag="target"):
    """The mount point in a container, or the mount tag a virtual machine sees."""

    dir: str = attr()


class Filesystem(Device, tag="filesystem"):
    type: FilesystemType = attr(default=FilesystemType.MOUNT, always=True)
    accessmode: AccessMode = attr(default=AccessMode.PASSTHROUGH, always=True)
    fmode: str | None = attr()
    dmode: str | None = attr()
    multidevs: MultiDevs | None = attr()
    model: FilesystemModel | None = attr()
    driver: FilesystemDriver | None = child()
    binary: FilesystemBinary | None = child()
    source: FilesystemSource | None = child()
    target: FilesystemTarget | None = child()
    readonly: bool = flag()
    space_hard_limit: SizeInBytes | None = leaf(last=True)
    space_soft_limit: SizeInBytes | None = leaf(last=True)
