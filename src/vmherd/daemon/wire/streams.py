"""Bytes of consoles, screens and volumes, beside the calls.

The call that opens a stream gives it its serial number; data travels in messages of that number, until one side
finishes or aborts it.  Source: https://libvirt.org/kbase/internals/rpc.html, "Use of streams"
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from vmherd.errors import Busy
from vmherd.rpc.packet import Header, Packet, Status, Type

if TYPE_CHECKING:
    from vmherd.daemon.wire.client import Call, Client

#: Bytes in one message of a stream; libvirt's VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX, which old clients can take.
_CHUNK = 262120
#: Bytes from the client that may wait for the other end before the client has to.
_WAITING = 1 << 20


class Line(Protocol):
    """What is at the daemon's end of a stream: a console, a file."""

    async def read(self, size: int = _CHUNK) -> bytes:
        """At least one byte, or b"" at the end."""

    async def write(self, data: bytes) -> None:
        """Take all of ``data``."""

    async def close(self) -> None:
        """Nobody is interested any more."""


class Stream:
    """One stream of one client, for as long as both want it."""

    def __init__(self, client: Client, header: Header, line: Line, *, reads: bool, writes: bool) -> None:
        self._client = client
        self._header = header._replace(type=Type.STREAM, status=Status.CONTINUE)
        self._line = line
        self._incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._waiting = 0
        self._clear = asyncio.Event()
        self._writes = writes
        self._tasks = [asyncio.create_task(self._take_in())]
        if reads:
            self._tasks.append(asyncio.create_task(self._send()))

    @property
    def procedure(self) -> int:
        return self._header.procedure

    def take(self, message: Packet) -> None:
        """A message of the client: data, the end, or an abort."""
        match message.header.type, message.header.status:
            case Type.STREAM, Status.CONTINUE:
                self._put(message.body)
            case Type.STREAM, Status.OK:
                self._incoming.put_nowait(None)
            case _:
                self._reply(Status.OK)
                self.drop()

    def _put(self, data: bytes) -> None:
        self._waiting += len(data)
        self._incoming.put_nowait(data)
        if self._waiting > _WAITING:
            self._client.hold(self)

    async def _take_in(self) -> None:
        """What the client sent, to the line; then the end."""
        try:
            while (data := await self._incoming.get()) is not None:
                if self._writes:
                    await self._line.write(data)
                self._waiting -= len(data)
                if self._waiting <= _WAITING:
                    self._client.unhold(self)
            await self._line.close()
        except Exception as problem:  # noqa: BLE001  the client is told, whatever it is
            self.fail(problem)
            return
        self._reply(Status.OK)
        self.drop()

    async def _send(self) -> None:
        """What the line says, to the client."""
        try:
            while data := await self._line.read(_CHUNK):
                self._client.send_stream(self._header, data)
                if self._client.slow:
                    self._clear.clear()
                    await self._clear.wait()
            self._client.send_stream(self._header, b"")
        except Exception as problem:  # noqa: BLE001  as above
            self.fail(problem)

    def drained(self) -> None:
        """The client has taken what waited for it."""
        self._clear.set()

    def _reply(self, status: Status) -> None:
        self._client.send_stream(self._header._replace(status=status), b"")

    def fail(self, problem: BaseException) -> None:
        """End it, and tell the client why."""
        self._client.fail(self._header, problem)
        self.drop()

    def drop(self) -> None:
        """The stream is over: nobody reads it any more, and the line is given back."""
        if self._client.streams.pop(self._header.serial, None) is None:
            return
        self._client.unhold(self)
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._client.background(self._line.close())


def open_stream(call: Call, line: Line, *, reads: bool = True, writes: bool = True) -> None:
    """Make ``line`` the other end of the stream that a call opens.  Raises Busy where the client has too many."""
    client, serial = call.client, call.header.serial
    if len(client.streams) >= client.limits.streams or serial in client.streams:
        client.background(line.close())
        raise Busy(f"{len(client.streams)} streams are open already", hint="finish one of them first")
    client.streams[serial] = Stream(client, call.header, line, reads=reads, writes=writes)
