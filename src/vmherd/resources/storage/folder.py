"""Pools that are a folder: each file in it is a volume.

What is not finished has a hidden name, and leftovers of a process that was killed are removed when the pool starts.
These functions block; they are called in a thread.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from vmherd.conf.domain.storage import Encryption, EncryptionFormat
from vmherd.conf.storage import Pool, Volume, VolumeType
from vmherd.conf.storage.permissions import Permissions
from vmherd.conf.storage.volume import BackingStore, Timestamps, VolumeFeatures, VolumeFormat, VolumeTarget
from vmherd.errors import InvalidArgument, InvalidState, Unsupported, VolumeExists
from vmherd.resources.storage import nocow
from vmherd.resources.storage.works import UNFINISHED
from vmherd.util.files import on_host
from vmherd.util.imageheader import ImageHeader, read_header

_BLOCK = 512
#: The version of qcow2 whose features libvirt tells, with the word "1.1".
_NEW_QCOW = 3
#: Of folders that are made for a pool, as libvirt makes them: guests reach their images, and nobody lists them.
_MODE = 0o711
#: Bytes that a name may have.
_LONGEST = 255


def path_of(pool: Pool) -> Path:
    """Where the folder of a pool is."""
    assert pool.target  # pools of this type have one: parse_pool sees to it
    assert pool.target.path
    return Path(pool.target.path)


def volume_path(pool: Pool, name: str) -> Path:
    """Where a volume of that name is.  Raises InvalidArgument for a name that leads anywhere else."""
    if "/" in name:
        raise InvalidState(f"volume name '{name}' cannot contain '/'", hint="use a plain file name")
    if name in ("", ".", "..") or not _presentable(name) or len(os.fsencode(name)) > _LONGEST:
        raise InvalidArgument(f"{name!r} is no name of a volume", hint="use a plain file name")
    return path_of(pool) / name


def build(pool: Pool) -> None:
    """Make the folder, with the owner and the mode of the document; one that is there is fine."""
    path, wanted = path_of(pool), pool.target.permissions if pool.target else None
    with on_host(f"make the folder of pool {pool.name!r}"):
        if not path.is_dir():
            path.mkdir(parents=True)
            path.chmod(_MODE)
        if wanted and wanted.mode is not None:
            path.chmod(wanted.mode)
        if wanted and (wanted.owner, wanted.group) != (-1, -1):
            os.chown(path, wanted.owner, wanted.group)
    if pool.features and pool.features.cow:
        _set_copy_on_write(path, pool.features.cow.state)


def _set_copy_on_write(path: Path, wanted: bool) -> None:
    """On btrfs, files that are made in a folder are written in place if the folder is marked so (chattr +C)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        nocow.mark(fd, not wanted)
    except OSError:
        text = f"unable to control COW flag on '{path}', not btrfs"
        raise Unsupported(text, place="pool/features/cow", hint="leave <cow> out") from None
    finally:
        os.close(fd)


def make_folder(path: Path, volume: Volume) -> None:
    """Make a volume that is a folder."""
    wanted = volume.target.permissions
    with on_host(f"make {path}"):
        try:
            path.mkdir(0o755 if wanted is None or wanted.mode is None else wanted.mode)
        except FileExistsError:
            raise VolumeExists(path.name) from None
        if wanted and (wanted.owner, wanted.group) != (-1, -1):
            os.chown(path, wanted.owner, wanted.group)


def delete(pool: Pool) -> None:
    """Remove the folder.  Raises InvalidState while something is in it."""
    path = path_of(pool)
    try:
        path.rmdir()
    except OSError as problem:
        text = f"failed to remove pool '{path}': {problem.strerror}"
        raise InvalidState(text, hint="delete its volumes first") from None


def measure(pool: Pool) -> None:
    """Note how much room there is, and what the folder's owner and mode are."""
    path = path_of(pool)
    with on_host(f"look at {path}"):
        room, found = os.statvfs(path), path.stat()
    pool.capacity = room.f_blocks * room.f_frsize
    pool.available = room.f_bavail * room.f_frsize
    pool.allocation = pool.capacity - room.f_bfree * room.f_frsize
    assert pool.target
    pool.target.permissions = _permissions(found)


def scan(pool: Pool) -> dict[str, Volume]:
    """Every volume by name; what cannot be read is left out, as is what is neither file, disk nor folder."""
    volumes = {}
    with on_host(f"look into {path_of(pool)}"), os.scandir(path_of(pool)) as entries:
        for entry in entries:
            if _presentable(entry.name):
                with contextlib.suppress(OSError):
                    if volume := _volume(Path(entry.path)):
                        volumes[entry.name] = volume
    return dict(sorted(volumes.items()))


def _presentable(name: str) -> bool:
    """Whether a name can be told: not one that is hidden by us, that is no text, or that would spoil a terminal."""
    return name.isprintable() and not name.startswith(UNFINISHED)


def look(pool: Pool, name: str) -> Volume | None:
    """One volume as it is now; None if it is not there."""
    try:
        return _volume(volume_path(pool, name))
    except OSError:
        return None


def _volume(path: Path) -> Volume | None:
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        return _described(path, found, VolumeType.DIR, ImageHeader(format="dir", size=0), 0)
    if stat.S_ISBLK(found.st_mode):
        with path.open("rb", buffering=0) as disk:
            size = disk.seek(0, os.SEEK_END)
        return _described(path, found, VolumeType.BLOCK, ImageHeader(format="raw", size=size), size)
    if not stat.S_ISREG(found.st_mode):
        return None
    return _described(path, found, VolumeType.FILE, read_header(path), found.st_size)


def _described(path: Path, found: os.stat_result, kind: VolumeType, header: ImageHeader, physical: int) -> Volume:
    used = found.st_blocks * _BLOCK if kind is VolumeType.FILE else physical
    target = VolumeTarget(
        path=str(path),
        format=VolumeFormat(type=header.format),
        permissions=_permissions(found),
        timestamps=_timestamps(found),
        compat="1.1" if header.version == _NEW_QCOW else None,
        cluster_size=header.cluster_size,
        features=_features(header),
        encryption=Encryption(format=EncryptionFormat.LUKS) if header.encryption == "luks" else None,
    )
    return Volume(
        type=kind,
        name=path.name,
        key=str(path),
        capacity=physical if header.size is None else header.size,
        allocation=used,
        physical=None if kind is VolumeType.DIR else physical,
        target=target,
        backing=_backing(path, header) if header.backing else None,
    )


def _backing(path: Path, header: ImageHeader) -> BackingStore:
    name = header.backing or ""
    remote = ":" in name.split("/", 1)[0]  # an address, as QEMU has it
    kind = VolumeFormat(type=header.backing_format) if header.backing_format else None
    return BackingStore(path=name if remote else str(path.parent / name), format=kind)


def _features(header: ImageHeader) -> VolumeFeatures | None:
    if header.version != _NEW_QCOW:
        return None
    return VolumeFeatures(lazy_refcounts=header.lazy_refcounts, extended_l2=header.extended_l2)


def _timestamps(found: os.stat_result) -> Timestamps:
    def text(nanoseconds: int) -> str:
        seconds, rest = divmod(nanoseconds, 10**9)
        return f"{seconds}.{rest:09}" if rest else str(seconds)

    return Timestamps(atime=text(found.st_atime_ns), mtime=text(found.st_mtime_ns), ctime=text(found.st_ctime_ns))


def _permissions(found: os.stat_result) -> Permissions:
    return Permissions(mode=stat.S_IMODE(found.st_mode), owner=found.st_uid, group=found.st_gid)
