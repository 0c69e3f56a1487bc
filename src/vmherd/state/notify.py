"""Tells every process that uses a store that something changed.

Each listener binds a datagram socket in one folder; whoever changes the store sends an empty datagram to all of
them.  A lost datagram costs nothing but time: listeners read the event log, and look at it now and then anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

from vmherd.util.sockets import short_path

_FALLBACK = 5.0


def ping(folder: Path) -> None:
    """Wake every listener in ``folder``; sockets nobody listens on any more are removed."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    if not names:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for name in names:
            with short_path(folder / name) as path:
                try:
                    sender.sendto(b"", path)
                except ConnectionRefusedError:
                    (folder / name).unlink(missing_ok=True)
                except OSError:
                    continue  # its queue is full (it will look), or it left just now


class Listener:
    """Calls ``wake`` in the running loop whenever somebody pings, and every few seconds besides."""

    def __init__(self, folder: Path, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = folder / f"{os.getpid()}-{os.urandom(4).hex()}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        with short_path(self._path) as path:
            self._socket.bind(path)
        self._loop.add_reader(self._socket, self._drain)
        self._timer = self._loop.call_later(_FALLBACK, self._tick)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(16)
        self._wake()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(_FALLBACK, self._tick)
        self._wake()

    def close(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._path.unlink(missing_ok=True)
