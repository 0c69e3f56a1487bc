"""Disks and cards: sizes, counters, limits, content; and the statistics of many domains at once."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import DomainRef, only
from vmherd.daemon.wire.handlers.lists import NOT_RUNNING
from vmherd.driver import statnames
from vmherd.driver.blocks import DomainStats
from vmherd.driver.params import BLOCK_IO_TUNE, Kind
from vmherd.driver.types import Scope
from vmherd.errors import InvalidArgument, VmherdError
from vmherd.rpc.params import plain, typed
from vmherd.rpc.protocol import program
from vmherd.rpc.xdr import Encoded, TypedParam

_KIB = 1024
#: virDomainModificationImpact; VIR_TYPED_PARAM_STRING_OKAY; virDomainBlockResizeFlags.
_AFFECT, _STRINGS, _BYTES = 3, 4, 1
#: virDomainMemoryFlags
_VIRTUAL, _PHYSICAL = 1, 2
#: virConnectGetAllDomainStatsFlags; the bits below say which domains.
_DOMAINS, _NOWAIT, _BACKING, _ENFORCE = 0xFF, 1 << 29, 1 << 30, 1 << 31
#: What libvirt says where a hypervisor does not count a thing.
_UNKNOWN = -1

Params = tuple[list[TypedParam], int]
Record = tuple[DomainRef, list[TypedParam]]


class TooLarge(VmherdError):
    code = 82  # VIR_ERR_OVERFLOW
    http_status = 400


# Disks


@remote
async def domain_block_stats(call: Call, dom: DomainRef, path: str) -> tuple[int, int, int, int, int]:
    found = await call.driver.domain_block_stats(dom.uuid, path)
    names = ("rd_operations", "rd_bytes", "wr_operations", "wr_bytes", "errs")
    reads, read, writes, written, errors = (found.get(name, _UNKNOWN) for name in names)
    return reads, read, writes, written, errors


@remote
async def domain_block_stats_flags(call: Call, dom: DomainRef, path: str, nparams: int, flags: int) -> Params:
    only(flags, _STRINGS)
    return _first(typed(await call.driver.domain_block_stats(dom.uuid, path)), nparams)


def _first(params: list[TypedParam], room: int) -> Params:
    """As many as the caller has room for; one without room learns how many there are."""
    return (params[:room], len(params[:room])) if room else ([], len(params))


@remote
async def domain_get_block_info(call: Call, dom: DomainRef, path: str, flags: int) -> tuple[int, int, int]:
    only(flags, 0)
    found = await call.driver.domain_block_info(dom.uuid, path)
    return found.allocation, found.capacity, found.physical


@remote
async def domain_get_disk_errors(
    call: Call, dom: DomainRef, maxerrors: int, flags: int
) -> tuple[list[tuple[str, int]], int]:
    only(flags, 0)
    found = [(disk, int(error)) for disk, error in (await call.driver.domain_disk_errors(dom.uuid)).items()]
    return (found[:maxerrors], len(found[:maxerrors])) if maxerrors else ([], len(found))


@remote
async def domain_block_resize(call: Call, dom: DomainRef, disk: str, size: int, flags: int) -> None:
    only(flags, _BYTES)
    if not flags & _BYTES:
        if size >= 1 << 54:
            raise TooLarge(f"size must be less than {(1 << 54) - 1}")
        size *= _KIB
    await call.driver.domain_block_resize(dom.uuid, disk, size)


@remote
async def domain_set_block_io_tune(
    call: Call, dom: DomainRef, disk: str, params: Sequence[TypedParam], flags: int
) -> None:
    only(flags, _AFFECT)
    await call.driver.domain_set_block_iotune(dom.uuid, disk, plain(params), scope=Scope.from_flags(flags))


@remote
async def domain_get_block_io_tune(call: Call, dom: DomainRef, disk: str | None, nparams: int, flags: int) -> Params:
    only(flags, _AFFECT | _STRINGS)
    scope = Scope.from_flags(flags)
    if not disk:
        if nparams:
            raise InvalidArgument("name a disk, by its target or its image")
        return [], len(BLOCK_IO_TUNE)
    found = typed(await call.driver.domain_block_iotune(dom.uuid, disk, scope=scope))
    return _first([each for each in found if flags & _STRINGS or each.type != Kind.STRING], nparams)


@remote
async def domain_set_block_threshold(call: Call, dom: DomainRef, dev: str, threshold: int, flags: int) -> None:
    only(flags, 0)
    await call.driver.domain_set_block_threshold(dom.uuid, dev, threshold)


# Contents


@remote
async def domain_block_peek(call: Call, dom: DomainRef, path: str, offset: int, size: int, flags: int) -> bytes:
    only(flags, 0)
    return await call.driver.domain_block_peek(dom.uuid, path, offset, size)


@remote
async def domain_memory_peek(call: Call, dom: DomainRef, offset: int, size: int, flags: int) -> bytes:
    only(flags, _VIRTUAL | _PHYSICAL)
    if flags not in (_VIRTUAL, _PHYSICAL):
        raise InvalidArgument("flags parameter must be VIR_MEMORY_VIRTUAL or VIR_MEMORY_PHYSICAL")
    return await call.driver.domain_memory_peek(dom.uuid, offset, size, physical=flags == _PHYSICAL)


# Cards


@remote
async def domain_interface_stats(call: Call, dom: DomainRef, device: str) -> tuple[int, ...]:
    found = await call.driver.domain_interface_stats(dom.uuid, device)
    return (
        found.rx_bytes,
        found.rx_packets,
        found.rx_errs,
        found.rx_drop,
        found.tx_bytes,
        found.tx_packets,
        found.tx_errs,
        found.tx_drop,
    )


# Many domains


@remote
async def connect_get_all_domain_stats(
    call: Call, doms: Sequence[DomainRef], stats: int, flags: int
) -> list[Record | Encoded]:
    only(flags, _DOMAINS | _NOWAIT | _BACKING | _ENFORCE)
    found = await call.driver.stats_all(
        await visible(call, [dom.uuid for dom in doms]),
        stats,
        only=flags & _DOMAINS,
        backing=bool(flags & _BACKING),
        enforce=bool(flags & _ENFORCE),
        nowait=bool(flags & _NOWAIT),
    )
    return [_record(each) for each in found]


async def visible(call: Call, uuids: Sequence[str]) -> list[str] | None:
    """Those of the domains, by default of all, that the caller may read; None stands for all."""
    if call.client.holder.sees_all(reading=True):
        return list(uuids) or None
    known = dict.fromkeys(info.uuid for info in await call.domains(reading=True))
    return [uuid for uuid in uuids if uuid in known] if uuids else list(known)


#: What domains that do not change are told with, again and again.
_records: WeakKeyDictionary[DomainStats, Encoded] = WeakKeyDictionary()


def _record(stats: DomainStats) -> Record | Encoded:
    if known := _records.get(stats):
        return known
    reference = DomainRef(stats.name, stats.uuid, NOT_RUNNING if stats.id is None else stats.id)
    record = reference, typed(stats.params, statnames.kind_of)
    if stats.id is not None:
        return record
    encoded = _records[stats] = Encoded(program("remote").codec("domain_stats_record").encode(record))
    return encoded
