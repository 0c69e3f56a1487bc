"""Pools that are an iSCSI target which QEMU reaches by itself: nothing of it is seen by the kernel.

Sources: iscsi-ls(1) and iscsi-readcapacity16(1) of libiscsi, which take passwords from the environment
"""

from __future__ import annotations

import os
import re

from vmherd.conf.storage import Pool, Volume, VolumeType
from vmherd.conf.storage.volume import VolumeTarget
from vmherd.driver.storage import WipeAlgorithm
from vmherd.errors import HostError, InvalidArgument, Unsupported
from vmherd.resources.storage import credentials, remotewipe
from vmherd.resources.storage.backends import spec
from vmherd.resources.storage.backends.base import Backend
from vmherd.resources.storage.backends.iscsi import portal_of, target_of
from vmherd.resources.storage.works import Work
from vmherd.util import command

_PACKAGE = "libiscsi-bin"
_TARGET = re.compile(r"^Target:(\S+) Portal:")
_LUN = re.compile(r"^Lun:(\d+)\s+Type:DIRECT_ACCESS")
_PATIENCE = 30.0


class IscsiDirectBackend(Backend):
    """libiscsi's programs; QEMU for the content."""

    local = False

    async def ready(self, pool: Pool) -> bool:
        """There is nothing to bring up; what cannot be reached is told when the pool is looked at."""
        return True

    async def refresh(self, pool: Pool) -> dict[str, Volume]:
        target, found = target_of(pool), await self._luns(pool)
        if target not in found:
            raise HostError(f"{portal_of(pool)} has no target {target}", hint="'iscsi-ls' shows those it has")
        volumes = {}
        for lun in sorted(found[target]):
            volume = await self._volume(pool, lun)
            volumes[volume.name or ""] = volume
        pool.capacity = pool.allocation = sum(volume.capacity or 0 for volume in volumes.values())
        return volumes

    async def _luns(self, pool: Pool) -> dict[str, list[int]]:
        """The units of each target of the server; of those that let us in."""
        text = await self._run(pool, "iscsi-ls", "--show-luns", f"iscsi://{portal_of(pool)}/")
        found: dict[str, list[int]] = {}
        target = ""
        for line in text.splitlines():
            if match := _TARGET.match(line):
                target = match[1]
                found[target] = []
            elif match := _LUN.match(line):
                found[target].append(int(match[1]))
        return found

    async def _volume(self, pool: Pool, lun: int) -> Volume:
        url = f"iscsi://{portal_of(pool)}/{target_of(pool)}/{lun}"
        size = int(await self._run(pool, "iscsi-readcapacity16", "--size", url))
        path = f"ip-{portal_of(pool)}-iscsi-{target_of(pool)}-lun-{lun}"
        return Volume(
            type=VolumeType.NETWORK,
            name=f"unit:0:0:{lun}",
            key=path,
            capacity=size,
            allocation=size,
            physical=size,
            target=VolumeTarget(path=path),
        )

    async def _run(self, pool: Pool, program: str, *words: str) -> str:
        login = await credentials.of(pool, self.around.uri)
        env = dict(os.environ)
        if login:
            env |= {"LIBISCSI_CHAP_USERNAME": login[0], "LIBISCSI_CHAP_PASSWORD": login[1].decode()}
        argv = [program, "--initiator-name", _initiator(pool), *words]
        return await command.run(argv, patience=_PATIENCE, package=_PACKAGE, env=env)

    async def wipe(self, pool: Pool, volume: Volume, algorithm: WipeAlgorithm, work: Work) -> None:
        lun = (volume.name or "").rpartition(":")[2]
        node = {
            "driver": "iscsi",
            "transport": "tcp",
            "portal": portal_of(pool),
            "target": target_of(pool),
            "lun": lun,
            "initiator-name": _initiator(pool),
        }
        login = await credentials.of(pool, self.around.uri)
        if login:
            node |= {"user": login[0], "password-secret": remotewipe.KEY}
        await remotewipe.wipe(node, volume.capacity or 0, algorithm, work, secret=login[1] if login else None)

    async def sources(self, where: str) -> str:
        wanted = spec.read(where)
        if not wanted or len(wanted.hosts) != 1 or not (wanted.initiator and wanted.initiator.iqn):
            text = "hostname and initiator must be specified for iscsi-direct sources"
            hint = "give <source><host name='...'/><initiator><iqn name='...'/></initiator></source>"
            raise InvalidArgument(text, hint=hint)
        pool = Pool(type=self.kind, source=wanted)
        text = await self._run(pool, "iscsi-ls", f"iscsi://{portal_of(pool)}/")
        names = [match[1] for line in text.splitlines() if (match := _TARGET.match(line))]
        host = wanted.hosts[0]
        return spec.sources([spec.source(host=host.name, port=host.port, devices=[name]) for name in names])


def _initiator(pool: Pool) -> str:
    initiator = pool.source.initiator
    if initiator is None or initiator.iqn is None:
        place = "pool/source/initiator"
        raise Unsupported("missing initiator IQN", place=place, hint="add <initiator><iqn name='...'/></initiator>")
    return initiator.iqn.name
