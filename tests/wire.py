"""A wire server for tests: in a thread of its own, on a UNIX socket, over any driver; and a raw client."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from vmherd.daemon.access import known_names
from vmherd.daemon.config import Access
from vmherd.daemon.policy import Policy, Who
from vmherd.daemon.wire import terms
from vmherd.daemon.wire.dispatch import PROGRAMS
from vmherd.daemon.wire.gate import ServerLimits
from vmherd.daemon.wire.hosts import Hosts
from vmherd.daemon.wire.server import Server
from vmherd.daemon.wire.terms import Identity, Limits
from vmherd.rpc import packet, protocol
from vmherd.rpc.packet import Header, Packet, Status, Type, Unpacker

REMOTE = protocol.program("remote")


class Service:
    """A server that runs, and the loop it runs in."""

    def __init__(self, path: Path, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.path = path
        self.server = server
        self.loop = loop
        #: What went wrong in the server in a way that nobody meant.
        self.mistakes: list[str] = []

    def do(self, work: Any) -> Any:
        """Call ``work`` in the server's thread."""

        async def run() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)


@contextmanager
def serving(
    path: Path,
    uri: str = "test:///default",
    *,
    limits: ServerLimits | None = None,
    client_limits: Limits | None = None,
    access: Access | None = None,
) -> Iterator[Service]:
    """Serve ``uri`` on the socket ``path``; with ``access``, as to a user who does not run it."""
    policy = Policy(known_names(), access or Access(), own=None if access is None else -1)
    started: list[Service] = []
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        hosts = Hosts(uri)
        await hosts.acquire("")
        offered = terms.Service(
            hosts=hosts, programs=PROGRAMS, admit=lambda who, readonly: policy.holder(_who(who), readonly=readonly)
        )
        server = Server(offered, limits=limits, client_limits=client_limits)
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
        server.listen(sock)
        started.append(Service(path, server, asyncio.get_running_loop()))
        ready.set()
        await stop.wait()
        await server.close()
        await hosts.close()

    thread = threading.Thread(target=asyncio.run, args=[main()])
    thread.start()
    handler = logging.Handler(logging.ERROR)
    logging.getLogger("vmherd").addHandler(handler)
    try:
        assert ready.wait(20)
        handler.emit = lambda record: started[0].mistakes.append(record.getMessage())  # type: ignore[method-assign]
        yield started[0]
    finally:
        logging.getLogger("vmherd").removeHandler(handler)
        started[0].loop.call_soon_threadsafe(stop.set)
        thread.join(20)


def _who(identity: Identity) -> Who:
    return Who(uid=identity.uid, gids=identity.groups)


class RawClient:
    """Says what it is told to, well-formed or not, and reads what comes back."""

    def __init__(self, path: Path, *, patience: float = 10.0) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.socket.settimeout(patience)
        self._unpacker = Unpacker()
        self._packets: list[Packet] = []
        self._serial = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def open(self, uri: str = "test:///default") -> Self:
        self.call("auth_list")
        self.call("connect_open", uri, 0)
        return self

    def message(self, name: str, *arguments: Any) -> bytes:
        """The bytes of a call."""
        self._serial += 1
        procedure = REMOTE.by_name[name]
        body = procedure.arguments.encode(arguments) if procedure.arguments else b""
        return packet.pack(Header(REMOTE.number, REMOTE.version, procedure.number, Type.CALL, self._serial, 0), body)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def call(self, name: str, *arguments: Any) -> Sequence[Any]:
        """The result of a call.  Raises AssertionError with the server's words where it is an error."""
        self.send(self.message(name, *arguments))
        answer = self.receive()
        assert answer.header.status == Status.OK, self.words(answer)
        codec = REMOTE.by_name[name].result
        return codec.decode(answer.body, 0)[0] if codec else ()

    def receive(self) -> Packet:
        """The next message of the server.  Raises EOFError where it has closed the connection."""
        while not self._packets:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self._packets += self._unpacker.feed(data)
        return self._packets.pop(0)

    def ended(self) -> bool:
        """Whether the server closes the connection without another word."""
        try:
            self.receive()
        except (EOFError, ConnectionResetError):
            return True
        return False

    @staticmethod
    def words(answer: Packet) -> str:
        """What an error reply says."""
        return str(REMOTE.codec("error").decode(answer.body, 0)[0].message)
