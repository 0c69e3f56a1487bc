"""Files that belong to guests while these use them: their owners and labels, remembered until the last has let go.

What a file was is kept with the file, in an extended attribute that root alone sees: owner, label, which guests use
it.  Since these are names and not a number, doing anything twice does no harm, and nothing is lost by a manager that
dies at any instant: the attribute is there before the owner changes and goes after it has been put back.
Source: security_util.c and virSecurityDACSetOwnership of libvirt
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from vmherd.errors import HostError
from vmherd.security import selinux
from vmherd.security.identity import Identity

_ATTRIBUTE = "trusted.vmherd.owner"
#: Taken by all processes of this host that change owners.
_LOCK = Path("/run/vmherd/ownership.lock")
#: What says that a file system has no such attributes, or no owners to change: shares of Windows, read-only media, NFS
#: whose server decides.
_NO_ATTRIBUTES = (errno.EOPNOTSUPP, errno.EPERM, errno.EROFS, errno.EACCES)
_NO_OWNERS = (errno.EOPNOTSUPP, errno.EROFS, errno.EPERM)
_WITHOUT_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.E2BIG, errno.ERANGE)


class Remembered(msgspec.Struct):
    """The owner a file had, the guests that use it, and its label in SELinux, "" where it had none."""

    uid: int
    gid: int
    users: list[str]
    label: str = ""


class Wanted(msgspec.Struct, frozen=True):
    """Who a file shall belong to, and its label in SELinux; None and "" where that stays as it is."""

    owner: tuple[int, int] | None = None
    label: str = ""


def take(path: Path, wanted: Wanted, user: str, *, remember: bool = True) -> None:
    """Make a file what is wanted while the guest named ``user`` uses it.

    Raises HostError where other guests use it as somebody else, OSError where it is not there.
    """
    with _opened(path) as file:
        status = os.stat(file)
        now = Wanted((status.st_uid, status.st_gid), _label(file))
        known = _read(file)
        if known and set(known.users) - {user} and _differs(now, wanted):
            text = f"{path} is in use by a guest that runs as another user"
            raise HostError(text, hint="stop that guest, or let both run as the same user")
        if remember:
            known = known or Remembered(status.st_uid, status.st_gid, [], now.label)
            if user not in known.users:
                known.users.append(user)
                _write(file, known, path)
        _change(file, wanted)


def _differs(now: Wanted, wanted: Wanted) -> bool:
    return wanted.owner not in (None, now.owner) or wanted.label not in ("", now.label)


def give_back(path: Path, user: str, *, otherwise: tuple[int, int] | None = None) -> None:
    """Put owner and label back, as the last guest that uses the file; nothing happens where it was not taken.

    ``otherwise`` is the owner for a file that remembers none.  Raises OSError where the file is not there.
    """
    with _opened(path) as file:
        known = _read(file)
        if known is None and otherwise:
            _change(file, Wanted(otherwise))
        if known is None or user not in known.users:
            return
        known.users.remove(user)
        if known.users:
            _write(file, known, path)
            return
        _change(file, Wanted((known.uid, known.gid), known.label))
        os.removexattr(file, _ATTRIBUTE)


def may_read(path: Path, who: Identity) -> bool:
    """Whether the mode of a file lets somebody read it already, who is not root."""
    status = path.stat()
    if status.st_uid == who.uid:
        return bool(status.st_mode & stat.S_IRUSR)
    if status.st_gid in (who.gid, *who.groups):
        return bool(status.st_mode & stat.S_IRGRP)
    return bool(status.st_mode & stat.S_IROTH)


@contextmanager
def _opened(path: Path) -> Iterator[str]:
    """A name of the very file that ``path`` is now, while nobody else changes owners."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        _LOCK.parent.mkdir(exist_ok=True, mode=0o755)
        lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield f"/proc/self/fd/{fd}"
        finally:
            os.close(lock)
    finally:
        os.close(fd)


def _read(file: str) -> Remembered | None:
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(os.getxattr(file, _ATTRIBUTE), type=Remembered)
    return None


def _write(file: str, what: Remembered, path: Path) -> None:
    try:
        os.setxattr(file, _ATTRIBUTE, msgspec.json.encode(what))
    except OSError as problem:
        if problem.errno in _WITHOUT_ROOM:
            text = f"{path} has no room for the names of those who use it: {problem.strerror}"
            raise HostError(text, hint="let everybody read it, so that no guest has to own it") from None
        if problem.errno not in _NO_ATTRIBUTES:
            raise


def _label(file: str) -> str:
    with suppress(OSError):
        return os.getxattr(file, selinux.ATTRIBUTE).rstrip(b"\0").decode(errors="replace")
    return ""


def _change(file: str, wanted: Wanted) -> None:
    try:
        if wanted.owner:
            os.chown(file, *wanted.owner)
        if wanted.label:
            os.setxattr(file, selinux.ATTRIBUTE, selinux.encoded(wanted.label))
    except OSError as problem:
        if problem.errno not in _NO_OWNERS:
            raise
