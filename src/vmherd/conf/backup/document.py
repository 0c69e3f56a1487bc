"""<domainbackup>: what is copied, how and where to.

Source: https://libvirt.org/formatbackup.html, and src/conf/backup_conf.c
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.seclabel import DeviceSeclabel
from vmherd.conf.domain.storage import Encryption, StorageFormat, StorageType, Transport
from vmherd.conf.moments import Listing, Origin, refuse_empty_list, refuse_unknown, spell_out
from vmherd.conf.privatedata import JobData, SourceData
from vmherd.util import xmlmodel
from vmherd.util.xmlmodel import Element, UInt, YesNo, attr, child, children, leaf

ROOT = "domainbackup"


class BackupMode(StrEnum):
    """Who copies: the hypervisor into a file, or a client over NBD while the guest writes to scratch space."""

    PUSH = "push"
    PULL = "pull"


class Extent(StrEnum):
    """How much of a disk is copied."""

    FULL = "full"
    INCREMENTAL = "incremental"  # what changed since a checkpoint


class JobState(StrEnum):
    """How far the copy of one disk is."""

    NONE = ""
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


class BackupServer(Element, tag="server"):
    """Where the client finds the NBD server."""

    transport: Transport = attr(default=Transport.TCP, always=True)
    tls: YesNo | None = attr()
    name: str | None = attr()
    port: UInt | None = attr()
    socket: str | None = attr()


class BackupDriver(Element, tag="driver"):
    """The format of the copy; scratch space is qcow2."""

    type: StorageFormat = attr()


class BackupImage(Element):
    """The file or device that is written."""

    file: str | None = attr()
    dev: str | None = attr()
    index: UInt | None = attr()  # counts the images of one guest, while the job runs
    seclabels: list[DeviceSeclabel] = children()
    encryption: Encryption | None = child()
    private_data: SourceData | None = child()


class BackupDisk(Element, tag="disk"):
    """One disk, by target.  ``target`` is for push, ``scratch`` and the names of the export are for pull."""

    name: str = attr()
    backup: YesNo = attr(default=True, always=True)
    state: JobState | None = attr()
    type: StorageType | None = attr()
    backupmode: Extent | None = attr()
    incremental: str | None = attr()  # the checkpoint
    exportname: str | None = attr()
    exportbitmap: str | None = attr()
    driver: BackupDriver | None = child()
    target: BackupImage | None = child("target")
    scratch: BackupImage | None = child("scratch")

    @property
    def image(self) -> BackupImage | None:
        """What is written, in either mode."""
        return self.target or self.scratch


class Backup(Element, tag=ROOT):
    mode: BackupMode = attr(default=BackupMode.PUSH, always=True)
    incremental: str | None = leaf()  # the checkpoint, for disks that name none
    server: BackupServer | None = child()
    disks: list[BackupDisk] = children(within="disks")
    private_data: JobData | None = child()


class _Listing(Listing, tag=ROOT):
    pass


def parse_backup(text: str | bytes, origin: Origin = Origin.REQUEST) -> Backup:
    """The backup ``text`` describes, nothing added.

    Raises XMLSyntaxError when it is not well formed, DocumentError with place and line when it is no backup, or when
    a request holds anything unknown.
    """
    backup = xmlmodel.parse(Backup, text)
    if origin is not Origin.FILE:
        refuse_unknown(Backup, text)
        refuse_empty_list(_Listing, text)
    return backup


def render(backup: Backup, *, internal: bool = False) -> str:
    """``backup`` as libvirt writes it; ``internal`` is for the daemon's own files."""
    disks = [_written(disk, internal=internal) for disk in backup.disks]
    return xmlmodel.render(backup.replace(disks=disks, private_data=backup.private_data if internal else None))


def _written(disk: BackupDisk, *, internal: bool) -> BackupDisk:
    """Of a disk that is left out, nothing but that."""
    if not disk.backup:
        return BackupDisk(name=disk.name, backup=False)
    copy = disk.copy()
    if not internal:
        copy.state = None
    if copy.image is not None:
        spell_out(copy.image.seclabels)
        if not internal:
            copy.image.private_data = None
    return copy
