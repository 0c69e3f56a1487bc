"""What a start decides that the document does not say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from vmherd.conf.domain.storage import DiskSource, Secret, StorageType
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command.secrets import Vault
from vmherd.hypervisors.qemu.hostmemory import HostMemory


def no_volumes(source: DiskSource) -> tuple[StorageType, DiskSource]:
    """For hosts without storage pools.  Raises Unsupported."""
    hint = "name the image itself: <disk type='file'><source file='...'/>"
    raise Unsupported(f"there is no storage pool {source.pool!r}: this host has none yet", hint=hint)


@dataclass(frozen=True, kw_only=True)
class TlsFolder:
    """Where the certificates for one purpose are, and the secret that opens their private key."""

    path: str
    secret: Secret | None = None


@dataclass(frozen=True, kw_only=True)
class Launch:
    """``listen`` opens a listening UNIX socket for a character device and returns its descriptor.

    ``folder`` is the guest's own run folder, ``monitor_fd`` a listening socket; ``reach`` names a socket there so that
    QEMU can connect to it, however deep the folder is.  ``sandbox`` confines QEMU's system calls.  ``memory`` is what
    the host has of it.  ``now`` is the time of the start, in the host's time zone.  ``incoming`` is the URI that the
    state of a guest comes from which runs already, or "".

    Of storage: ``vault`` finds and encrypts secrets, ``volume`` says what a volume of a pool is on this host,
    ``is_cdrom`` whether a device of the host is a CD-ROM drive, ``user_id`` and ``group_id`` which number a name has
    (for NFS), ``nbd_tls`` where certificates for NBD are.  ``passed`` are descriptors of images by their group.
    """

    folder: Path
    monitor_fd: int
    listen: Callable[[Path], int]
    memory: HostMemory
    now: datetime
    incoming: str = ""
    reach: Callable[[Path], str] = str
    sandbox: bool = True
    vault: Vault = field(default_factory=Vault)
    volume: Callable[[DiskSource], tuple[StorageType, DiskSource]] = no_volumes
    is_cdrom: Callable[[str], bool] = lambda _: False
    user_id: Callable[[str], int] = int
    group_id: Callable[[str], int] = int
    nbd_tls: TlsFolder | None = None
    passed: Mapping[str, Sequence[int]] = field(default_factory=dict)
