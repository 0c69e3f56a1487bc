"""The client's end: calls that wait for their replies, events, streams.

Replies come in any order and are matched by serial number.  When the connection breaks, whoever waits hears of it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from vmherd.errors import Cancelled, ConnectFailed, VmherdError
from vmherd.rpc import packet, protocol
from vmherd.rpc.channel import Channel, close_all
from vmherd.rpc.packet import Header, Packet, Status, Type, Unpacker
from vmherd.rpc.protocol import Procedure
from vmherd.rpc.xdr import BadMessage

#: Bytes of one message of a stream (VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX).
_CHUNK = 262120
#: Bytes of streams that wait for their readers before the peer has to wait.
_WAITING = 4 << 20


class Failure(NamedTuple):
    """An error reply: virErrorNumber, virErrorDomain, and the words; what to do and of which kind it is, if told."""

    code: int
    domain: int
    message: str
    hint: str = ""
    kind: str = ""


class Reply(NamedTuple):
    """What a call returned: the fields of the result, and descriptors, which are the caller's to close."""

    values: Sequence[Any]
    fds: Sequence[int] = ()


class Caller:
    """A connection to a server.

    ``raises`` makes an exception of an error reply; ``told`` hears events; ``lost`` is called once when the connection
    is gone, with the reason.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        raises: Callable[[Failure], VmherdError],
        told: Callable[[Procedure, Sequence[Any]], None] = lambda procedure, values: None,
        lost: Callable[[VmherdError], None] = lambda reason: None,
    ) -> None:
        self._channel = channel
        self._raises = raises
        self._told = told
        self._lost = lost
        self._unpacker = Unpacker()
        self._serials = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Packet]] = {}
        self._streams: dict[int, Stream] = {}
        self._held: set[Stream] = set()
        self._gone: VmherdError | None = None
        self._keepalive: asyncio.TimerHandle | None = None
        self._heard = time.monotonic()
        channel.receive = self._received
        channel.drained = self._drained
        channel.resume()

    async def call(self, name: str, *arguments: Any, program: str = "remote", fds: Sequence[int] = ()) -> Any:
        """Call a procedure: the result's fields as a tuple, its only field itself, None where there is none.

        Raises what ``raises`` makes of an error reply, ConnectFailed once the connection is gone.
        """
        procedure = protocol.program(program).by_name[name]
        reply = await self.exchange(procedure, arguments, fds)
        close_all(reply.fds)
        if not procedure.ret:
            return None
        single = len(procedure.program.fields(procedure.ret)) == 1
        return reply.values[0] if single else reply.values

    async def exchange(self, procedure: Procedure, arguments: Sequence[Any], fds: Sequence[int] = ()) -> Reply:
        """Call a procedure that takes or returns descriptors; those given are closed."""
        answer = await self._ask(procedure, arguments, fds)
        codec = procedure.result
        return Reply(codec.decode(answer.body, 0)[0] if codec else (), answer.fds)

    async def open_stream(self, name: str, *arguments: Any) -> Stream:
        """Call a procedure that opens a stream."""
        procedure = protocol.program("remote").by_name[name]
        stream = Stream(self, procedure)
        answer = await self._ask(procedure, arguments, (), stream)
        if codec := procedure.result:
            stream.values = codec.decode(answer.body, 0)[0]
        return stream

    async def _ask(
        self, procedure: Procedure, arguments: Sequence[Any], fds: Sequence[int], stream: Stream | None = None
    ) -> Packet:
        if self._gone:
            close_all(fds)
            raise self._gone
        serial = next(self._serials)
        owner, codec = procedure.program, procedure.arguments
        body = codec.encode(arguments) if codec else b""
        kind = Type.CALL_WITH_FDS if fds else Type.CALL
        header = Header(owner.number, owner.version, procedure.number, kind, serial, Status.OK)
        future: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()
        self._waiting[serial] = future
        if stream:
            # Data may come right behind the reply, so it has its place before.
            stream.serial = serial
            self._streams[serial] = stream
        self._channel.send(packet.pack_with_fds(header, body, fds) if fds else packet.pack(header, body), fds)
        try:
            return await future
        except BaseException:
            self._streams.pop(serial, None)
            raise
        finally:
            self._waiting.pop(serial, None)

    def send_stream(self, stream: Stream, status: Status, body: bytes = b"", kind: Type = Type.STREAM) -> None:
        """Send a message of a stream."""
        owner = stream.procedure.program
        header = Header(owner.number, owner.version, stream.procedure.number, kind, stream.serial, status)
        self._channel.send(packet.pack(header, body))

    @property
    def busy(self) -> bool:
        """Whether so much waits for the peer that streams should wait, too."""
        return self._channel.waiting > _CHUNK

    # What comes in

    def _received(self, data: bytes, fds: Sequence[int]) -> None:
        if not data:
            self._end(ConnectFailed("the connection was closed by the other end", hint="connect again"))
            return
        self._heard = time.monotonic()
        try:
            for message in self._unpacker.feed(data, fds):
                self._take(message)
        except BadMessage as problem:
            self._end(ConnectFailed(f"the other end does not speak libvirt's protocol: {problem}"))

    def _take(self, message: Packet) -> None:
        header = message.header
        match header.type:
            case Type.REPLY | Type.REPLY_WITH_FDS:
                self._answered(message)
            case Type.STREAM | Type.STREAM_HOLE:
                if stream := self._streams.get(header.serial):
                    stream.take(message)
            case Type.EVENT if header.program == packet.KEEPALIVE_PROGRAM:
                if header.procedure == packet.PING:
                    self._channel.send(packet.pack(_PING._replace(procedure=packet.PONG)))
            case Type.EVENT:
                self._tell(message)

    def _answered(self, message: Packet) -> None:
        future = self._waiting.get(message.header.serial)
        if future is None or future.done():
            close_all(message.fds)
        elif message.header.status == Status.OK:
            future.set_result(message)
        else:
            future.set_exception(self.failure(message.body))

    def _tell(self, message: Packet) -> None:
        for name in ("remote", "qemu"):
            owner = protocol.program(name)
            if owner.number == message.header.program and message.header.procedure in owner.procedures:
                procedure = owner.procedures[message.header.procedure]
                if procedure.event and (codec := procedure.arguments):
                    self._told(procedure, codec.decode(message.body, 0)[0])

    def failure(self, body: bytes) -> VmherdError:
        """The exception of an error reply."""
        told = protocol.program("remote").codec("error").decode(body, 0)[0]
        message = told.message or "no reason given"
        return self._raises(Failure(told.code, told.domain, message, told.str2 or "", told.str3 or ""))

    def _drained(self) -> None:
        for stream in list(self._streams.values()):
            stream.drained()

    def hold(self, stream: Stream, held: bool) -> None:
        """Hear nothing while a stream has more than its reader takes."""
        if held:
            self._held.add(stream)
            self._channel.pause()
        else:
            self._held.discard(stream)
            if not self._held:
                self._channel.resume()

    def forget(self, stream: Stream) -> None:
        """A stream is over."""
        self._streams.pop(stream.serial, None)
        self.hold(stream, False)

    # Life

    def keep_alive(self, interval: float, count: int) -> None:
        """Ask the peer every ``interval`` seconds in which it says nothing; after ``count`` questions it is gone."""
        loop = asyncio.get_running_loop()
        if self._held:
            self._heard = time.monotonic()  # one whom we do not listen to cannot answer
        silent = time.monotonic() - self._heard
        if silent > interval * (count + 1):
            self._end(ConnectFailed(f"the other end has said nothing for {silent:.0f} s"))
            return
        if silent >= interval:
            self._channel.send(packet.pack(_PING))
        self._keepalive = loop.call_later(interval, self.keep_alive, interval, count)

    def close(self) -> None:
        """Close the connection; whoever waits for a reply hears of it."""
        self._end(Cancelled("the connection was closed"))

    def _end(self, reason: VmherdError) -> None:
        if self._gone:
            return
        self._gone = reason
        if self._keepalive:
            self._keepalive.cancel()
        self._channel.close()
        self._unpacker.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(reason)
        for stream in list(self._streams.values()):
            stream.broke(reason)
        self._lost(reason)


class Stream:
    """Bytes beside the calls, in both directions.  Use ``finish`` at the end, or ``abort``."""

    def __init__(self, caller: Caller, procedure: Procedure) -> None:
        self.procedure = procedure
        self.serial = 0
        #: What the call that opened it returned.
        self.values: Sequence[Any] = ()
        self._caller = caller
        #: What came and was not read: bytes, or the length of a hole.
        self._parts: deque[bytes | int] = deque()
        self._size = 0
        self._arrived = asyncio.Event()
        self._clear = asyncio.Event()
        self._ended = self._over = self._confirmed = False
        self._problem: VmherdError | None = None

    def take(self, message: Packet) -> None:
        """A message of the other end."""
        match message.header.type, message.header.status:
            case Type.STREAM, Status.CONTINUE if message.body:
                self._parts.append(message.body)
                self._size += len(message.body)
                if self._size > _WAITING:
                    self._caller.hold(self, True)
            case Type.STREAM, Status.CONTINUE:
                self._ended = True
            case Type.STREAM_HOLE, _:
                length, _ = protocol.HOLE.decode(message.body, 0)[0]
                if length > 0:
                    self._parts.append(length)
            case _, Status.OK:
                self._ended = self._confirmed = True
            case _:
                self.broke(self._caller.failure(message.body))
        self._arrived.set()

    def broke(self, problem: VmherdError) -> None:
        """Nothing more comes, and this is why."""
        self._problem = problem
        self._caller.forget(self)
        self._arrived.set()
        self._clear.set()

    def drained(self) -> None:
        self._clear.set()

    async def read(self, size: int = 65536) -> bytes:
        """At least one byte, at most ``size``, a hole as zeros; b"" at the end.  Raises what broke the stream."""
        part = await self.receive()
        if isinstance(part, int):
            return self._left(bytes(min(part, size)), max(part - size, 0))
        self._size += len(part[size:])
        return self._left(part[:size], part[size:])

    async def receive(self) -> bytes | int:
        """Bytes as they came, or the length of a hole; b"" at the end.  Raises what broke the stream."""
        while not self._parts and not self._ended and not self._problem:
            self._arrived.clear()
            await self._arrived.wait()
        if not self._parts:
            if self._problem:
                raise self._problem
            return b""
        part = self._parts.popleft()
        if not isinstance(part, int):
            self._size -= len(part)
            if self._size <= _WAITING:
                self._caller.hold(self, False)
        return part

    def _left(self, data: bytes, rest: bytes | int) -> bytes:
        if rest:
            self._parts.appendleft(rest)
        return data

    async def write(self, data: bytes) -> None:
        """Send all of ``data``."""
        for at in range(0, len(data), _CHUNK):
            await self._room()
            self._caller.send_stream(self, Status.CONTINUE, data[at : at + _CHUNK])

    async def skip(self, length: int) -> None:
        """Send a hole."""
        await self._room()
        self._caller.send_stream(self, Status.CONTINUE, protocol.HOLE.encode((length, 0)), Type.STREAM_HOLE)

    async def _room(self) -> None:
        """Wait until the other end takes more; raises what broke the stream."""
        while self._caller.busy and not self._problem:
            self._clear.clear()
            await self._clear.wait()
        if self._problem:
            raise self._problem

    async def finish(self) -> None:
        """Say that everything was sent, and wait until the other end has it all."""
        if self._over:
            return
        self._over = True
        if not self._problem:
            self._caller.send_stream(self, Status.OK)
        while not self._confirmed and not self._problem:
            self._arrived.clear()
            self._parts.clear()
            self._caller.hold(self, False)
            await self._arrived.wait()
        self._caller.forget(self)
        if self._problem:
            raise self._problem

    async def close(self) -> None:
        """Break off; nothing more is read."""
        if not self._over:
            self._over = True
            if not self._problem:
                self._caller.send_stream(self, Status.ERROR)
            self._caller.forget(self)


_PING = Header(packet.KEEPALIVE_PROGRAM, packet.KEEPALIVE_VERSION, packet.PING, Type.EVENT, 0, Status.OK)
