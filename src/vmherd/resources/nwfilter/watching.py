"""Hearing of every change of nftables' rules in this network namespace, whoever makes it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

_NETFILTER = 12  # NETLINK_NETFILTER
_GROUP = 1 << 6  # NFNLGRP_NFTABLES is group 7
#: Seconds in which changes are heard together: some programs change rules all the time.
_TOGETHER = 0.3


class RuleWatch:
    """Calls ``changed`` in the running loop soon after changes.  Raises OSError where the kernel does not tell us."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETFILTER)
        try:
            self._socket.bind((0, _GROUP))
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket, self._heard)

    def _heard(self) -> None:
        """That there was something is all: what it was may have been more than the socket holds (ENOBUFS)."""
        with contextlib.suppress(OSError):
            while True:
                self._socket.recv(65536)
        if self._timer is None:
            self._timer = self._loop.call_later(_TOGETHER, self._tell)

    def _tell(self) -> None:
        self._timer = None
        self._changed()

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
