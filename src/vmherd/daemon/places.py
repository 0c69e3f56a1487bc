"""Where a daemon listens, and where its clients look for it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from vmherd.util import paths

#: libvirt's names, so that its clients take them as they are.
READ_WRITE = "libvirt-sock"
READ_ONLY = "libvirt-sock-ro"
ADMIN = "libvirt-admin-sock"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The mode of a daemon: ``folder`` has its sockets, ``libvirt`` is where libvirt's own would be."""

    system: bool
    uri: str
    folder: Path
    libvirt: Path

    @property
    def lock(self) -> Path:
        return self.folder / "daemon.lock"

    @property
    def socket(self) -> Path:
        return self.folder / READ_WRITE


def system_place() -> Place:
    run = Path("/run") if Path("/run").is_dir() else Path("/var/run")  # the BSDs have the latter
    return Place(system=True, uri="qemu:///system", folder=run / "vmherd", libvirt=run / "libvirt")


def session_place() -> Place:
    """This user's.  Raises HostError if their runtime folder is not a private one."""
    runtime = paths.runtime_home()
    return Place(system=False, uri="qemu:///session", folder=runtime / "vmherd", libvirt=runtime / "libvirt")


def own_place() -> Place:
    """The system's for root, the session's for everyone else."""
    return system_place() if os.geteuid() == 0 else session_place()
