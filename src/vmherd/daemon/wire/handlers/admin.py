"""Managing the daemon: the admin program, as virt-admin speaks it."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from vmherd.daemon.admin import Manager, described
from vmherd.daemon.wire.client import Call, Client
from vmherd.daemon.wire.dispatch import answers
from vmherd.daemon.wire.flags import only
from vmherd.driver.host import LIBVIRT_VERSION
from vmherd.driver.params import Kind
from vmherd.errors import InvalidArgument, VmherdError
from vmherd.rpc.params import plain, typed
from vmherd.rpc.xdr import TypedParam

admin = answers("admin")
before_open = answers("admin", early=True)

#: virClientTransport.
_TRANSPORTS = {"unix": 0, "tcp": 1, "tls": 2}
_IDS = {"unix_user_id": Kind.INT, "unix_group_id": Kind.INT, "unix_process_id": Kind.INT, "readonly": Kind.BOOLEAN}


class NoThreads(VmherdError):
    code = 84  # VIR_ERR_OPERATION_UNSUPPORTED


def _manager(call: Call) -> Manager:
    manager = call.client.service.manager
    assert manager is not None  # no other service offers this program
    return manager


def _reference(server: str, client: Client) -> tuple[Any, ...]:
    return (server,), client.number, int(client.since), _TRANSPORTS[client.identity.transport]


@before_open
def connect_open(call: Call, flags: int) -> None:
    only(flags, 0)
    call.client.welcome()


@before_open
def connect_close(call: Call) -> None:
    asyncio.get_running_loop().call_soon(call.client.finish)


@admin
def connect_get_lib_version(call: Call) -> int:
    return LIBVIRT_VERSION


@admin
def connect_list_servers(call: Call, need_results: int, flags: int) -> tuple[list[Any], int]:
    only(flags, 0)
    names = [(name,) for name in _manager(call).servers]
    return names if need_results else [], len(names)


@admin
def connect_lookup_server(call: Call, name: str, flags: int) -> tuple[str]:
    only(flags, 0)
    _manager(call).server(name)
    return (name,)


# Threads: there is one, which serves calls as they come and lets none wait for another's guest.


@admin
def server_get_threadpool_parameters(call: Call, srv: Any, flags: int) -> list[TypedParam]:
    only(flags, 0)
    waiting = sum(client.queued for client in _manager(call).server(srv.name).clients.values())
    told = {
        "minWorkers": 1,
        "maxWorkers": 1,
        "nWorkers": 1,
        "freeWorkers": 1,
        "prioWorkers": 0,
        "jobQueueDepth": waiting,
    }
    return typed(told, lambda _: Kind.UINT)


@admin
def server_set_threadpool_parameters(call: Call, srv: Any, params: list[TypedParam], flags: int) -> None:
    only(flags, 0)
    _manager(call).server(srv.name)
    raise NoThreads("calls are not served by a pool of threads", hint="limits.calls_per_client bounds what one can do")


# Clients


@admin
def server_list_clients(call: Call, srv: Any, need_results: int, flags: int) -> tuple[list[Any], int]:
    only(flags, 0)
    clients = [_reference(srv.name, client) for client in _manager(call).server(srv.name).clients.values()]
    return clients if need_results else [], len(clients)


@admin
def server_lookup_client(call: Call, srv: Any, number: int, flags: int) -> Any:
    only(flags, 0)
    return _reference(srv.name, _manager(call).client(srv.name, number))


@admin
def client_get_info(call: Call, clnt: Any, flags: int) -> list[TypedParam]:
    only(flags, 0)
    told = described(_manager(call).client(clnt.srv.name, clnt.id))
    return typed(told, lambda name: _IDS.get(name, Kind.STRING))


@admin
def client_close(call: Call, clnt: Any, flags: int) -> None:
    only(flags, 0)
    # After the answer, since it may be the caller's own.
    asyncio.get_running_loop().call_soon(_manager(call).client(clnt.srv.name, clnt.id).close)


@admin
def server_get_client_limits(call: Call, srv: Any, flags: int) -> list[TypedParam]:
    only(flags, 0)
    server = _manager(call).server(srv.name)
    told = {
        "nclients_max": server.limits.clients,
        "nclients": len(server.clients),
        "nclients_unauth_max": server.limits.unopened,
        "nclients_unauth": server.unopened,
    }
    return typed(told, lambda _: Kind.UINT)


@admin
def server_set_client_limits(call: Call, srv: Any, params: list[TypedParam], flags: int) -> None:
    only(flags, 0)
    server, wanted = _manager(call).server(srv.name), plain(params)
    unknown = wanted.keys() - {"nclients_max", "nclients_unauth_max"}
    if unknown or not all(isinstance(value, int) for value in wanted.values()):
        raise InvalidArgument(f"cannot set {', '.join(sorted(unknown or wanted))}")
    most = int(wanted.get("nclients_max", server.limits.clients))
    waiting = int(wanted.get("nclients_unauth_max", server.limits.unopened))
    if not 0 < waiting <= most:
        raise InvalidArgument(
            f"{most} clients of which {waiting} may be unauthenticated",
            hint="the second must not be larger than the first, and both at least 1",
        )
    server.limits = replace(server.limits, clients=most, unopened=waiting)


# The daemon


@admin
def connect_get_logging_outputs(call: Call, flags: int) -> tuple[str, int]:
    only(flags, 0)
    outputs = _manager(call).outputs()
    return " ".join(outputs), len(outputs)


@admin
def connect_get_logging_filters(call: Call, flags: int) -> tuple[str | None, int]:
    only(flags, 0)
    filters = _manager(call).filters()
    return " ".join(filters) or None, len(filters)


@admin
def connect_set_logging_outputs(call: Call, outputs: str | None, flags: int) -> None:
    only(flags, 0)
    _manager(call).set_outputs(outputs or "")


@admin
def connect_set_logging_filters(call: Call, filters: str | None, flags: int) -> None:
    only(flags, 0)
    _manager(call).set_filters(filters or "")


@admin
def server_update_tls_files(call: Call, srv: Any, flags: int) -> None:
    only(flags, 0)
    _manager(call).server(srv.name)
    _manager(call).renew_tls()


@admin
def connect_set_daemon_timeout(call: Call, timeout: int, flags: int) -> None:
    only(flags, 0)
    _manager(call).stay(timeout)
