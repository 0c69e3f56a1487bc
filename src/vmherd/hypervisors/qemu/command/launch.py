"""What a start decides that the document does not say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Protocol

from vmherd.conf.domain.storage import DiskSource, Secret, StorageType
from vmherd.conf.domain.video import Video
from vmherd.errors import HostError, Unsupported
from vmherd.hypervisors.qemu.command.hostside import HostSide
from vmherd.hypervisors.qemu.command.secrets import Vault
from vmherd.hypervisors.qemu.config import DEFAULTS, Config
from vmherd.hypervisors.qemu.host.hostmemory import HostMemory
from vmherd.security.identity import Identity


def no_volumes(source: DiskSource) -> tuple[StorageType, DiskSource]:
    """Where nothing names a volume, and on made-up hosts without pools.  Raises Unsupported."""
    hint = "name the image itself: <disk type='file'><source file='...'/>"
    raise Unsupported(f"the volume {source.volume!r} was not looked up in a pool", hint=hint)


def numeric_id(name: str) -> int:
    """The number of a user or group told as ``NUMBER`` or ``+NUMBER``.  Raises HostError for a name."""
    if name.removeprefix("+").isdecimal():
        return int(name)
    raise HostError(f"there is no user or group {name!r}", hint="write the number instead: +1000")


@dataclass(frozen=True, kw_only=True)
class TlsFolder:
    """Where the certificates for one purpose are, and the secret that opens their private key."""

    path: str
    secret: Secret | None = None


class Opener(Protocol):
    """Opens what QEMU inherits; each method returns a descriptor of it."""

    def listen(self, path: Path) -> int:
        """A listening UNIX socket."""

    def output(self, path: Path, *, append: bool) -> int:
        """A file that takes what a character device writes."""

    def log(self, path: Path, *, append: bool) -> int:
        """A file that takes a copy of it."""

    def tpm(self, path: Path) -> int:
        """A TPM of the host."""

    def tpm_cancel(self, path: Path) -> int:
        """The file that ends a command of that TPM which hangs."""

    def vsock(self, cid: int | None) -> tuple[int, int]:
        """The host's end of a vsock, and its context id: ``cid``, or a free one."""

    def gpu(self, video: Video) -> int:
        """The connection to a process of its own that renders for a graphics card."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """``folder`` is the guest's own run folder, ``monitor_fd`` a listening socket; ``reach`` names a socket so that
    QEMU can connect to it, however deep its folder is.  ``sandbox`` confines QEMU's system calls.  ``memory`` is what
    the host has of it.  ``now`` is the time of the start, in the host's time zone.  ``incoming`` is the URI that the
    state of a guest comes from which runs already, or "".

    ``host`` is the other end of network cards and host devices, ``fdsets`` numbers the sets of descriptors that QEMU
    opens as if they were files.  ``first_node`` and ``first_fdset`` are the lowest numbers that images may have.

    Of storage: ``vault`` finds and encrypts secrets, ``volume`` says what a volume of a pool is on this host,
    ``is_cdrom`` whether a device of the host is a CD-ROM drive, ``user_id`` and ``group_id`` which number a name has
    (for NFS), ``nbd_tls`` where certificates for NBD are.  ``passed`` are descriptors of images by their group.

    ``config`` is what the administrator set, ``identity`` who QEMU runs as if not as we do.  ``tpm_socket`` is where
    the guest's own swtpm listens.
    """

    folder: Path
    monitor_fd: int
    opener: Opener
    memory: HostMemory
    host: HostSide
    now: datetime
    incoming: str = ""
    reach: Callable[[Path], str] = str
    sandbox: bool = True
    vault: Vault = field(default_factory=Vault)
    volume: Callable[[DiskSource], tuple[StorageType, DiskSource]] = no_volumes
    is_cdrom: Callable[[str], bool] = lambda _: False
    user_id: Callable[[str], int] = numeric_id
    group_id: Callable[[str], int] = numeric_id
    nbd_tls: TlsFolder | None = None
    passed: Mapping[str, Sequence[int]] = field(default_factory=dict)
    config: Config = DEFAULTS
    tpm_socket: Path | None = None
    fdsets: Iterator[int] = field(default_factory=count)
    first_node: int = 1
    first_fdset: int = 0
    identity: Identity | None = None
