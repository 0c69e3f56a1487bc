"""Pools that are an iSCSI target which the kernel logs in to: its units are the volumes."""

from __future__ import annotations

import asyncio

from vmherd.conf.storage import Pool, Volume
from vmherd.errors import HostError, InvalidArgument, Unsupported
from vmherd.resources.storage import credentials, iscsiadm, luns
from vmherd.resources.storage.backends import spec
from vmherd.resources.storage.backends.base import Backend

_PORT = 3260


class IscsiBackend(Backend):
    """iscsiadm(8), which needs its daemon."""

    async def ready(self, pool: Pool) -> bool:
        return await iscsiadm.session(target_of(pool)) is not None

    async def start(self, pool: Pool) -> None:
        found = await credentials.of(pool, self.around.uri)
        login = iscsiadm.Login(found[0], found[1].decode()) if found else None
        initiator = pool.source.initiator.iqn.name if pool.source.initiator and pool.source.initiator.iqn else ""
        await iscsiadm.log_in(portal_of(pool), target_of(pool), login, initiator)

    async def stop(self, pool: Pool) -> None:
        await iscsiadm.log_out(portal_of(pool), target_of(pool))

    async def refresh(self, pool: Pool) -> dict[str, Volume]:
        number = await iscsiadm.session(target_of(pool))
        if number is None:
            text = f"there is no session with {target_of(pool)}"
            raise HostError(text, hint="check the server; stop the pool and start it again")
        await iscsiadm.rescan(number)
        host = await asyncio.to_thread(iscsiadm.scsi_host, number)
        assert pool.target  # parse_pool sees to it
        found = await asyncio.to_thread(luns.volumes, host, pool.target.path or "/dev")
        pool.capacity = pool.allocation = sum(volume.capacity or 0 for volume in found.values())
        return found

    async def sources(self, where: str) -> str:
        wanted = spec.read(where)
        if not wanted or len(wanted.hosts) != 1:
            text = "hostname and device path must be specified for iscsi sources"
            raise InvalidArgument(text, hint="give <source><host name='...'/></source>")
        host = wanted.hosts[0]
        names = await iscsiadm.targets(_portal(host.name, host.port))
        return spec.sources([spec.source(host=host.name, port=host.port, devices=[name]) for name in names])


def target_of(pool: Pool) -> str:
    return pool.source.devices[0].path  # parse_pool sees to it that there is one


def portal_of(pool: Pool) -> str:
    if len(pool.source.hosts) != 1:
        raise Unsupported("Expected exactly 1 host for the storage pool", place="pool/source/host", hint="name one")
    return _portal(pool.source.hosts[0].name, pool.source.hosts[0].port)


def _portal(name: str, port: int | None) -> str:
    host = f"[{name}]" if ":" in name else name
    return f"{host}:{port or _PORT}"
