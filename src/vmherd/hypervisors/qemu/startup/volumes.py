"""Volumes of storage pools, as the image on this host that they are.

Source: virDomainDiskTranslateSourcePool of libvirt
"""

from __future__ import annotations

from typing import Literal

import msgspec

from vmherd.conf.domain.storage import Auth, DiskSource, NetProtocol, StorageHost, StorageType, VolumeMode
from vmherd.errors import HostError, Unsupported

_PLACE = "domain/devices/disk/source"
_ISCSI_PORT = "3260"

#: Pools whose volumes are files, folders and devices of this host.
_LOCAL = ("dir", "fs", "netfs", "logical", "disk", "scsi", "zfs", "vstorage")
_ISCSI = ("iscsi", "iscsi-direct")
_TYPES = {"file": StorageType.FILE, "dir": StorageType.DIR, "block": StorageType.BLOCK}


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """What a guest needs to know of a pool: its type, its servers, the iSCSI target, and how to log in there."""

    name: str
    type: str
    active: bool = True
    hosts: tuple[StorageHost, ...] = ()
    target: str = ""
    auth: Auth | None = None


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A volume and where the pool put it."""

    name: str
    type: Literal["file", "block", "dir", "network", "netdir"]
    path: str


def resolve(source: DiskSource, pool: Pool, volume: Volume) -> tuple[StorageType, DiskSource]:
    """The image that ``source`` names.  Raises HostError for a pool that is not active, Unsupported for a kind of
    volume that QEMU cannot use, or a source that does not fit its pool.
    """
    if not pool.active:
        raise HostError(f"the storage pool {pool.name!r} is not active", hint="start it first")
    if source.mode is not None and pool.type not in _ISCSI:
        hint = "leave mode out"
        raise Unsupported(f"{pool.name!r} is no iSCSI pool", place=f"{_PLACE}/@mode", hint=hint)
    if source.startup_policy is not None and volume.type != "file":
        text = f"the volume {volume.name!r} is no file, so nothing can be decided about a missing one"
        raise Unsupported(text, place=f"{_PLACE}/@startupPolicy", hint="leave startupPolicy out")
    if pool.type in _ISCSI and source.mode is VolumeMode.DIRECT:
        return StorageType.NETWORK, _moved(source, _target(pool, volume))
    if pool.type in _ISCSI:
        return StorageType.BLOCK, _moved(source, DiskSource(dev=volume.path))
    if pool.type not in _LOCAL or volume.type not in _TYPES:
        text = f"disks cannot be volumes of type {volume.type!r} in a pool of type {pool.type!r}"
        raise Unsupported(text, place=f"{_PLACE}/@volume", hint="use <disk type='network'> with the server's name")
    places = {
        "file": DiskSource(file=volume.path),
        "dir": DiskSource(dir=volume.path),
        "block": DiskSource(dev=volume.path),
    }
    return _TYPES[volume.type], _moved(source, places[volume.type])


def _target(pool: Pool, volume: Volume) -> DiskSource:
    """A unit of the pool's iSCSI target, which QEMU reaches itself; its number ends the volume's name."""
    words = volume.name.split(":")
    if len(words) != 4:
        text = f"{volume.name!r} is no iSCSI volume: they are named unit:HOST:BUS:LUN"
        raise Unsupported(text, place=f"{_PLACE}/@volume", hint="correct the name, or use mode='host'")
    if len(pool.hosts) != 1:
        raise Unsupported(f"the iSCSI pool {pool.name!r} has {len(pool.hosts)} hosts, not one", place=_PLACE)
    host = StorageHost(name=pool.hosts[0].name, port=pool.hosts[0].port or _ISCSI_PORT)
    name = f"{pool.target}/{words[3]}"
    return DiskSource(protocol=NetProtocol.ISCSI, name=name, hosts=[host], auth=pool.auth)


def _moved(source: DiskSource, place: DiskSource) -> DiskSource:
    """``place`` with what the document says about the image, wherever it is."""
    for name in ("slices", "seclabels", "encryption", "reservations", "startup_policy", "initiator"):
        setattr(place, name, getattr(source, name))
    return place
