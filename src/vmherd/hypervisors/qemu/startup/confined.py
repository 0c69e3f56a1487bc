"""A start's part in keeping a guest apart: who its QEMU runs as, what it may reach, what it may not do."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.hostdev import MdevSource, PciSource
from vmherd.conf.domain.storage import StorageType
from vmherd.hypervisors.qemu import confinement, hostdevs, namespace, owners, uses
from vmherd.hypervisors.qemu.command import Launch, backing
from vmherd.hypervisors.qemu.config import Config
from vmherd.hypervisors.qemu.folders import PIDFILE, Folders
from vmherd.hypervisors.qemu.mandatory import Mandatory
from vmherd.hypervisors.qemu.tuning import devices
from vmherd.security import confine
from vmherd.security.identity import Identity
from vmherd.util.cgroup.group import Group
from vmherd.util.files import on_host

#: Bytes that VFIO may pin beyond the guest's memory.  Source: qemuDomainGetMemLockLimitBytes of libvirt
_FOR_DEVICES = 1 << 30
#: Sockets that are QEMU's to listen on, or ours to talk to it.
_CONTROL = ("monitor.sock", "watch.sock", "query.sock")


class Confined:
    """One guest that is being started.  Raises HostError, Unsupported for what its document wants and is not had."""

    def __init__(self, domain: Domain, config: Config, folders: Folders, guest: Path) -> None:
        self._domain = domain
        self._config = config
        self._folders = folders
        self._guest = guest
        self._decided = confinement.settle(domain, config, folders)
        self._mandatory = Mandatory(domain, guest)
        self._private: namespace.Private | None = None

    @property
    def user(self) -> Identity | None:
        """Who QEMU runs as; None for who we are."""
        who = self._decided.identity
        return None if who.uid == os.geteuid() else who

    def folder(self) -> Path:
        """Where QEMU may make sockets of its own: the guest's folder has notes that we believe, so it is not that."""
        who = self._decided.identity
        if self.user is None:
            return self._guest
        folder = self._guest / "own"
        folder.mkdir(exist_ok=True, mode=0o700)
        confinement.hand_over([folder], who)
        return folder

    async def prepare(self, launch: Launch, group: Group | None) -> None:
        """Let the guest have its files, now that all of them are there, and its control group no other devices.

        Raises HostError.
        """
        used = uses.of(self._domain, launch)
        private = self._folders.privileged and namespace.wanted(self._config)
        who = self._decided.identity
        self._open_our_own(launch, who)
        confinement.require_way(self._domain, [*used, *self._own_folder()], who)
        assert self._domain.uuid is not None  # the driver gives one to each document it reads
        owners.take(self._folders, self._domain.uuid, used, self._decided, self._mandatory, private=private)
        await self._mandatory.load([*used, uses.Use(str(self._guest), uses.Kind.FOLDER)])
        if private:
            everybody = self._config.cgroup_device_acl
            self._private = namespace.Private(self._guest, everybody, used, self._decided.node_owner)
        devices.start(group, self._guest, self._config.cgroup_device_acl, used)

    def _own_folder(self) -> list[uses.Use]:
        return [uses.Use(str(self._guest / PIDFILE), uses.Kind.DEVICE)]

    def _open_our_own(self, launch: Launch, who: Identity) -> None:
        """What we made for the guest it may open: keys, the sockets of its helpers, files for its memory."""
        confinement.make_way(self._folders, self._guest, who)
        pidfile = self._guest / PIDFILE
        pidfile.touch(mode=0o600)
        sockets = [path for path in self._guest.glob("*.sock") if path.name not in _CONTROL]
        keys = [self._guest / name for name in ("master-key.aes", "dh_cert.base64", "session.base64")]
        memory = backing.folders(self._domain, launch.memory)
        confinement.hand_over([pidfile, *keys, *sockets, *memory], who)
        for folder in memory:
            confinement.make_way(self._folders, folder, who)

    def before(self) -> None:
        """In the thread that QEMU is started from: change to the guest's namespace, and give up rights."""
        if self._private:
            self._private.build()
        self._mandatory.before()
        if self._decided.drops:
            confine.drop_rights(forever=not self._mandatory.transitions)

    def limit(self, pid: int) -> None:
        """Set QEMU's limits, before it has taken anything.  Raises HostError."""
        limits = {
            resource.RLIMIT_NPROC: self._config.max_processes,
            resource.RLIMIT_NOFILE: self._config.max_files,
            resource.RLIMIT_CORE: self._config.max_core,
            resource.RLIMIT_MEMLOCK: locked_memory(self._domain) if self._decided.drops else 0,
        }
        with on_host("set limits of the guest's process"):
            for kind, value in limits.items():
                if value:
                    raise_limit(pid, kind, value)


def raise_limit(pid: int, kind: int, value: int) -> None:
    """Set a limit of a process; memory that may be locked is never made less.  Raises OSError."""
    now = resource.prlimit(pid, kind)
    if kind == resource.RLIMIT_MEMLOCK and (now[0] == resource.RLIM_INFINITY or 0 < value <= now[0]):
        return
    resource.prlimit(pid, kind, (value, value))


def locked_memory(domain: Domain) -> int:
    """Bytes of memory that QEMU may lock; 0 where it needs none, RLIM_INFINITY where nobody knows."""
    locked = domain.memory_backing is not None and domain.memory_backing.locked
    if not locked and not _has_devices(domain):
        return 0
    if domain.memtune and domain.memtune.hard_limit:
        return domain.memtune.hard_limit
    if locked:
        return resource.RLIM_INFINITY
    largest = domain.max_memory.size if domain.max_memory else domain.memory.size
    return largest + _FOR_DEVICES


def _has_devices(domain: Domain) -> bool:
    """Whether a device of the host reads and writes the guest's memory itself."""
    handed = any(isinstance(each.source, PciSource | MdevSource) for each in hostdevs.of(domain))
    return handed or any(disk.type is StorageType.NVME for disk in domain.devices.disks)
