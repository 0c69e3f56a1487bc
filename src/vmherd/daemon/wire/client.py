"""One client: its messages in, the answers out.

A client that breaks the rules of the protocol is cut off; one that sends too much at once, or reads too slowly, waits.
Nothing it does makes others wait, and it can hold only so much of the daemon's memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from vmherd.daemon.wire import dispatch, failure, scope
from vmherd.daemon.wire.dispatch import Handler
from vmherd.daemon.wire.terms import Identity, Limits, Service
from vmherd.errors import Cancelled, Denied, DomainNotFound, InvalidState
from vmherd.rpc import packet
from vmherd.rpc.channel import Channel, close_all
from vmherd.rpc.packet import Header, Packet, Status, Type, Unpacker
from vmherd.rpc.protocol import Procedure
from vmherd.rpc.xdr import BadMessage

if TYPE_CHECKING:
    from vmherd.daemon.wire.events import Callbacks
    from vmherd.daemon.wire.monitorevents import MonitorCallbacks
    from vmherd.daemon.wire.resourceevents import ResourceCallbacks
    from vmherd.daemon.wire.streams import Stream
    from vmherd.driver.hypervisor import HypervisorDriver
    from vmherd.driver.types import DomainInfo

log = logging.getLogger("vmherd.wire")

#: Bytes that a client must take before it is heard again.
_SLOW = 1 << 20
#: Bytes that wait for a client beyond which it is given up: it reads nothing, and events go on.
_GIVEN_UP = 64 << 20
#: The largest message before a connection is open: enough for its name.
_FIRST = 65536
#: Seconds in which a client can make use of its last answer from a daemon that leaves.
_FAREWELL = 0.25


#: How a call comes to its result.
Answer = Callable[[Handler, "Call", Sequence[Any]], Coroutine[Any, Any, Any]]


class Call:
    """One call while it is answered."""

    __slots__ = ("_driver", "answered", "began", "client", "fds", "header", "procedure")

    def __init__(self, client: Client, header: Header, procedure: Procedure, fds: list[int]) -> None:
        self.client = client
        self.header = header
        self.procedure = procedure
        #: Descriptors that came along; those that are still in the list after the call are closed.
        self.fds = fds
        #: Descriptors that go with the answer, which closes them.
        self.answered: list[int] = []
        self.began = time.monotonic()
        self._driver = client.driver

    def note(self, problem: BaseException | None = None) -> None:
        """Write into the log how it went."""
        if not log.isEnabledFor(logging.DEBUG):
            return
        number, name, seconds = self.client.number, self.procedure.name, time.monotonic() - self.began
        about = {"client": number, "procedure": name, "seconds": round(seconds, 6)}
        if problem is not None:
            about["error"] = str(problem)
        result = f"failed: {problem}" if problem is not None else "is answered"
        log.debug("client %d: %s %s (%.1f ms)", number, name, result, seconds * 1000, extra={"about": about})

    @property
    def driver(self) -> HypervisorDriver:
        """The driver of the client's open connection."""
        if self._driver is None:
            raise InvalidState("the connection is not open", hint="open it first")
        return self._driver

    async def domains(self, *, reading: bool = False) -> list[DomainInfo]:
        """Every domain that the client may know of, or with ``reading`` ask what it does, ordered by name."""
        infos = await self.driver.domain_list()
        holder = self.client.holder
        if holder.sees_all(reading=reading):
            return infos
        return [info for info in infos if holder.sees(info.name, info.uuid, reading=reading)]


