"""The other end of the admin socket: for whoever manages a running daemon, be it vmherd's or libvirt's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from vmherd.driver.params import Kind, Value
from vmherd.errors import ConnectFailed
from vmherd.rpc.caller import Caller
from vmherd.rpc.channel import SocketChannel
from vmherd.rpc.failure import raised
from vmherd.rpc.params import plain, typed
from vmherd.util.sockets import connect_unix

#: virClientTransport.
_TRANSPORTS = {0: "unix", 1: "tcp", 2: "tls"}


class ClientInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A client; ``since`` is in seconds since the epoch, ``about`` by libvirt's names (VIR_CLIENT_INFO_*)."""

    number: int
    transport: str
    since: int
    about: dict[str, Value] = {}


class Admin:
    """A connection to an admin socket; use it as a context manager."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Raises ConnectFailed where no daemon listens, or not to us."""
        try:
            sock = connect_unix(path)
        except OSError as problem:
            hint = "'vmherd daemon' starts one; its admin socket is for the user it runs as"
            raise ConnectFailed(f"cannot connect to {path}: {problem.strerror}", hint=hint) from None
        admin = cls(Caller(SocketChannel(sock), raises=raised))
        await admin._ask("connect_open", 0)
        return admin

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._caller.close()

    async def _ask(self, name: str, *arguments: Any) -> Any:
        return await self._caller.call(name, *arguments, program="admin")

    # Servers and their clients

    async def servers(self) -> list[str]:
        return [server.name for server in (await self._ask("connect_list_servers", 1, 0)).servers]

    async def clients(self, server: str) -> list[ClientInfo]:
        found = (await self._ask("server_list_clients", (server,), 1, 0)).clients
        return [await self._described(client) for client in found]

    async def client(self, server: str, number: int) -> ClientInfo:
        """Raises NotFound."""
        return await self._described(await self._found(server, number))

    async def _found(self, server: str, number: int) -> Any:
        return await self._ask("server_lookup_client", (server,), number, 0)

    async def _described(self, client: Any) -> ClientInfo:
        return ClientInfo(
            number=client.id,
            transport=_TRANSPORTS.get(client.transport, "unknown"),
            since=client.timestamp,
            about=plain(await self._ask("client_get_info", client, 0)),
        )

    async def disconnect(self, server: str, number: int) -> None:
        """Close a client's connection.  Raises NotFound."""
        await self._ask("client_close", await self._found(server, number), 0)

    async def limits(self, server: str) -> Mapping[str, Value]:
        """By libvirt's names (VIR_SERVER_CLIENTS_*)."""
        return plain(await self._ask("server_get_client_limits", (server,), 0))

    async def set_limits(self, server: str, limits: Mapping[str, int]) -> None:
        params = typed(limits, lambda _: Kind.UINT)
        await self._ask("server_set_client_limits", (server,), params, 0)

    async def threads(self, server: str) -> Mapping[str, Value]:
        """By libvirt's names (VIR_THREADPOOL_*)."""
        return plain(await self._ask("server_get_threadpool_parameters", (server,), 0))

    async def renew_tls(self, server: str) -> None:
        """Have the certificates read anew.  Raises InvalidState where TLS is not spoken."""
        await self._ask("server_update_tls_files", (server,), 0)

    # The daemon

    async def log_filters(self) -> str:
        return (await self._ask("connect_get_logging_filters", 0)).filters or ""

    async def log_outputs(self) -> str:
        return str((await self._ask("connect_get_logging_outputs", 0)).outputs)

    async def set_log_filters(self, text: str) -> None:
        await self._ask("connect_set_logging_filters", text or None, 0)

    async def set_log_outputs(self, text: str) -> None:
        await self._ask("connect_set_logging_outputs", text or None, 0)

    async def stay(self, seconds: int) -> None:
        """Have the daemon leave after that many seconds without need; 0: never."""
        await self._ask("connect_set_daemon_timeout", seconds, 0)
