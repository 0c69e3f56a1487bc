"""Bytes and file descriptors over a socket, without blocking.

UNIX sockets are read and written here, since descriptors travel with single bytes, which asyncio's transports do not
offer, and since this is the path of nearly every call; TLS is asyncio's.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from vmherd.rpc.packet import MOST_FDS

_CHUNK = 65536
_ANCILLARY = socket.CMSG_SPACE(MOST_FDS * array.array("i").itemsize)

#: Takes what came in; b"" is the end, also that of a broken connection.
Receive = Callable[[bytes, Sequence[int]], None]


class Channel(Protocol):
    """Both directions of a connection."""

    receive: Receive
    #: Called when all that waited has been sent.
    drained: Callable[[], None]

    @property
    def waiting(self) -> int:
        """How many bytes are to be sent still."""

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Send ``data``, then each descriptor with a byte; they are closed once sent."""

    def pause(self) -> None:
        """Receive nothing for a while."""

    def resume(self) -> None:
        """Go on receiving."""

    def close(self) -> None:
        """Close at once; what waits is lost, nothing more is received."""


class SocketChannel:
    """A connected stream socket, which is the channel's from now on; descriptors come and go over UNIX ones."""

    def __init__(self, sock: socket.socket) -> None:
        self.receive: Receive = lambda data, fds: None
        self.drained: Callable[[], None] = lambda: None
        self.socket = sock
        self._loop = asyncio.get_running_loop()
        self._local = sock.family == socket.AF_UNIX
        self._queue: deque[tuple[memoryview, int | None]] = deque()
        self.waiting = 0
        self._reading = self._closed = False
        sock.setblocking(False)

    def resume(self) -> None:
        if not self._reading and not self._closed:
            self._reading = True
            self._loop.add_reader(self.socket, self._readable)

    def pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self.socket)

    def _readable(self) -> None:
        fds: list[int] = []
        try:
            if self._local:
                data, ancillary, _, _ = self.socket.recvmsg(_CHUNK, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
                fds = _descriptors(ancillary) if ancillary else fds
            else:
                data = self.socket.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.pause()
        self.receive(data, fds)

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        if self._closed:
            close_all(fds)
            return
        self._put(memoryview(data), None)
        for fd in fds:
            self._put(memoryview(b"\0"), fd)

    def _put(self, data: memoryview, fd: int | None) -> None:
        if not self._queue:
            rest = self._write(data, fd)
            if not rest:
                return
            if len(rest) != len(data):
                fd = None
            data = rest
            self._loop.add_writer(self.socket, self._writable)
        self._queue.append((data, fd))
        self.waiting += len(data)

    def _write(self, data: memoryview, fd: int | None) -> memoryview:
        """Send what the socket takes; what is left."""
        try:
            if fd is None:
                return data[self.socket.send(data) :]
            sent = self.socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        except (BlockingIOError, InterruptedError):
            return data
        except OSError:
            # The reader sees the end and says so; nothing can be sent any more.
            sent = len(data)
        if fd is not None:
            os.close(fd)
        return data[sent:]

    def _writable(self) -> None:
        while self._queue:
            data, fd = self._queue.popleft()
            rest = self._write(data, fd)
            self.waiting -= len(data) - len(rest)
            if rest:
                self._queue.appendleft((rest, fd))
                return
        self._loop.remove_writer(self.socket)
        self.drained()

    def close(self) -> None:
        if self._closed:
            return
        self.pause()
        self._closed = True
        self._loop.remove_writer(self.socket)
        close_all([fd for _, fd in self._queue if fd is not None])
        self._queue.clear()
        self.waiting = 0
        self.socket.close()


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors, some of which may be closed already."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


class StreamChannel(asyncio.Protocol):
    """An asyncio transport, such as one with TLS; it carries no descriptors.

    ``opened`` is called once it is connected.
    """

    def __init__(self, opened: Callable[[StreamChannel], None]) -> None:
        self.receive: Receive = lambda data, fds: None
        self.drained: Callable[[], None] = lambda: None
        self._opened = opened
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.pause_reading()
        self.transport.set_write_buffer_limits(high=0)
        self._opened(self)

    def data_received(self, data: bytes) -> None:
        self.receive(data, ())

    def connection_lost(self, _: Exception | None) -> None:
        self.transport = None
        self.receive(b"", ())

    def resume_writing(self) -> None:
        self.drained()

    @property
    def waiting(self) -> int:
        return self.transport.get_write_buffer_size() if self.transport else 0

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        close_all(fds)  # never asked for: who would send them sees that the connection cannot carry them
        if self.transport:
            self.transport.write(data)

    def pause(self) -> None:
        if self.transport:
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.transport and not self.transport.is_reading():
            self.transport.resume_reading()

    def close(self) -> None:
        if self.transport:
            self.receive = lambda data, fds: None
            self.transport.abort()