class Client:
    """A connected client.  ``opened`` is called when it has said what it wants here, ``closed`` when it is gone."""

    def __init__(
        self,
        number: int,
        channel: Channel,
        service: Service,
        *,
        identity: Identity,
        readonly: bool,
        limits: Limits,
        opened: Callable[[Client], None],
        closed: Callable[[Client], None],
    ) -> None:
        self.number = number
        self.identity = identity
        self.readonly = readonly
        self.since = time.time()
        self.limits = limits
        self.service = service
        self.holder = service.admit(identity, readonly)
        self.driver: HypervisorDriver | None = None
        #: Whether it has said what it wants here; those who do not are cut off after a while.
        self.opened = False
        self.callbacks: Callbacks | None = None
        self.monitor_callbacks: MonitorCallbacks | None = None
        self.resource_callbacks: ResourceCallbacks | None = None
        self.streams: dict[int, Stream] = {}
        self._channel = channel
        self._unpacker = Unpacker(_FIRST)
        self._welcomed = opened
        self._closed = closed
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue: deque[Packet] = deque()
        self._to_destroy: list[str] = []
        self._held: set[Stream] = set()
        self._afterwards: set[asyncio.Future[None]] = set()
        self._pings = 0
        self._heard = time.monotonic()
        self._leaving = self._deaf = self._ending = self._gone = False
        self._farewell: asyncio.TimerHandle | None = None
        self._keepalive: asyncio.TimerHandle | None = None
        channel.receive = self._received
        channel.drained = self._drained
        channel.resume()

    # What comes in

    def _received(self, data: bytes, fds: Sequence[int]) -> None:
        if not data:
            self.close()
            return
        self._heard = time.monotonic()
        try:
            for message in self._unpacker.feed(data, fds):
                if self._ending or self._gone:
                    return
                self._take(message)
        except BadMessage as problem:
            log.warning("client %d is cut off: %s", self.number, problem)
            self.close()

    def _take(self, message: Packet) -> None:
        header = message.header
        if header.program == packet.KEEPALIVE_PROGRAM:
            self._ping(header)
        elif header.type in _CALLS:
            self._queue.append(message)
            self._next()
        elif header.type in (Type.STREAM, Type.STREAM_HOLE):
            self._stream(message)
        else:
            raise BadMessage(f"a message of type {header.type} from a client")

    def _stream(self, message: Packet) -> None:
        stream = self.streams.get(message.header.serial)
        if stream and stream.procedure == message.header.procedure:
            stream.take(message)
        # A stream that ended on our side is written to until the client hears of it.

    def _next(self) -> None:
        """Begin calls that wait, as many as a client may have at once; hear no more while there are."""
        while self._queue and len(self._tasks) < self.limits.calls and not (self._gone or self._deaf):
            self._begin(self._queue.popleft())
        self._pace()

    def _pace(self) -> None:
        if self._queue or self._held or self._channel.waiting > _SLOW or self._ending or self._deaf:
            self._channel.pause()
        elif not self._gone:
            self._channel.resume()

    def hold(self, stream: Stream) -> None:
        """Hear no more of the client before ``stream`` has passed on what it sent."""
        self._held.add(stream)
        self._pace()

    def unhold(self, stream: Stream) -> None:
        """``stream`` takes more."""
        if stream in self._held:
            self._held.discard(stream)
            self._pace()

    def _drained(self) -> None:
        if self._ending:
            self.close()
            return
        self._pace()
        for stream in list(self.streams.values()):
            stream.drained()

    # Calls

    def _begin(self, message: Packet) -> None:
        header = message.header
        fds = list(message.fds)
        call = None
        try:
            handler = dispatch.find(header.program, header.version, header.procedure, self.service.programs)
            call = Call(self, header, handler.procedure, fds)
            if not self.opened and not handler.early:
                raise Denied("the connection is not open", hint="open it first")
            arguments = handler.decode(message.body)
            anywhere = self.holder.require(handler.rule, arguments)
            if anywhere and not handler.waits:
                self.reply(header, handler.encode(handler.function(call, *arguments)))
                call.note()
                close_all(fds)
                return
        except Exception as problem:  # noqa: BLE001  whatever it is, it is this call's
            self.fail(header, problem)
            if call is not None:
                call.note(problem)
            close_all(fds)
            return
        answer = Handler.answer if anywhere else scope.answer
        task = asyncio.create_task(self._answer(handler, call, arguments, answer))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def _answer(self, handler: Handler, call: Call, arguments: Sequence[Any], answer: Answer) -> None:
        try:
            result = handler.encode(await answer(handler, call, arguments))
        except Exception as problem:  # noqa: BLE001  as above
            self.fail(call.header, problem)
            call.note(problem)
        else:
            self.reply(call.header, result, call.answered)
            call.answered = []
            call.note()
        finally:
            close_all([*call.fds, *call.answered])

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._deaf and not self._tasks:
            self.finish()
        elif self._queue:
            self._next()
        elif self._leaving and not self._tasks and self._farewell is None:
            self._farewell = asyncio.get_running_loop().call_later(_FAREWELL, self._hear_no_more)

    @property
    def queued(self) -> int:
        """How many calls wait until others are answered."""
        return len(self._queue)

    def reply(self, header: Header, body: bytes = b"", fds: Sequence[int] = ()) -> None:
        """Answer a call."""
        if fds:
            answer = header._replace(type=Type.REPLY_WITH_FDS, status=Status.OK)
            self._send(packet.pack_with_fds(answer, body, fds), fds)
        else:
            self._send(packet.reply(header, body))

    def fail(self, header: Header, problem: BaseException) -> None:
        """Answer a call, or a message of a stream, with an error."""
        kind = Type.STREAM if header.type in (Type.STREAM, Type.STREAM_HOLE) else Type.REPLY
        body = failure.body(problem, self.driver.name if self.driver else "")
        self._send(packet.pack(header._replace(type=kind, status=Status.ERROR), body))

    def tell(self, procedure: Procedure, values: Sequence[Any]) -> None:
        """Send an event."""
        program = procedure.program
        header = Header(program.number, program.version, procedure.number, Type.EVENT, 0, Status.OK)
        codec = procedure.arguments
        self._send(packet.pack(header, codec.encode(values) if codec else b""))

    def send_stream(self, header: Header, body: bytes) -> None:
        """Send a message of a stream."""
        self._send(packet.pack(header, body))

    @property
    def slow(self) -> bool:
        """Whether so much waits for the client that streams should wait, too."""
        return self._channel.waiting > _SLOW

    def _send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        if self._gone:
            return
        self._channel.send(data, fds)
        if self._channel.waiting > _SLOW:
            if self._channel.waiting > _GIVEN_UP:
                log.warning("client %d is cut off: it does not read", self.number)
                self.close()
            else:
                self._pace()

    # Life

    async def open(self, uri: str, *, readonly: bool) -> None:
        """Open the connection to a driver.  Raises InvalidState if there is one."""
        if self.driver is not None:
            raise InvalidState("the connection is open already")
        driver = await self.service.hosts.acquire(uri)
        if self._gone or self.driver is not None:
            self.service.hosts.release(driver)
            raise InvalidState("the connection is open already")
        if readonly and not self.readonly:
            self.readonly = True
            self.holder = self.service.admit(self.identity, True)
        self.driver = driver
        self.welcome()

    def welcome(self) -> None:
        """It belongs here: it may stay, and send large messages."""
        self.opened = True
        self._welcomed(self)
        self._unpacker.largest = self.limits.message

    def admit_anew(self) -> None:
        """Find out again what it may do: the settings have changed."""
        self.holder = self.service.admit(self.identity, self.readonly)

    def watch(self) -> None:
        """Begin to ask the client whether it is there: it has said that it answers."""
        if self._keepalive is None and self.limits.keepalive_interval > 0:
            self._later()

    def _later(self) -> None:
        loop = asyncio.get_running_loop()
        self._keepalive = loop.call_later(self.limits.keepalive_interval, self._ask)

    def _ask(self) -> None:
        # One whom we do not listen to cannot answer.
        if self._held or self._queue or time.monotonic() - self._heard < self.limits.keepalive_interval:
            self._pings = 0
        elif self._pings >= self.limits.keepalive_count:
            log.info("client %d is cut off: it does not answer", self.number)
            self.close()
            return
        else:
            self._pings += 1
            self._send(packet.pack(_KEEPALIVE._replace(procedure=packet.PING)))
        self._later()

    def _ping(self, header: Header) -> None:
        if header.procedure == packet.PING:
            self._send(packet.pack(_KEEPALIVE._replace(procedure=packet.PONG)))
        self._pings = 0

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that the client does not wait for."""
        task = asyncio.ensure_future(work)
        self._afterwards.add(task)
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Future[None]) -> None:
        self._afterwards.discard(task)
        if not task.cancelled() and (problem := task.exception()):
            log.info("client %d: %s", self.number, problem)

    def leave(self) -> None:
        """Close once the calls under way are answered, and what a client asks right after; streams end now.

        A client may need another call to make use of an answer: libvirt's looks up a guest that it has started.
        """
        self._leaving = True
        for stream in list(self.streams.values()):
            stream.fail(Cancelled("the daemon is stopping"))
        if not self._tasks:
            self._hear_no_more()

    def _hear_no_more(self) -> None:
        self._deaf = True
        self._pace()
        if not self._tasks:
            self.finish()

    async def settle(self) -> None:
        """Wait for what goes on although the client is gone."""
        if self._afterwards:
            await asyncio.wait(self._afterwards)

    def finish(self) -> None:
        """Close once everything that waits was sent."""
        self._ending = True
        self._channel.pause()
        if not self._channel.waiting:
            self.close()

    def destroy_at_end(self, uuid: str) -> None:
        """Pull a guest's plug when the client is gone (VIR_DOMAIN_START_AUTODESTROY)."""
        self._to_destroy.append(uuid)

    async def _destroy(self, driver: HypervisorDriver, uuid: str) -> None:
        with contextlib.suppress(DomainNotFound, InvalidState):  # it has ended before
            await driver.domain_poweroff(uuid)

    def close(self) -> None:
        """Let go of the client and of everything it holds; its calls are cancelled."""
        if self._gone:
            return
        self._gone = True
        for timer in (self._keepalive, self._farewell):
            if timer:
                timer.cancel()
        self._channel.close()
        self._unpacker.close()
        self._queue.clear()
        for task in self._tasks:
            task.cancel()
        for stream in list(self.streams.values()):
            stream.drop()
        for callbacks in (self.callbacks, self.monitor_callbacks, self.resource_callbacks):
            if callbacks:
                callbacks.close()
        if self.driver is not None:
            for uuid in self._to_destroy:
                self.background(self._destroy(self.driver, uuid))
            self.service.hosts.release(self.driver)
        self._closed(self)


_CALLS = (Type.CALL, Type.CALL_WITH_FDS)
_KEEPALIVE = Header(packet.KEEPALIVE_PROGRAM, packet.KEEPALIVE_VERSION, packet.PING, Type.EVENT, 0, Status.OK)
