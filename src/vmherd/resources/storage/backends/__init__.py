"""The types of pools there are: a module for each, found by its name and imported when first used.

base                        what every type can do, or says that it cannot
dir                         a folder
mounted: fs, netfs, vstorage    a folder where something is mounted first; gluster too, out of sight
block: logical, disk, zfs   devices that are made and removed
scsi, iscsi, mpath          devices that are there
iscsi_direct, rbd           what no path of this host leads to
"""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import cast

from vmherd.conf.storage import PoolType
from vmherd.errors import Unsupported
from vmherd.resources.storage.backends.base import Backend, Surroundings

__all__ = ["Backend", "Surroundings", "backend_of", "offered"]

#: The class of each type, in the module of that name.
_CLASSES = {
    PoolType.DIR: "DirBackend",
    PoolType.FS: "FsBackend",
    PoolType.NETFS: "NetfsBackend",
    PoolType.LOGICAL: "LogicalBackend",
    PoolType.DISK: "DiskBackend",
    PoolType.ISCSI: "IscsiBackend",
    PoolType.ISCSI_DIRECT: "IscsiDirectBackend",
    PoolType.SCSI: "ScsiBackend",
    PoolType.MPATH: "MpathBackend",
    PoolType.RBD: "RbdBackend",
    PoolType.GLUSTER: "GlusterBackend",
    PoolType.ZFS: "ZfsBackend",
    PoolType.VSTORAGE: "VstorageBackend",
}


def offered() -> Collection[PoolType]:
    """The types that there are."""
    return _CLASSES.keys()


def backend_of(kind: PoolType, around: Surroundings) -> Backend:
    """What pools of a type can do.  Raises Unsupported for a type that this host does not offer."""
    if kind not in _CLASSES:
        raise Unsupported(f"missing backend for pool type {str(kind)!r}", place="pool/@type", hint=_HINT)
    module = import_module(f"{__name__}.{kind.replace('-', '_')}")
    return cast("Backend", getattr(module, _CLASSES[kind])(kind, around))


_HINT = f"it may be {', '.join(_CLASSES)}"
