"""The sockets that clients connect to."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec

from vmherd.daemon.wire import handlers
from vmherd.daemon.wire.client import Client, Identity, Limits, Service
from vmherd.rpc.channel import Channel, SocketChannel

log = logging.getLogger("vmherd.wire")

#: Takes a connected socket.
Take = Callable[[socket.socket], None]

#: Connections that may wait to be taken (max_queued_clients of libvirtd.conf).
_BACKLOG = 1000
#: Connections taken in one turn, so that a flood of them does not keep the clients waiting.
_AT_ONCE = 16
#: Seconds after which a client that has not opened a connection makes room for others, if there is none.
_SILENCE = 1.0
_CREDENTIALS = struct.Struct("iII")
_GROUP = struct.Struct("I")
_PEER_GROUPS, _MOST_GROUPS = 59, 256  # include/uapi/asm-generic/socket.h


class ServerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many clients there may be, and how many of them without an open connection, for how many seconds."""

    clients: int = 5000
    unopened: int = 200
    unopened_seconds: float = 30.0


class Server:
    """Takes clients of any number of sockets and serves them."""

    def __init__(
        self,
        service: Service,
        *,
        limits: ServerLimits | None = None,
        client_limits: Limits | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        handlers.load()
        self.limits = limits or ServerLimits()
        self.client_limits = client_limits or Limits()
        self.clients: dict[int, Client] = {}
        self._service = service
        self._changed = changed
        self._last = 0
        self._listening: dict[socket.socket, Take] = {}
        #: Those that have not opened a connection yet, the oldest first; and those of whom not even that is known.
        self._unopened: dict[int, Client] = {}
        self._arriving = 0
        self._paused = False
        self._empty = asyncio.Event()
        self._empty.set()

    def listen(self, sock: socket.socket, *, readonly: bool = False, take: Take | None = None) -> None:
        """Take the clients of a bound socket, which is the server's from now on.

        ``take`` gets each connected socket, and calls ``add`` once it knows who that is.
        """
        sock.setblocking(False)
        sock.listen(_BACKLOG)
        self._listening[sock] = take or partial(self._taken, readonly=readonly)
        asyncio.get_running_loop().add_reader(sock, self._accept, sock)

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
                if problem.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                    raise
                log.warning("cannot take more clients: %s", problem.strerror)
                self._pause()
                return
            self._listening[listener](sock)

    def _has_room(self) -> bool:
        new = len(self._unopened) + self._arriving
        return len(self.clients) < self.limits.clients and new < self.limits.unopened

    def _made_room(self) -> bool:
        """Let the one go who has been silent for longest, if there are too many of them."""
        oldest = next(iter(self._unopened.values()), None)
        if oldest is None or time.time() - oldest.since < _SILENCE or len(self.clients) >= self.limits.clients:
            return False
        log.info("client %d makes room: it did not open a connection", oldest.number)
        oldest.close()
        return self._has_room()

    def _pause(self) -> None:
        """Let clients wait in their queue until others have gone, or for a second."""
        loop = asyncio.get_running_loop()
        if not self._paused:
            log.warning("%d clients, %d of them new: more have to wait", len(self.clients), len(self._unopened))
            self._paused = True
            for listener in self._listening:
                loop.remove_reader(listener)
            loop.call_later(_SILENCE, self._resume)

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            for listener in self._listening:
                asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    @contextlib.contextmanager
    def arriving(self) -> Iterator[None]:
        """Count somebody who is on the way through a door that takes time."""
        self._arriving += 1
        try:
            yield
        finally:
            self._arriving -= 1
            self._resume()

    def _taken(self, sock: socket.socket, *, readonly: bool) -> None:
        self.add(SocketChannel(sock), readonly=readonly, identity=_identity(sock))

    def add(self, channel: Channel, *, readonly: bool, identity: Identity) -> Client:
        """Serve a connected client."""
        self._last += 1
        client = Client(
            self._last,
            channel,
            self._service,
            identity=identity,
            readonly=readonly,
            limits=self.client_limits,
            opened=self._opened,
            closed=self._left,
        )
        self.clients[client.number] = self._unopened[client.number] = client
        self._empty.clear()
        asyncio.get_running_loop().call_later(self.limits.unopened_seconds, self._expect_open, client)
        self._changed()
        return client

    def _expect_open(self, client: Client) -> None:
        if not client.opened and client.number in self.clients:
            log.info("client %d is cut off: it did not open a connection", client.number)
            client.close()

    def _opened(self, client: Client) -> None:
        self._unopened.pop(client.number, None)
        self._resume()

    def _left(self, client: Client) -> None:
        self.clients.pop(client.number, None)
        self._unopened.pop(client.number, None)
        self._resume()
        if not self.clients:
            self._empty.set()
        self._changed()

    def stop_listening(self) -> None:
        """Take no more clients; those that are there go on."""
        loop = asyncio.get_running_loop()
        for sock in self._listening:
            with contextlib.suppress(ValueError):
                loop.remove_reader(sock)
            sock.close()
        self._listening.clear()

    async def close(self, *, patience: float = 0.0) -> None:
        """Take no more clients and let those go that are there.

        Calls under way have ``patience`` seconds to be answered; then they are cancelled.
        """
        self.stop_listening()
        clients = list(self.clients.values())
        for client in clients:
            client.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._empty.wait()
        for client in list(self.clients.values()):
            client.close()
        for client in clients:
            await client.settle()


def _identity(sock: socket.socket) -> Identity:
    """Who is at the other end of a socket, as the kernel says (SO_PEERCRED)."""
    if sock.family == socket.AF_UNIX:
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, gid = _CREDENTIALS.unpack(raw)
        return Identity(transport="unix", pid=pid, uid=uid, gid=gid, groups=_groups(sock) | {gid})
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer: Any = sock.getpeername()
    return Identity(transport="tcp", address=f"{peer[0]}:{peer[1]}")


def _groups(sock: socket.socket) -> frozenset[int]:
    """The other groups of who is there (SO_PEERGROUPS)."""
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, _PEER_GROUPS, _MOST_GROUPS * _GROUP.size)
    except OSError:  # more than anybody has, or a kernel before 4.13
        return frozenset()
    return frozenset(number for (number,) in _GROUP.iter_unpack(raw))
