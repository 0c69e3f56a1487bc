"""UNIX sockets at any path, however deep."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

# sun_path is 108 bytes with its NUL on Linux (unix(7)), 104 on the BSDs.
_LIMIT = 100


def fits(path: Path) -> bool:
    """Whether a socket's address has room for ``path``."""
    return len(os.fsencode(path)) <= _LIMIT


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name for ``path`` that fits in a socket address: itself, or one through an open descriptor of its folder."""
    if fits(path):
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def listen_unix(path: Path, *, backlog: int = 8, mode: int = 0o600) -> socket.socket:
    """A listening stream socket at ``path``, replacing a stale one."""
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(path) as name:
            server.bind(name)
        path.chmod(mode)
        server.listen(backlog)
    except BaseException:
        server.close()
        raise
    return server


def connect_unix(path: Path) -> socket.socket:
    """A non-blocking stream socket connected to ``path``.

    Connecting to a UNIX socket never waits for the other side to accept; it raises BlockingIOError where the
    backlog is full, FileNotFoundError or ConnectionRefusedError where nobody listens.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.setblocking(False)
        with short_path(path) as name:
            client.connect(name)
    except BaseException:
        client.close()
        raise
    return client
