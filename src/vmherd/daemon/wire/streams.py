"""Bytes of consoles, screens and volumes, beside the calls.

The call that opens a stream gives it its serial number; data travels in messages of that number, until one side
finishes or aborts it.  Source: https://libvirt.org/kbase/internals/rpc.html, "Use of streams"
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

from vmherd.errors import Busy, OperationUnsupported
from vmherd.rpc.packet import Header, Packet, Status, Type
from vmherd.rpc.protocol import HOLE

if TYPE_CHECKING:
    from vmherd.daemon.wire.client import Call, Client

#: Bytes in one message of a stream; libvirt's VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX, which old clients can take.
_CHUNK = 262120
#: Bytes from the client that may wait for the other end before the client has to.
_WAITING = 1 << 20
#: Bytes of a message about a hole.
_HOLE_SIZE = 12


class Line(Protocol):
    """What is at the daemon's end of a stream: a console, a file."""

    async def read(self, size: int = _CHUNK) -> bytes:
        """At least one byte, or b"" at the end."""

    async def write(self, data: bytes) -> None:
        """Take all of ``data``."""

    async def close(self) -> None:
        """Nobody is interested any more."""


class Content(Protocol):
    """A line with holes, whose end is something else than its loss: a ``VolumeContent``."""

    async def read(self) -> bytes | int:
        """At least one byte or the length of a hole, or b"" at the end."""

    async def write(self, data: bytes) -> None:
        """Take all of ``data``."""

    async def skip(self, length: int) -> None:
        """Take a hole."""

    async def finish(self) -> None:
        """Everything was sent."""

    async def close(self) -> None:
        """Nobody is interested any more."""


class _Plain:
    """A line without holes, which ends as it is lost."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.write = line.write
        self.finish = self.close = line.close

    async def read(self) -> bytes:
        return await self._line.read(_CHUNK)

    async def skip(self, length: int) -> None:
        raise OperationUnsupported("this stream has no holes", hint="send zeros")


class Stream:
    """One stream of one client, for as long as both want it."""

    def __init__(self, client: Client, header: Header, line: Content, *, reads: bool, writes: bool) -> None:
        self._client = client
        self._header = header._replace(type=Type.STREAM, status=Status.CONTINUE)
        self._line = line
        #: Bytes, the lengths of holes, and None for the end.
        self._incoming: asyncio.Queue[bytes | int | None] = asyncio.Queue()
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
                self._put(message.body, len(message.body))
            case Type.STREAM_HOLE, Status.CONTINUE:
                self._put(HOLE.decode(message.body, 0)[0].length, len(message.body))
            case Type.STREAM, Status.OK:
                self._incoming.put_nowait(None)
            case _:
                self._reply(Status.OK)
                self.drop()

    def _put(self, part: bytes | int, size: int) -> None:
        self._waiting += size
        self._incoming.put_nowait(part)
        if self._waiting > _WAITING:
            self._client.hold(self)

    async def _take_in(self) -> None:
        """What the client sent, to the line; then the end."""
        try:
            while (part := await self._incoming.get()) is not None:
                if self._writes:
                    await self._pass_on(part)
                self._waiting -= _HOLE_SIZE if isinstance(part, int) else len(part)
                if self._waiting <= _WAITING:
                    self._client.unhold(self)
            await self._line.finish()
        except Exception as problem:  # noqa: BLE001  the client is told, whatever it is
            with contextlib.suppress(Exception):
                await self._line.close()  # first: who is told may try again at once
            self.fail(problem)
            return
        self._reply(Status.OK)
        self.drop()

    async def _pass_on(self, part: bytes | int) -> None:
        if isinstance(part, int):
            await self._line.skip(part)
        else:
            await self._line.write(part)

    async def _send(self) -> None:
        """What the line says, to the client."""
        hole = self._header._replace(type=Type.STREAM_HOLE)
        try:
            while part := await self._line.read():
                if isinstance(part, int):
                    self._client.send_stream(hole, HOLE.encode((part, 0)))
                else:
                    self._client.send_stream(self._header, part)
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
    open_content(call, _Plain(line), reads=reads, writes=writes)


def open_content(call: Call, content: Content, *, reads: bool = True, writes: bool = True) -> None:
    """As ``open_stream``, for what may have holes."""
    client, serial = call.client, call.header.serial
    if len(client.streams) >= client.limits.streams or serial in client.streams:
        client.background(content.close())
        raise Busy(f"{len(client.streams)} streams are open already", hint="finish one of them first")
    client.streams[serial] = Stream(client, call.header, content, reads=reads, writes=writes)
