"""The clients of the daemon, by whichever way they come."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from functools import partial
from typing import Any

from vmherd.daemon.wire import handlers
from vmherd.daemon.wire.client import Client
from vmherd.daemon.wire.gate import Gate, ServerLimits
from vmherd.daemon.wire.terms import Identity, Limits, Service
from vmherd.rpc.channel import Channel, SocketChannel

_CREDENTIALS = struct.Struct("iII")
_GROUP = struct.Struct("I")
_PEER_GROUPS, _MOST_GROUPS = 59, 256  # include/uapi/asm-generic/socket.h


class Server:
    """Takes clients of any number of sockets and serves them."""

    def __init__(
        self,
        service: Service,
        *,
        limits: ServerLimits | None = None,
        client_limits: Limits | None = None,
    ) -> None:
        handlers.load()
        self.limits = limits or ServerLimits()
        self.client_limits = client_limits or Limits()
        self.clients: dict[int, Client] = {}
        self._service = service
        self._last = 0
        self._host = Gate(lambda: self.limits, self._is_full)
        self._network = Gate(lambda: self.limits, self._is_full)
        self._empty = asyncio.Event()
        self._empty.set()

    def _is_full(self) -> bool:
        return len(self.clients) >= self.limits.clients

    def listen(self, sock: socket.socket, *, readonly: bool = False) -> None:
        """Take the clients of a bound socket, which is the server's from now on."""
        self.gate(local=sock.family == socket.AF_UNIX).listen(sock, partial(self._taken, readonly=readonly))

    def gate(self, *, local: bool) -> Gate:
        """The way in from this host, or from the network."""
        return self._host if local else self._network

    @property
    def unopened(self) -> int:
        """How many have come and not opened a connection yet."""
        return len(self._host) + len(self._network)

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
        self.clients[client.number] = client
        self._empty.clear()
        self._gate_of(client).enter(client, client.close)
        return client

    def _gate_of(self, client: Client) -> Gate:
        return self.gate(local=client.identity.transport == "unix")

    def _opened(self, client: Client) -> None:
        self._gate_of(client).leave(client)

    def _left(self, client: Client) -> None:
        self.clients.pop(client.number, None)
        self._gate_of(client).leave(client)
        self._host.resume()
        self._network.resume()
        if not self.clients:
            self._empty.set()

    def stop_listening(self) -> None:
        """Take no more clients; those that are there go on."""
        self._host.stop()
        self._network.stop()

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
