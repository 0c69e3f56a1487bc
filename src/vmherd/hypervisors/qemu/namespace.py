"""A /dev of its own for each guest: a namespace of mounts that holds the devices which this guest uses, and no others.

Device nodes are made anew, symbolic links followed and made anew, plain files and folders below /dev mounted in.  What
the host has mounted below /dev (pts, shm, hugepages) stays.  The namespace lives as long as QEMU: nothing has to be
cleaned up.  What a device needs that comes later is put in from a thread that enters the namespace for that.

Source: qemu_namespace.c of libvirt
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from vmherd.errors import HostError
from vmherd.hypervisors.qemu.config import Config
from vmherd.hypervisors.qemu.uses import Kind, Use
from vmherd.util import mount
from vmherd.util.apart import apart
from vmherd.util.files import on_host, write_atomically

log = logging.getLogger("vmherd.qemu")

_DEV = Path("/dev")
_NOTE = "namespace.json"
_PLACE = "dev"
#: Symbolic links on the way to a file, as many as the kernel follows.
_LINKS = 40
#: What a file has beside its mode and its owner that decides who may open it.
_ATTRIBUTES = ("system.posix_acl_access", "security.selinux")

#: The numbers of the user and the group that shall have a device in the namespace; None where the host's stay.
Owner = tuple[int, int] | None
Owners = Callable[[Use], Owner]


@dataclass(frozen=True)
class _Link:
    path: Path
    target: str


@dataclass(frozen=True)
class _Node:
    path: Path
    status: os.stat_result
    attributes: Mapping[str, bytes]
    owner: Owner


@dataclass(frozen=True)
class _Mounted:
    """``tree`` is the file or folder as `mount.clone` gives it."""

    path: Path
    tree: int
    folder: bool


_Item = _Link | _Node | _Mounted


class Note(msgspec.Struct):
    """What each device of a guest has in the namespace, by alias; "" is the machine itself."""

    devices: dict[str, list[str]]


def wanted(config: Config) -> bool:
    """Whether guests get one.  Raises HostError where the administrator wants it and the host does not let us."""
    if config.namespaces is None:
        return _possible()
    if "mount" in config.namespaces and not _possible():
        raise HostError("guests cannot have namespaces of mounts here", hint="set namespaces = [] in qemu.toml")
    return "mount" in config.namespaces


@cache
def _possible() -> bool:
    """Whether this host lets us make such a namespace: root of a container may not."""

    def attempt() -> None:
        mount.leave_for_own()
        mount.mount("tmpfs", _DEV, flags=mount.NOSUID)
        os.mknod("/dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.close(os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC))

    try:
        apart(attempt)
    except OSError as problem:
        log.info("guests share the host's /dev: %s", problem)
        return False
    return True


def as_it_is(_: Use) -> Owner:
    """The host's owner of each device stays."""
    return None


class Private:
    """The namespace of a guest that is being started: ``uses`` beside ``everybody``, what every guest has."""

    def __init__(self, folder: Path, everybody: Iterable[str], uses: Sequence[Use], owners: Owners = as_it_is) -> None:
        self._place = folder / _PLACE
        self._uses = [*uses, *(Use(path, Kind.DEVICE) for path in everybody)]
        self._owners = owners
        _note(folder, self._uses)
        self._place.mkdir(exist_ok=True)

    def build(self) -> None:
        """Make it for the calling thread, which must end soon, and for what it starts.  Raises OSError."""
        mount.leave_for_own()
        with ExitStack() as ours:
            items = _plan(self._uses, ours, self._owners)
            mount.mount("tmpfs", self._place, "mode=755,size=65536", flags=mount.NOSUID)
            ours.callback(os.umask, os.umask(0))
            kept = _kept()
            for each in kept:
                place = self._place / each.relative_to(_DEV)
                place.mkdir(parents=True, mode=0o755)
                mount.bind(each, place)
            _make(items, self._place, kept)
            mount.move(self._place, _DEV)


def _note(folder: Path, uses: Iterable[Use]) -> None:
    """Remember what devices have in the namespace of the guest with this folder."""
    known = _noted(folder) or Note({})
    for use in uses:
        had = known.devices.setdefault(use.owner, [])
        had += [] if use.path in had else [use.path]
    write_atomically(folder / _NOTE, msgspec.json.encode(known))


def _noted(folder: Path) -> Note | None:
    """What devices have in the namespace of the guest with this folder; None if it has the host's /dev."""
    with suppress(FileNotFoundError):
        return msgspec.json.decode((folder / _NOTE).read_bytes(), type=Note)
    return None


def let_in(folder: Path, pid: int, uses: Sequence[Use], owners: Owners = as_it_is) -> None:
    """Put what a device uses into the namespace of a guest that runs, if it has one.  Raises HostError."""
    if _noted(folder) is None:
        return
    _note(folder, uses)
    with on_host("let the guest have its device"), ExitStack() as ours:
        items = _plan(uses, ours, owners)
        if items:
            _inside(pid, lambda: _make(items, _DEV, _kept()))


