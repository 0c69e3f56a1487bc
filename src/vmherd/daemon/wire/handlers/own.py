"""What vmherd's clients ask in one call, and libvirt's protocol has no words for: values of the driver API, packed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import answers
from vmherd.daemon.wire.flags import DomainRef
from vmherd.daemon.wire.handlers.blocks import visible

own = answers("vmherd")

_pack = msgspec.msgpack.encode


@own
async def host_version(call: Call) -> bytes:
    return _pack(await call.driver.version())


@own
async def host_check(call: Call) -> bytes:
    return _pack(await call.driver.check_host())


@own
async def host_images_folder(call: Call) -> bytes:
    return _pack(str(await call.driver.images_folder()))


@own
async def host_cpu_features(call: Call, model: str) -> bytes:
    return _pack(await call.driver.cpu_features(model))


@own
async def host_cpu_models(call: Call, arch: str) -> bytes:
    return _pack(await call.driver.cpu_models(arch))


@own
async def domain_list(call: Call) -> bytes:
    return _pack(await call.domains())


@own
async def domain_find(call: Call, key: str) -> bytes:
    return _pack(await call.driver.domain_find(key))


@own
async def domain_info(call: Call, dom: DomainRef) -> bytes:
    return _pack(await call.driver.domain_info(dom.uuid))


@own
async def domain_stats(call: Call, uuids: Sequence[str], every: int, groups: int, only: int, flags: int) -> bytes:
    found = await call.driver.stats_all(
        await visible(call, uuids) if every or uuids else [],
        groups,
        only=only,
        backing=bool(flags & 1),
        enforce=bool(flags & 2),
        nowait=bool(flags & 4),
    )
    return _pack(found)


@own
async def domain_validate(call: Call, xml: str) -> bytes:
    return _pack(await call.driver.domain_validate(xml))


@own
async def domain_job(call: Call, dom: DomainRef) -> bytes:
    return _pack(await call.driver.domain_job(dom.uuid))
