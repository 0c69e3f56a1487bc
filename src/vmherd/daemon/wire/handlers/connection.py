"""Connections: authentication, opening, and what the host behind one is."""

from __future__ import annotations

import asyncio

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import before_open, remote
from vmherd.daemon.wire.events import Callbacks
from vmherd.daemon.wire.flags import DomainRef, only
from vmherd.driver.host import LIBVIRT_VERSION
from vmherd.events import EventId

_AUTH_NONE = 0
#: Bits that libvirt's clients send to open a connection: read-only; and what is about their own way here, that the
#: socket is a user's and that a daemon may be started (virDrvOpenRemoteFlags).
_READONLY, _OTHERS = 1, 2 | 4

#: VIR_DRV_FEATURE_*: what the protocol offers beyond the calls.
_FD_PASSING, _PARAM_STRING, _KEEPALIVE, _EVENT_CALLBACK, _CLOSE_CALLBACK = 8, 9, 10, 14, 15
#: Clients that do not find this one send the two numbers of network_update in the other order.
_UPDATE_ORDER = 16
_FEATURES = (_FD_PASSING, _PARAM_STRING, _KEEPALIVE, _EVENT_CALLBACK, _CLOSE_CALLBACK, _UPDATE_ORDER)


#: What libvirt calls drivers that are called otherwise here.
_TYPES = {"test": "TEST"}


@before_open
def auth_list(call: Call) -> list[int]:
    # Who a client is, its socket has told already: the kernel's word, or that of a certificate.
    return [_AUTH_NONE]


@before_open
async def connect_open(call: Call, name: str | None, flags: int) -> None:
    only(flags, _READONLY | _OTHERS)
    await call.client.open(name or "", readonly=bool(flags & _READONLY))


@before_open
def connect_close(call: Call) -> None:
    asyncio.get_running_loop().call_soon(call.client.finish)


@before_open
def connect_supports_feature(call: Call, feature: int) -> int:
    if feature == _KEEPALIVE:
        call.client.watch()
    return int(feature in _FEATURES)


@remote
def connect_get_type(call: Call) -> str:
    return _TYPES.get(call.driver.name, call.driver.name)


@remote
def connect_get_lib_version(call: Call) -> int:
    return LIBVIRT_VERSION


@remote
async def connect_get_version(call: Call) -> int:
    return await call.driver.hypervisor_version()


@remote
async def connect_get_hostname(call: Call) -> str:
    return await call.driver.hostname()


@remote
def connect_get_uri(call: Call) -> str:
    return call.driver.uri.text


@remote
def connect_is_secure(call: Call) -> int:
    return int(call.client.identity.transport in ("unix", "tls"))


@remote
async def connect_get_capabilities(call: Call) -> str:
    return await call.driver.capabilities()


@remote
async def connect_get_domain_capabilities(
    call: Call, emulator: str | None, arch: str | None, machine: str | None, kind: str | None, flags: int
) -> str:
    only(flags, 0)
    return await call.driver.domain_capabilities(
        emulator=emulator or "", arch=arch or "", machine=machine or "", domain_type=kind or ""
    )


# Callbacks


def _callbacks(call: Call) -> Callbacks:
    client = call.client
    if client.callbacks is None:
        client.callbacks = Callbacks(client, call.driver)
    return client.callbacks


@remote
async def connect_domain_event_callback_register_any(call: Call, event: int, domain: DomainRef | None) -> int:
    return await _callbacks(call).add(event, domain.uuid if domain else None)


@remote
def connect_domain_event_callback_deregister_any(call: Call, number: int) -> None:
    _callbacks(call).remove(number)


@remote
async def connect_domain_event_register_any(call: Call, event: int) -> None:
    await _callbacks(call).add(event, old=True)


@remote
def connect_domain_event_deregister_any(call: Call, event: int) -> None:
    _callbacks(call).remove_old(event)


@remote
async def connect_domain_event_register(call: Call) -> int:
    await _callbacks(call).add(EventId.LIFECYCLE, old=True)
    return 1


@remote
def connect_domain_event_deregister(call: Call) -> int:
    _callbacks(call).remove_old(EventId.LIFECYCLE)
    return 0


@remote
def connect_register_close_callback(call: Call) -> None:
    """The daemon's own drivers do not lose their connections."""


@remote
def connect_unregister_close_callback(call: Call) -> None:
    """As above."""
