"""The ways to another host: sockets, ssh, any program that carries bytes, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import socket
import ssl
from collections.abc import Awaitable, Callable

from vmherd.errors import ConnectFailed
from vmherd.remote.target import Target, sockets
from vmherd.rpc.channel import Channel, SocketChannel, StreamChannel
from vmherd.util.sockets import connect_unix

#: Seconds for a connection to another machine to be made.
_PATIENCE = 30.0
#: Seconds between tries.
_TURN = 0.05


class Way:
    """An open way: its channel, and what is known of its safety."""

    def __init__(self, channel: Channel, *, secure: bool, encrypted: bool, passes_fds: bool = False) -> None:
        self.channel = channel
        self.secure = secure
        self.encrypted = encrypted
        self.passes_fds = passes_fds
        self.program: Program | None = None

    async def close(self) -> None:
        """After the channel was closed: end the program that carried it."""
        if self.program:
            await self.program.end()


async def open_way(target: Target, *, readonly: bool) -> Way:
    """Connect.  Raises ConnectFailed with the reason."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await _WAYS[target.transport](target, readonly)
    except TimeoutError:
        raise ConnectFailed(f"{target.host} does not answer", hint="check that it is up and may be reached") from None


async def _unix(target: Target, readonly: bool) -> Way:
    while True:
        try:
            sock = _connected(target, readonly)
        except BlockingIOError:  # so many want to be let in that the daemon has not come to us
            await asyncio.sleep(_TURN)
        else:
            return Way(SocketChannel(sock), secure=True, encrypted=False, passes_fds=True)


def _connected(target: Target, readonly: bool) -> socket.socket:
    """The first socket somebody listens at; what keeps us from one is told if there is no other."""
    paths = sockets(target, readonly=readonly)
    trouble: OSError | None = None
    for path in paths:
        try:
            return connect_unix(path)
        except (FileNotFoundError, ConnectionRefusedError):
            continue
        except BlockingIOError:
            raise
        except OSError as problem:
            trouble = trouble or problem
    if trouble:
        hint = "be root, or one of the group that may use it" if isinstance(trouble, PermissionError) else ""
        raise ConnectFailed(f"cannot connect to the daemon: {trouble.strerror}", hint=hint)
    places = ", ".join(map(str, paths))
    raise ConnectFailed(f"no daemon listens at {places}", hint="start 'vmherd daemon' or libvirtd, or name its socket")


async def _tcp(target: Target, _: bool) -> Way:
    return Way(SocketChannel(await _reached(target)), secure=False, encrypted=False)


async def _reached(target: Target) -> socket.socket:
    """A connected TCP socket."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as problem:
        raise ConnectFailed(f"there is no host {target.host!r}: {problem.strerror}") from None
    trouble: OSError | None = None
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
        except OSError as problem:
            sock.close()
            trouble = problem
        except BaseException:
            sock.close()
            raise
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    reason = trouble.strerror if trouble else "it has no address"
    raise ConnectFailed(f"cannot connect to {target.host} port {target.port}: {reason}")


async def _tls(target: Target, _: bool) -> Way:
    """libvirt's server says in one byte whether it likes the client's certificate."""
    from vmherd.remote.tls import client_context

    context = client_context(target)
    sock = await _reached(target)
    verdict: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    channels: list[StreamChannel] = []
    try:
        name = None if target.no_verify else target.host
        await asyncio.get_running_loop().create_connection(
            lambda: StreamChannel(channels.append), sock=sock, ssl=context, server_hostname=name or ""
        )
    except (OSError, ssl.SSLError) as problem:
        sock.close()
        raise ConnectFailed(f"TLS with {target.host} failed: {_reason(problem)}", hint=_CERTIFICATES) from None
    (channel,) = channels
    _first_byte(channel, verdict)
    if await verdict != b"\1":
        channel.close()
        raise ConnectFailed(f"{target.host} does not accept our certificate", hint=_CERTIFICATES)
    return Way(channel, secure=True, encrypted=True)


_CERTIFICATES = "see https://libvirt.org/kbase/tlscerts.html; ?pkipath=FOLDER names another folder of certificates"


def _reason(problem: Exception) -> str:
    return getattr(problem, "verify_message", "") or getattr(problem, "reason", "") or str(problem)


def _first_byte(channel: StreamChannel, verdict: asyncio.Future[bytes]) -> None:
    """Give ``verdict`` the byte; what comes right behind it waits for the protocol."""

    def receive(data: bytes, fds: object) -> None:
        channel.pause()
        if not verdict.done():
            verdict.set_result(data[:1])

    channel.receive = receive
    channel.resume()


async def _ssh(target: Target, readonly: bool) -> Way:
    from vmherd.remote.ssh import command

    return await _carried(command(target, readonly=readonly), secure=True)


async def _ext(target: Target, _: bool) -> Way:
    return await _carried(shlex.split(target.command), secure=False)


async def _carried(words: list[str], *, secure: bool) -> Way:
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as problem:
            ours.close()
            raise ConnectFailed(f"cannot run {words[0]}: {problem.strerror}") from None
    way = Way(SocketChannel(ours), secure=secure, encrypted=secure)
    way.program = Program(process)
    return way


class Program:
    """A program that carries our bytes, and what it complains of."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said = b""
        self._listener = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        assert self._process.stderr
        while data := await self._process.stderr.read(4096):
            self._said = (self._said + data)[-4096:]

    async def complaint(self) -> str:
        """What it said before it ended; "" if nothing, or if it goes on."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.shield(self._listener)
        return self._said.decode(errors="replace").strip()

    async def end(self) -> None:
        """Its input has ended; if that is not enough, it is killed."""
        try:
            async with asyncio.timeout(2):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._listener.cancel()


_WAYS: dict[str, Callable[[Target, bool], Awaitable[Way]]] = {
    "unix": _unix,
    "tcp": _tcp,
    "tls": _tls,
    "ssh": _ssh,
    "ext": _ext,
}
