"""Pools that are a cluster of Virtuozzo Storage, mounted by its own program.

Source: vstorage-mount(1), as virStorageBackendVzPoolStart of libvirt calls it
"""

from __future__ import annotations

import grp
import pwd

from vmherd.conf.storage import Pool
from vmherd.errors import InvalidArgument
from vmherd.resources.storage import folder
from vmherd.resources.storage.backends.mounted import MountedBackend
from vmherd.util.mounts import Mount

_MODE = 0o700


class VstorageBackend(MountedBackend):
    """vstorage-mount."""

    package = "vstorage-client"

    def owns(self, pool: Pool, mount: Mount) -> bool:
        return mount.type == "fuse.vstorage" and mount.source.removeprefix("vstorage://") == pool.source.name

    def command(self, pool: Pool) -> list[str]:
        wanted = pool.target.permissions if pool.target else None
        mode = wanted.mode if wanted and wanted.mode is not None else _MODE
        owner, group = (wanted.owner, wanted.group) if wanted else (-1, -1)
        names = ["-g", _group(group), "-u", _user(owner)]
        return ["vstorage-mount", "-c", pool.source.name or "", str(folder.path_of(pool)), "-m", f"0{mode:o}", *names]


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(max(number, 0)).pw_name
    except KeyError:
        raise InvalidArgument(f"there is no user {number}", hint="correct <owner> of the pool") from None


def _group(number: int) -> str:
    try:
        return grp.getgrgid(max(number, 0)).gr_name
    except KeyError:
        raise InvalidArgument(f"there is no group {number}", hint="correct <group> of the pool") from None
