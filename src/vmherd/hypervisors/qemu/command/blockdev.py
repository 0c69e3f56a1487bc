"""Images as block nodes: for each image of a chain one node that reads the storage and one that knows the format.

Node names are libvirt's: ``libvirt-N-storage`` and ``libvirt-N-format``.  Source: BlockdevOptions in QEMU's
qapi/block-core.json; qemu_block.c and qemuDomainPrepareStorageSourceBlockdev of libvirt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, pairwise

from vmherd.conf.domain import Domain
from vmherd.conf.domain.disk import (
    DetectZeroes,
    Disk,
    DiskBus,
    DiskCache,
    DiskDevice,
    DiskDiscard,
    DiskDriver,
    DiskIo,
    MetadataCache,
)
from vmherd.conf.domain.storage import (
    Auth,
    DiskSource,
    Encryption,
    EncryptionEngine,
    NetProtocol,
    Slice,
    StorageFormat,
    StorageType,
)
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command import protocols, secrets
from vmherd.hypervisors.qemu.command.device import NULL, Properties, host_pci, option
from vmherd.hypervisors.qemu.command.launch import Launch

#: (bypass the host's cache, never flush, the guest's own write cache) of each cache mode.
CACHES = {
    DiskCache.NONE: (True, False, True),
    DiskCache.WRITEBACK: (False, False, True),
    DiskCache.WRITETHROUGH: (False, False, False),
    DiskCache.DIRECTSYNC: (True, False, False),
    DiskCache.UNSAFE: (False, True, True),
}

#: Formats of libvirt whose block driver in QEMU has another name.  FAT is made by the storage node.
_DRIVERS = {
    StorageFormat.FAT: "raw",
    StorageFormat.VHD: "vpc",
    StorageFormat.PLOOP: "parallels",
}
#: Formats that can have another image below.
_LAYERED = (StorageFormat.QCOW, StorageFormat.QCOW2, StorageFormat.QED, StorageFormat.VMDK)

#: The helper for persistent reservations that a guest's disks share.
MANAGED_HELPER = "pr-helper0"


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image of a chain, with all that its nodes must know.

    ``node`` is the first part of their names.  ``below`` is the node of the image below it, ``last`` says that there
    is none; without both QEMU looks itself.  ``fdset`` numbers the descriptors that are passed instead of a path.
    """

    node: str
    type: StorageType
    source: DiskSource
    format: StorageFormat = StorageFormat.RAW
    readonly: bool = False
    driver: DiskDriver = field(default_factory=DiskDriver)
    auth: Auth | None = None
    encryption: Encryption | None = None
    metadata_cache: MetadataCache | None = None
    detect_zeroes: DetectZeroes | None = None
    device: DiskDevice = DiskDevice.DISK
    below: str | None = None
    last: bool = False
    fdset: int | None = None

    @property
    def storage(self) -> str:
        return f"{self.node}-storage"

    @property
    def top(self) -> str:
        """The node that devices use."""
        return f"{self.node}-format"

    @property
    def slice(self) -> Slice | None:
        """The part of the storage that is the image."""
        return next((each for each in self.source.slices if each.type == "storage"), None)

    @property
    def keys(self) -> tuple[str, ...]:
        """The objects with the keys of the encryption."""
        secrets = self.encryption.secrets if self.encryption else []
        return tuple(f"{self.top}-encryption-secret{number}" for number in range(len(secrets)))

    def keys_for(self, engine: EncryptionEngine) -> tuple[str, ...]:
        """Those that ``engine`` decrypts with; none if another one does."""
        used = (self.encryption.engine or EncryptionEngine.QEMU) if self.encryption else None
        return self.keys if used is engine else ()

    @property
    def is_luks(self) -> bool:
        """Whether QEMU decrypts the storage, and what comes out is the disk."""
        return self.format is StorageFormat.RAW and bool(self.keys_for(EncryptionEngine.QEMU))

    @property
    def objects(self) -> protocols.Objects:
        """What its protocol refers to."""
        if self.type is not StorageType.NETWORK:
            return protocols.Objects()
        source, auth = self.source, self.auth
        by_password = auth is not None and auth.secret is not None and source.protocol is not NetProtocol.SSH
        return protocols.Objects(
            user=auth.username if auth else "",
            password=f"{self.storage}-auth-secret0" if by_password else "",
            cookies=f"{self.storage}-httpcookie-secret0" if source.cookies else "",
            tls=f"obj{self.storage}_tls0" if source.tls and source.protocol is NetProtocol.NBD else "",
            keys=self.keys_for(EncryptionEngine.LIBRBD),
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The images of all disks, by the disk's place and from the top down, and the next free numbers."""

    chains: tuple[list[Image], ...]
    next_node: int
    next_fdset: int


def plan(domain: Domain, launch: Launch) -> Plan:
    """Number the images of a guest as libvirt does: from the last disk on, in each from the top down.

    An empty drive takes a number as well, a disk on the SD bus none.
    """
    chains: list[list[Image]] = []
    nodes, fdsets = count(launch.first_node), count(launch.first_fdset)
    for disk in reversed(domain.devices.disks):
        images = [] if disk.target.bus is DiskBus.SD else [_top(disk), *_backing(disk)]
        images = [_resolved(replace(each, node=f"libvirt-{next(nodes)}"), launch) for each in images]
        images = [replace(each, fdset=next(fdsets)) if each.source.fdgroup else each for each in images]
        chains.append(_linked(images, disk) if images and not disk.is_empty else [])
    return Plan(chains=tuple(reversed(chains)), next_node=next(nodes), next_fdset=next(fdsets))


def tell_numbers(domain: Domain, launch: Launch) -> None:
    """Note in the document of a guest that runs which number each of its images has, as block jobs know them."""
    for disk, images in zip(domain.devices.disks, plan(domain, launch).chains, strict=True):
        numbers = [int(image.node.removeprefix("libvirt-")) for image in images]
        if numbers and disk.source:
            disk.source.index = numbers[0]
        store = disk.backing_store
        for number in numbers[1:]:
            assert store is not None  # the plan follows it
            store.index, store = number, store.backing_store


def _top(disk: Disk) -> Image:
    driver, source = disk.driver or DiskDriver(), disk.source or DiskSource()
    return Image(
        node="",
        type=disk.type,
        source=source,
        format=driver.type or StorageFormat.RAW,
        readonly=disk.readonly,
        driver=driver,
        auth=disk.auth or source.auth,
        encryption=disk.encryption or source.encryption,
        metadata_cache=driver.metadata_cache,
        detect_zeroes=_zeroes(driver),
        device=disk.device,
    )


def _backing(disk: Disk) -> Iterator[Image]:
    """The images below the top: read only, but cached as it is."""
    store = disk.backing_store
    while store is not None and store.source is not None:
        form = store.format
        yield Image(
            node="",
            type=store.type or StorageType.FILE,
            source=store.source,
            format=form.type if form else StorageFormat.RAW,
            readonly=True,
            driver=disk.driver or DiskDriver(),
            auth=store.source.auth,
            encryption=store.source.encryption,
            metadata_cache=form.metadata_cache if form else None,
            device=disk.device,
        )
        store = store.backing_store


def _zeroes(driver: DiskDriver) -> DetectZeroes | None:
    """Zeroes that may not be discarded are at least written as such."""
    if driver.detect_zeroes is DetectZeroes.UNMAP and driver.discard is not DiskDiscard.UNMAP:
        return DetectZeroes.ON
    return driver.detect_zeroes


def _resolved(image: Image, launch: Launch) -> Image:
    """A volume as what it is on this host; the pool's credentials count then, not the disk's."""
    if image.type is not StorageType.VOLUME or not image.source.volume:
        return image
    type_, source = launch.volume(image.source)
    return replace(image, type=type_, source=source, auth=source.auth)


def _linked(images: list[Image], disk: Disk) -> list[Image]:
    linked = [replace(upper, below=lower.top) for upper, lower in pairwise(images)]
    return [*linked, replace(images[-1], last=_is_closed(disk))]


def _is_closed(disk: Disk) -> bool:
    """Whether the document says where the chain ends."""
    store = disk.backing_store
    while store is not None and store.source is not None:
        store = store.backing_store
    return store is not None


def arguments(image: Image, launch: Launch) -> list[str]:
    """The nodes of one image, after the objects they need."""
    args = _objects(image, launch)
    return args + [word for node in nodes(image, launch) for word in option("-blockdev", node)]


def nodes(image: Image, launch: Launch) -> list[Properties]:
    """The nodes of one image, the lowest first."""
    part = [_slice_node(image)] if _has_slice_node(image) else []
    return [_storage_node(image, launch), *part, _format_node(image)]


def copy_on_read(image: Image, disk: Disk) -> tuple[str, list[str]]:
    """The node over ``image`` that keeps what is read from below, and its name."""
    name = f"libvirt-CoR-{disk.target.dev}"
    node: Properties = {"driver": "copy-on-read", "node-name": name, "file": image.top, "discard": "unmap"}
    return name, option("-blockdev", node)


def helper(name: str, path: str) -> list[str]:
    """The helper for persistent reservations that listens at ``path``."""
    return option("-object", {"qom-type": "pr-manager-helper", "id": name, "path": path})


def _objects(image: Image, launch: Launch) -> list[str]:
    """Passed descriptors, the helper for reservations, passwords, keys and certificates."""
    args: list[str] = []
    for place, fd in enumerate(_passed(image, launch)):
        args += ["-add-fd", f"set={image.fdset},fd={fd},opaque={image.storage}{place}"]
    reserved = image.source.reservations
    if reserved and not reserved.managed and reserved.source:
        args += helper(_helper(image), reserved.source.path or "")
    found = image.objects
    if found.password and image.auth and image.auth.secret:
        args += launch.vault.looked_up(found.password, image.auth.secret)
    for name, secret in zip(image.keys, image.encryption.secrets if image.encryption else (), strict=True):
        args += launch.vault.looked_up(name, secret)
    if found.cookies:
        text = "; ".join(f"{cookie.name}={cookie.value}" for cookie in image.source.cookies)
        args += launch.vault.secret(found.cookies, text.encode())
    return args + (_tls(found.tls, launch) if found.tls else [])


def _passed(image: Image, launch: Launch) -> Sequence[int]:
    group = image.source.fdgroup
    if not group:
        return ()
    if group not in launch.passed:
        hint = "remove fdgroup, so that QEMU opens the file"
        place = "domain/devices/disk/source/@fdgroup"
        raise Unsupported(f"no descriptors were passed as {group!r}", place=place, hint=hint)
    return launch.passed[group]


def _helper(image: Image) -> str:
    reserved = image.source.reservations
    return MANAGED_HELPER if reserved and reserved.managed else f"pr-helper-{image.storage}"


def _tls(name: str, launch: Launch) -> list[str]:
    folder = launch.nbd_tls
    if folder is None:
        hint = "remove tls='yes', or connect through ssh"
        raise Unsupported("this host has no certificates for NBD", place="domain/devices/disk/source/@tls", hint=hint)
    if folder.secret is None:
        return secrets.tls_credentials(name, folder.path, server=False)
    password = f"{name}-secret0"
    args = launch.vault.looked_up(password, folder.secret)
    return args + secrets.tls_credentials(name, folder.path, server=False, password=password)


def _storage_node(image: Image, launch: Launch) -> Properties:
    """QEMU opens it for writing only when it has to; it may always discard, the format node decides."""
    # QEMU reads first and opens anew to write, for which a set has another descriptor; a single one is told at once.
    single = image.fdset is not None and len(_passed(image, launch)) == 1
    return {
        **_place(image, launch),
        "node-name": image.storage,
        "cache": _cache(image),
        "read-only": image.readonly if single else None,
        "auto-read-only": None if single else True,
        "discard": "unmap",
    }


def _place(image: Image, launch: Launch) -> Properties:
    source = image.source
    match image.type:
        case StorageType.FILE:
            return {"driver": "file", **_file(image, source.file)}
        case StorageType.BLOCK:
            drive = image.device is DiskDevice.CDROM and source.dev is not None and launch.is_cdrom(source.dev)
            return {"driver": "host_cdrom" if drive else "host_device", **_file(image, source.dev)}
        case StorageType.DIR:
            floppy = image.device is DiskDevice.FLOPPY
            return {"driver": "vvfat", "dir": source.dir, "floppy": floppy, "rw": not image.readonly}
        case StorageType.NETWORK:
            return protocols.properties(source, image.objects, launch)
        case StorageType.NVME if source.address is not None:
            return {"driver": "nvme", "device": host_pci(source.address), "namespace": source.namespace}
    raise Unsupported(f"QEMU has no images of type {str(image.type)!r}", place="domain/devices/disk/@type")


def _file(image: Image, path: str | None) -> Properties:
    reserved = image.source.reservations
    return {
        "filename": path if image.fdset is None else f"/dev/fdset/{image.fdset}",
        "aio": None if image.driver.io in (None, DiskIo.DEFAULT) else image.driver.io,
        "pr-manager": _helper(image) if reserved else None,
    }


def _cache(image: Image) -> Properties | None:
    mode = CACHES.get(image.driver.cache) if image.driver.cache else None
    return None if mode is None else {"direct": mode[0], "no-flush": mode[1]}


def _has_slice_node(image: Image) -> bool:
    """Plain raw data needs no node of its own for a part of its storage."""
    return image.slice is not None and (image.format is not StorageFormat.RAW or image.is_luks)


def _slice_node(image: Image) -> Properties:
    """The part of the storage in which the image is."""
    part = image.slice
    return {
        "driver": "raw",
        "node-name": f"{image.node}-slice-sto",
        "offset": part.offset if part else None,
        "size": part.size if part else None,
        "file": image.storage,
        "auto-read-only": True,
        "discard": "unmap",
    }


def _format_node(image: Image) -> Properties:
    discard = image.driver.discard
    node: Properties = {
        "node-name": image.top,
        "read-only": image.readonly,
        "cache": _cache(image),
        "discard": None if discard is DiskDiscard.DEFAULT else discard,
        "detect-zeroes": image.detect_zeroes,
        **_format(image),
        "file": f"{image.node}-slice-sto" if _has_slice_node(image) else image.storage,
    }
    # None stands for what is left out; that there is no image below has to be told.
    bottom = image.last and image.format in _LAYERED
    return {**node, "backing": image.below or (NULL if bottom else None)}


def _format(image: Image) -> Properties:
    keys = image.keys_for(EncryptionEngine.QEMU)
    if image.is_luks:
        return {"driver": "luks", "key-secret": keys[0]}
    part = image.slice if image.format is StorageFormat.RAW else None
    cache = image.metadata_cache
    return {
        "driver": _DRIVERS.get(image.format, str(image.format)),
        "encrypt": {"format": "luks", "key-secret": keys[0]} if keys else None,
        "cache-size": cache.max_size if cache else None,
        "offset": part.offset if part else None,
        "size": part.size if part else None,
    }
