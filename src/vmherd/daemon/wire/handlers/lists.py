"""Finding domains: lists with filters, and single ones by name, UUID or id."""

from __future__ import annotations

import operator
from collections.abc import Callable

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import DomainRef, only
from vmherd.driver.types import DomainInfo, State
from vmherd.errors import DomainNotFound
from vmherd.rpc.protocol import program
from vmherd.rpc.xdr import Encoded

NOT_RUNNING = -1

#: Pairs and groups of virConnectListAllDomainsFlags: within a group one bit is enough, each group must be met.
_GROUPS: tuple[dict[int, Callable[[DomainInfo], bool]], ...] = (
    {1: lambda info: info.active, 2: lambda info: not info.active},
    {4: lambda info: info.persistent, 8: lambda info: not info.persistent},
    {
        16: lambda info: info.state is State.RUNNING,
        32: lambda info: info.state is State.PAUSED,
        64: lambda info: info.state is State.SHUTOFF,
        128: lambda info: info.state not in (State.RUNNING, State.PAUSED, State.SHUTOFF),
    },
    {256: lambda info: info.managed_save, 512: lambda info: not info.managed_save},
    {1024: lambda info: info.autostart, 2048: lambda info: not info.autostart},
    {4096: lambda info: False, 8192: lambda info: True},
    {16384: lambda info: False, 32768: lambda info: True},
)
_ALL = 65535


def reference(info: DomainInfo) -> DomainRef:
    """How the protocol names a domain."""
    return DomainRef(info.name, info.uuid, NOT_RUNNING if info.id is None else info.id)


def wanted(flags: int) -> Callable[[DomainInfo], bool]:
    """The filter that ``flags`` ask for.  Raises InvalidArgument for bits that mean nothing."""
    only(flags, _ALL)
    groups = [[test for bit, test in group.items() if flags & bit] for group in _GROUPS]
    # A group with every bit excludes nothing.
    asked = [tests for tests, group in zip(groups, _GROUPS, strict=True) if 0 < len(tests) < len(group)]
    return lambda info: all(any(test(info) for test in tests) for tests in asked)


@remote
async def connect_list_all_domains(call: Call, need_results: int, flags: int) -> tuple[list[DomainRef], int] | Encoded:
    infos = await call.domains()
    if flags:
        infos = list(filter(wanted(flags), infos))
    return _reply(infos) if need_results else ([], len(infos))


def _reply(infos: list[DomainInfo]) -> Encoded:
    """The last one again where it told of the same domains: lists are asked for more often than domains change."""
    known, reply = _latest[0]
    if len(known) != len(infos) or not all(map(operator.is_, known, infos)):
        codec = program("remote").codec("connect_list_all_domains_ret")
        reply = Encoded(codec.encode(([reference(info) for info in infos], len(infos))))
        _latest[0] = infos, reply
    return reply


_latest: list[tuple[list[DomainInfo], Encoded]] = [([], Encoded(bytes(8)))]


@remote
async def connect_num_of_domains(call: Call) -> int:
    return sum(info.active for info in await call.domains())


@remote
async def connect_list_domains(call: Call, most: int) -> list[int]:
    return [info.id for info in await call.domains() if info.id is not None][: max(most, 0)]


@remote
async def connect_num_of_defined_domains(call: Call) -> int:
    return sum(not info.active for info in await call.domains())


@remote
async def connect_list_defined_domains(call: Call, most: int) -> list[str]:
    return [info.name for info in await call.domains() if not info.active][: max(most, 0)]


@remote
async def domain_lookup_by_name(call: Call, name: str) -> DomainRef:
    info = await call.driver.domain_find(name)
    if info.name != name:  # found by its UUID or its id
        raise DomainNotFound(name)
    return reference(info)


@remote
async def domain_lookup_by_uuid(call: Call, uuid: str) -> DomainRef:
    return reference(await call.driver.domain_find(uuid))


@remote
async def domain_lookup_by_id(call: Call, number: int) -> DomainRef:
    for info in await call.domains():
        if info.id == number:
            return reference(info)
    raise DomainNotFound(str(number))
