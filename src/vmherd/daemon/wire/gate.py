"""The ways in: sockets that are listened on, and who has come and has not said yet what they want.

Those wait in the queues of the sockets for whom there is no room.  Who stays silent keeps nobody out for long: after a
second they have to go if others wait, and after ``unopened_seconds`` in any case.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import time
from collections.abc import Callable, Hashable

import msgspec

log = logging.getLogger("vmherd.wire")

#: Takes a connected socket.
Take = Callable[[socket.socket], None]

#: Connections that may wait to be taken (max_queued_clients of libvirtd.conf).
_BACKLOG = 1000
#: Connections taken in one turn, so that a flood of them does not keep the clients waiting.
_AT_ONCE = 16
#: Seconds after which somebody who is silent makes room for others, if there is none.
_SILENCE = 1.0
#: Seconds between warnings of a crowd.
_WARNING = 60.0
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)


class ServerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many clients there may be, and how many of them without an open connection, for how many seconds."""

    clients: int = 5000
    unopened: int = 200
    unopened_seconds: float = 30.0


class _New(msgspec.Struct, frozen=True):
    since: float
    drop: Callable[[], object]


class Gate:
    """One way in, such as from this host or from the network: a crowd at one is not felt at the other.

    ``limits`` tells what holds now, ``full`` whether nobody more may come whatever the way.
    """

    def __init__(self, limits: Callable[[], ServerLimits], full: Callable[[], bool]) -> None:
        self._limits = limits
        self._full = full
        self._listening: dict[socket.socket, Take] = {}
        #: The oldest first.
        self._new: dict[Hashable, _New] = {}
        self._paused = False
        self._warned = -_WARNING
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many have not said yet what they want."""
        return len(self._new)

    def listen(self, sock: socket.socket, take: Take) -> None:
        """Give ``take`` whoever connects to a bound socket, which is the gate's from now on."""
        sock.setblocking(False)
        sock.listen(_BACKLOG)
        self._listening[sock] = take
        asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    def enter(self, who: Hashable, drop: Callable[[], object]) -> None:
        """Somebody is new here; ``drop`` sends them away."""
        self._new[who] = _New(time.monotonic(), drop)
        self._watch()

    def leave(self, who: Hashable) -> None:
        """Somebody is new no more: they have said what they want, or are gone."""
        self._new.pop(who, None)
        self.resume()

    def _accept(self, listener: socket.socket) -> None:
        if not (self._has_room() or self._made_room()):
            self._pause()
            return
        for _ in range(_AT_ONCE):
            if not self._has_room():
                return  # the loop calls again if there is one more
            try:
                sock, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as problem:
                if problem.errno not in _EXHAUSTED:
                    raise
                log.warning("cannot take more clients: %s", problem.strerror)
                self._pause()
                return
            self._listening[listener](sock)

    def _has_room(self) -> bool:
        return not self._full() and len(self._new) < self._limits().unopened

    def _made_room(self) -> bool:
        """Send the one away who has been silent for longest, if there are too many of them."""
        if self._full():
            return False
        who, oldest = next(iter(self._new.items()))
        if time.monotonic() - oldest.since < _SILENCE:
            return False
        self._send_away(who)
        return self._has_room()

    def _send_away(self, who: Hashable) -> None:
        log.info("somebody is cut off who did not open a connection in time")
        self._new.pop(who).drop()

    def _pause(self) -> None:
        """Let them wait in their queue until others have gone, or for a second."""
        if self._paused:
            return
        self._paused = True
        self._warn()
        loop = asyncio.get_running_loop()
        for listener in self._listening:
            loop.remove_reader(listener)
        loop.call_later(_SILENCE, self.resume)

    def _warn(self) -> None:
        now = time.monotonic()
        if now - self._warned >= _WARNING:
            self._warned = now
            log.warning("more clients have to wait: %d have not opened a connection yet", len(self._new))

    def resume(self) -> None:
        """There may be room again."""
        if self._paused:
            self._paused = False
            for listener in self._listening:
                asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _watch(self) -> None:
        """See to it that nobody stays new for ever: one timer, for the oldest."""
        if self._timer is None and self._new:
            oldest = next(iter(self._new.values()))
            left = oldest.since + self._limits().unopened_seconds - time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(max(left, 0.0), self._expire)

    def _expire(self) -> None:
        self._timer = None
        deadline = time.monotonic() - self._limits().unopened_seconds
        for who in [who for who, new in self._new.items() if new.since <= deadline]:
            self._send_away(who)
        self._watch()

    def stop(self) -> None:
        """Take nobody any more."""
        loop = asyncio.get_running_loop()
        for sock in self._listening:
            with contextlib.suppress(ValueError):
                loop.remove_reader(sock)
            sock.close()
        self._listening.clear()
