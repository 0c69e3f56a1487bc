"""Whether a learner listens, and starting one."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from vmherd.errors import HostError
from vmherd.util import process


def lock(folder: Path) -> int | None:
    """The descriptor that says who the learner is; None while another process has it."""
    fd = os.open(folder / "learner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def ensure(folder: Path, uri: str) -> None:
    """Start a learner unless there is one.  Call it after the card was noted.

    Raises HostError if it cannot be started.
    """
    fd = lock(folder)
    if fd is None:
        return
    # It gets the lock from us, so that cards that come together start one.
    argv = [sys.executable, "-m", "vmherd.resources.nwfilter.learner", uri, str(fd)]
    try:
        with (folder / "learner.log").open("ab") as output:
            process.spawn(argv, output=output.fileno(), pass_fds=(fd,))
    except OSError as problem:
        raise HostError(
            f"cannot start the process that learns addresses: {problem.strerror}: {problem.filename}",
            hint="vmherd and its Python must be readable for whoever uses them",
        ) from None
    finally:
        os.close(fd)