def is_private(folder: Path) -> bool:
    """Whether the guest with this folder has a /dev of its own."""
    return (folder / _NOTE).exists()


def paths_of(folder: Path, device: str) -> frozenset[str]:
    """What the device with that alias has in the namespace."""
    known = _noted(folder)
    return frozenset(known.devices.get(device, ()) if known else ())


def take_out(folder: Path, pid: int, device: str, paths: Collection[str]) -> None:
    """Remove what a device had in the namespace, but for what others have, too."""
    known = _noted(folder)
    if known is None or device not in known.devices:
        return
    known.devices[device] = [each for each in known.devices[device] if each not in paths]
    stays = [path for had in known.devices.values() for path in had]
    going = {step for path in paths for step in _way(Path(path))}
    going -= {step for path in stays for step in _way(Path(path))}
    kept = _kept()
    if going := {path for path in going if not _is_below(path, kept)}:
        with suppress(ProcessLookupError, FileNotFoundError):
            _inside(pid, lambda: _remove(going))
    write_atomically(folder / _NOTE, msgspec.json.encode(known))


def _inside(pid: int, work: Callable[[], None]) -> None:
    """Do ``work`` in the namespace of a process."""
    namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

    def enter() -> None:
        mount.enter(namespace)
        os.umask(0)
        work()

    try:
        apart(enter)
    finally:
        os.close(namespace)


def _kept() -> list[Path]:
    """What is mounted below /dev and stays, but for what is mounted below that again, which comes with it.

    Single files are those of a container's /dev, or what another device of the guest has.
    """
    places = [place for place in mount.below(_DEV) if place.is_dir()]
    return [place for place in places if not any(other in place.parents for other in places)]


def _is_below(path: Path, kept: Sequence[Path]) -> bool:
    return any(place == path or place in path.parents for place in kept)


def _plan(uses: Iterable[Use], ours: ExitStack, owners: Owners) -> list[_Item]:
    """What the files below /dev are, as the calling thread sees them now; each once.

    What is missing is QEMU's to complain about.
    """
    items: dict[Path, _Item] = {}
    for use in uses:
        for path in _way(Path(use.path)):
            with suppress(FileNotFoundError):
                if path not in items:
                    items[path] = _item(path, ours, owners(use))
    return list(items.values())


def _way(path: Path) -> Iterator[Path]:
    """The symbolic links below /dev on the way to a file, and the file if it is there, too.

    Raises HostError where they go round.
    """
    told = path
    for _ in range(_LINKS):
        link = _first_link(path)
        if link is None:
            if _DEV in path.parents:
                yield path
            return
        if _DEV in link.parents:
            yield link
        path = Path(os.path.normpath(link.parent / link.readlink() / path.relative_to(link)))
    raise HostError(f"{told}: its symbolic links go round", hint="correct them: 'namei -l' shows the way")


def _first_link(path: Path) -> Path | None:
    steps = [*reversed(path.parents), path]
    return next((step for step in steps if step.is_symlink()), None)


def _item(path: Path, ours: ExitStack, owner: Owner) -> _Item:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return _Link(path, str(path.readlink()))
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        return _Node(path, status, _attributes(path), owner)
    tree = mount.clone(path)
    ours.callback(os.close, tree)
    return _Mounted(path, tree, stat.S_ISDIR(status.st_mode))


def _attributes(path: Path) -> dict[str, bytes]:
    found = {}
    for name in _ATTRIBUTES:
        with suppress(OSError):
            found[name] = os.getxattr(path, name)
    return found


def _make(items: Iterable[_Item], root: Path, kept: Sequence[Path]) -> None:
    """Make what is not there yet below ``root``, which is /dev or becomes it."""
    for item in items:
        place = root / item.path.relative_to(_DEV)
        if _is_below(item.path, kept) or os.path.lexists(place):
            continue  # what is kept has been mounted with all that is in it
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        match item:
            case _Link(target=target):
                place.symlink_to(target)
            case _Node() as node:
                _make_node(node, place)
            case _Mounted(tree=tree, folder=True):
                place.mkdir(mode=0o755)
                mount.attach(tree, place)
            case _Mounted(tree=tree):
                place.touch(mode=0o600)
                mount.attach(tree, place)


def _make_node(node: _Node, place: Path) -> None:
    os.mknod(place, node.status.st_mode, node.status.st_rdev)
    os.chown(place, *(node.owner or (node.status.st_uid, node.status.st_gid)))
    for name, value in node.attributes.items():
        with suppress(OSError):  # a tmpfs may have none
            os.setxattr(place, name, value)


def _remove(paths: Iterable[Path]) -> None:
    """Remove what `_make` made, in the namespace; folders that held it stay."""
    mounted = mount.below(_DEV)
    for path in paths:
        with suppress(FileNotFoundError):
            if path in mounted:
                mount.unmount(path)
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
