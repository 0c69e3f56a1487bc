"""An open connection to another host's daemon, and what every operation over it rests on."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple, Self, TypeVar

import msgspec

from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.uri import ConnectURI
from vmherd.errors import ConnectFailed, Denied, NotSupported, OperationUnsupported, ReadOnly, VmherdError
from vmherd.events import DomainEvent, Subscription
from vmherd.remote.target import Target, target
from vmherd.remote.transport import Way, open_way
from vmherd.rpc import failure, protocol
from vmherd.rpc.caller import Caller, Stream
from vmherd.rpc.xdr import BadMessage

T = TypeVar("T")

log = logging.getLogger("vmherd.remote")

_READONLY = 1
_AUTH_NONE, _AUTH_SASL, _AUTH_POLKIT = range(3)

#: virDrvFeature: what a daemon may offer beyond the calls.
_KEEPALIVE = 10
#: Seconds between questions whether it is there, and how many without an answer end the connection (as virsh has it).
_BEAT, _BEATS = 5.0, 6
#: Seconds for a daemon to open a connection; the first of a boot looks at every QEMU binary.
_PATIENCE = 60.0
_POLKIT = "it asks polkit: the members of the group libvirt are let in, others give a password to an agent (pkttyagent)"


class DomainRef(NamedTuple):
    """How the protocol names a domain.  Daemons go by the UUID alone."""

    name: str
    uuid: str
    id: int = -1


class RemoteConnection(HypervisorDriver):
    """The subjects of the driver are built on this."""

    #: Whether the daemon has vmherd's own program, as far as is known.
    _speaks = True

    def __init__(self, uri: ConnectURI, way: Way, *, readonly: bool = False) -> None:
        super().__init__(uri, readonly=readonly)
        self._way = way
        self._names: dict[str, str] = {}
        self._gone = False
        self._tasks: set[asyncio.Future[Any]] = set()
        self._subscriptions: list[Subscription[DomainEvent]] = []
        self._caller = Caller(way.channel, raises=failure.raised, told=self._told, lost=self._lost)

    @classmethod
    async def open(cls, uri: ConnectURI, *, readonly: bool = False) -> Self:
        wanted = target(uri)
        driver = cls(uri, await open_way(wanted, readonly=readonly), readonly=readonly)
        try:
            async with asyncio.timeout(_PATIENCE):
                await driver._greet(wanted)
        except BaseException as problem:
            explained = await driver._explained(problem)
            await driver._drop()
            if explained:
                raise explained from None
            raise
        return driver

    async def _greet(self, wanted: Target) -> None:
        await self._authenticate()
        if await self._caller.call("connect_supports_feature", _KEEPALIVE):
            self._caller.keep_alive(_BEAT, _BEATS)
        await self._caller.call("connect_open", wanted.name, _READONLY if self.readonly else 0)
        self.name = await self._caller.call("connect_get_type")

    async def _authenticate(self) -> None:
        """A daemon that knows us already asks for nothing."""
        ways = await self._caller.call("auth_list")
        if not ways or _AUTH_NONE in ways:
            return
        if _AUTH_POLKIT in ways:
            try:
                await self._caller.call("auth_polkit")
            except VmherdError as problem:
                raise Denied(f"the daemon does not let us in: {problem}", hint=_POLKIT) from None
            return
        raise Denied(
            "the daemon wants a password (SASL), which is not supported",
            hint="connect by ssh or TLS, or allow this user the daemon's UNIX socket",
        )

    async def _explained(self, problem: BaseException) -> VmherdError | None:
        """What to tell of an opening that failed, where the reason itself says too little."""
        match problem:
            case TimeoutError():
                return ConnectFailed("the daemon does not answer", hint="it may hang; its log may tell why")
            case ConnectFailed() if self._way.program:
                said = await self._way.program.complaint()
                return ConnectFailed(said or problem.message, hint=problem.hint) if said else None
        return None

    async def close(self) -> None:
        if not self._gone:
            try:
                async with asyncio.timeout(2):
                    await self._caller.call("connect_close")
            except (VmherdError, TimeoutError):
                pass  # it is closed all the same
        await self._drop()

    async def _drop(self) -> None:
        self._caller.close()
        await self._way.close()

    # Calls

    async def call(self, name: str, *arguments: Any) -> Any:
        """Call a procedure of libvirt's main program: its result as a tuple, or the only field of that."""
        return await self._caller.call(name, *arguments)

    async def _call(self, name: str, *arguments: Any, program: str = "remote") -> Any:
        return await self._caller.call(name, *arguments, program=program)

    async def own(self, kind: type[T], name: str, *arguments: Any) -> T:
        """The answer of vmherd's own program.  Raises NotSupported where the daemon has no such program."""
        if not self._speaks:
            raise NotSupported(name, self.name)
        try:
            packed = await self._call(name, *arguments, program="vmherd")
        except VmherdError as problem:
            if problem.code != BadMessage.code:
                raise
            self._speaks = False
            raise NotSupported(name, self.name) from None
        return msgspec.msgpack.decode(packed, type=kind)

    async def _ask(self, uuid: str, name: str, *arguments: Any, program: str = "remote") -> Any:
        """A call about a domain."""
        return await self._caller.call(name, self._ref(uuid), *arguments, program=program)

    async def _change(self, uuid: str, name: str, *arguments: Any, program: str = "remote") -> Any:
        """A call that changes a domain."""
        self.require_writable()
        return await self._ask(uuid, name, *arguments, program=program)

    async def _long(self, uuid: str, name: str, *arguments: Any) -> Any:
        """A call that changes a domain and takes its time; it is aborted there if nobody waits for it here."""
        try:
            return await self._change(uuid, name, *arguments)
        except asyncio.CancelledError:
            self.afterwards(self._ask(uuid, "domain_abort_job"))
            raise

    def afterwards(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something that nobody waits for."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()):
            log.debug("%s", problem)

    async def _with_fds(self, uuid: str, name: str, *arguments: Any, fds: Sequence[int] = ()) -> Sequence[int]:
        """A call about a domain that takes or returns descriptors; those that it returned.

        Raises OperationUnsupported where the way cannot carry any.
        """
        self.require_writable()
        if not self._way.passes_fds:
            raise OperationUnsupported("file descriptors go over UNIX sockets only", hint="connect on that host itself")
        procedure = protocol.program("remote").by_name[name]
        copies = [os.dup(fd) for fd in fds]  # the channel closes what it has sent
        return (await self._caller.exchange(procedure, (self._ref(uuid), *arguments), copies)).fds

    async def _stream(self, uuid: str, name: str, *arguments: Any) -> Stream:
        """A call about a domain that opens a stream."""
        return await self._caller.open_stream(name, self._ref(uuid), *arguments)

    async def open_stream(self, name: str, *arguments: Any) -> Stream:
        """Call a procedure that opens a stream."""
        return await self._caller.open_stream(name, *arguments)

    def _ref(self, uuid: str) -> DomainRef:
        return DomainRef(self._names.get(uuid, ""), uuid)

    def require_writable(self) -> None:
        """Raise ReadOnly on a connection opened read-only."""
        if self.readonly:
            raise ReadOnly("this connection is read-only", hint="connect without the read-only option")

    # What comes by itself

    def _told(self, procedure: Any, values: Any) -> None:
        """An event; whoever asked for events overrides this."""

    def _lost(self, reason: VmherdError) -> None:
        """The connection is gone: nothing happens any more."""
        self._gone = True
        for subscription in list(self._subscriptions):
            subscription.close()
