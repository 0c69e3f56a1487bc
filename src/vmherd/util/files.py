"""Files that are there whole or not at all, and what to say when the host has no room or no rights for them."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vmherd.errors import HostError

_HINTS = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "your quota on that disk is used up: remove what is not needed",
    errno.EROFS: "that disk is mounted read-only",
    errno.EACCES: "check who owns it, and who may write to it",
    errno.EMFILE: "close programs, or raise the limit on open files: 'ulimit -n'",
}


@contextmanager
def on_host(doing: str) -> Iterator[None]:
    """Tell any OSError of the block as a HostError: what could not be done, with which file, and the remedy."""
    try:
        yield
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        hint = _HINTS.get(problem.errno or 0, "")
        raise HostError(f"cannot {doing}: {where}{problem.strerror or problem}", hint=hint) from None


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
    """Put ``data`` at ``path``: whoever reads it, and whatever dies meanwhile, sees the old content or the new.

    ``durable`` also syncs it to the disk.  Raises OSError.
    """
    fd, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(fd, mode)
            if durable:
                os.fsync(fd)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def own_like(path: str | Path, like: Path) -> None:
    """Let ``path`` belong to whom ``like`` belongs.  Raises OSError."""
    ours, theirs = os.stat(path), like.stat()
    if (ours.st_uid, ours.st_gid) != (theirs.st_uid, theirs.st_gid):
        os.chown(path, theirs.st_uid, theirs.st_gid)
