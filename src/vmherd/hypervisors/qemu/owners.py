"""The note of which files belong to a guest while it runs: written before any is taken, gone when all are given back.

It outlives a reboot of the host, as the owners of files do.  Everything may be done twice, by whoever comes first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from vmherd.hypervisors.qemu.confinement import Confinement
from vmherd.hypervisors.qemu.folders import Folders
from vmherd.hypervisors.qemu.mandatory import Mandatory
from vmherd.hypervisors.qemu.uses import Use
from vmherd.security import ownership
from vmherd.util.files import on_host, write_atomically


class Taken(msgspec.Struct):
    """A file that a device uses, by its alias; "" is the machine itself.

    ``was`` is the owner it gets back where it cannot remember that itself, None where others may use it then.
    """

    device: str
    path: str
    was: tuple[int, int] | None = None


def take(
    folders: Folders,
    uuid: str,
    uses: Iterable[Use],
    confinement: Confinement,
    mandatory: Mandatory,
    *,
    private: bool,
) -> None:
    """Let files belong to the guest.  ``private``: it has its own /dev, with nodes of its own.  Raises HostError."""
    wanted = list(_wanted(uses, confinement, mandatory, private=private))
    if not wanted:
        return
    known = _read(folders, uuid)
    there = {(each.device, each.path) for each in known}
    known += [
        Taken(use.owner, use.path, _owner(use, confinement)) for use, _ in wanted if (use.owner, use.path) not in there
    ]
    _write(folders, uuid, known)
    with on_host("give the guest its files"):
        for use, what in wanted:
            with suppress(FileNotFoundError):  # QEMU says so better
                ownership.take(Path(use.path), what, uuid, remember=confinement.remembers)


def _wanted(
    uses: Iterable[Use], confinement: Confinement, mandatory: Mandatory, *, private: bool
) -> Iterator[tuple[Use, ownership.Wanted]]:
    for use in uses:
        owner = confinement.owner(use)
        what = ownership.Wanted(owner, mandatory.file_label(use))
        if what != ownership.Wanted() and not (private and _is_node(use.path)) and not Path(use.path).is_dir():
            yield use, what


def _owner(use: Use, confinement: Confinement) -> tuple[int, int] | None:
    """Whom a file belongs to now; root where owners shall not be remembered, as with libvirt."""
    if use.shared:
        return None
    with suppress(OSError):
        status = os.stat(use.path)
        return (status.st_uid, status.st_gid) if confinement.remembers else (0, 0)
    return None


def _is_node(path: str) -> bool:
    """Whether it is a device that a guest with a /dev of its own has its own node of."""
    with suppress(OSError):
        mode = os.stat(path).st_mode
        return os.path.realpath(path).startswith("/dev/") and (stat.S_ISCHR(mode) or stat.S_ISBLK(mode))
    return False


def give_back(folders: Folders, uuid: str, device: str | None = None, paths: Collection[str] | None = None) -> None:
    """Give files back: all of the guest, or those of a device, or some of those.  What others of its devices use stays.

    Raises OSError, with what could not be given back still noted.
    """
    known = _read(folders, uuid)
    going = [each for each in known if device in (None, each.device) and (paths is None or each.path in paths)]
    if not going:
        return
    known = [each for each in known if each not in going]
    stays = {each.path for each in known}
    for each in going:
        if each.path not in stays:
            with suppress(FileNotFoundError):
                ownership.give_back(Path(each.path), uuid, otherwise=each.was)
    _write(folders, uuid, known)


def paths_of(folders: Folders, uuid: str, device: str) -> frozenset[str]:
    """What belongs to the guest for one of its devices."""
    return frozenset(each.path for each in _read(folders, uuid) if each.device == device)


def _read(folders: Folders, uuid: str) -> list[Taken]:
    with suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode(folders.owners(uuid).read_bytes(), type=list[Taken])
    return []


def _write(folders: Folders, uuid: str, known: list[Taken]) -> None:
    if known:
        folders.owners(uuid).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(folders.owners(uuid), msgspec.json.encode(known))
    else:
        folders.owners(uuid).unlink(missing_ok=True)
