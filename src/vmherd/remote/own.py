"""A daemon of vmherd over the wire: what its own program tells in one call, or libvirt's cannot say.

Any other daemon is asked in libvirt's words, as far as they go.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from vmherd.driver.blocks import DomainStats
from vmherd.driver.types import CpuModelInfo, DomainInfo, HostCheck, JobInfo
from vmherd.errors import NotSupported, VmherdError
from vmherd.remote.connection import RemoteConnection
from vmherd.rpc.xdr import BadMessage

T = TypeVar("T")


class RemoteOwn(RemoteConnection):
    """Stands before the classes that speak libvirt's words, to which it leaves what it cannot ask."""

    _speaks = True

    async def _own(self, kind: type[T], name: str, *arguments: Any) -> T:
        """The answer of the own program.  Raises NotSupported where the daemon has no such program."""
        if not self._speaks:
            raise NotSupported(name, self.name)
        try:
            packed = await self._call(name, *arguments, program="vmherd")
        except VmherdError as problem:
            if problem.code != BadMessage.code:
                raise
            self._speaks = False
            raise NotSupported(name, self.name) from None
        return msgspec.msgpack.decode(packed, type=kind)

    async def version(self) -> dict[str, str]:
        try:
            return await self._own(dict[str, str], "host_version")
        except NotSupported:
            return await super().version()

    async def check_host(self) -> list[HostCheck]:
        return await self._own(list[HostCheck], "host_check")

    async def images_folder(self) -> Path:
        return Path(await self._own(str, "host_images_folder"))

    async def cpu_features(self, model: str) -> list[str]:
        try:
            return await self._own(list[str], "host_cpu_features", model)
        except NotSupported:
            return await super().cpu_features(model)

    async def cpu_models(self, arch: str = "") -> list[CpuModelInfo]:
        try:
            return await self._own(list[CpuModelInfo], "host_cpu_models", arch)
        except NotSupported:
            return await super().cpu_models(arch)

    async def domain_list(self) -> list[DomainInfo]:
        try:
            infos = await self._own(list[DomainInfo], "domain_list")
        except NotSupported:
            return await super().domain_list()
        self._names = {info.uuid: info.name for info in infos}
        return infos

    async def domain_find(self, key: str) -> DomainInfo:
        try:
            info = await self._own(DomainInfo, "domain_find", key)
        except NotSupported:
            return await super().domain_find(key)
        self._names[info.uuid] = info.name
        return info

    async def domain_info(self, uuid: str) -> DomainInfo:
        try:
            return await self._own(DomainInfo, "domain_info", self._ref(uuid))
        except NotSupported:
            return await super().domain_info(uuid)

    async def stats_all(
        self,
        uuids: Sequence[str] | None = None,
        groups: int = 0,
        *,
        only: int = 0,
        backing: bool = False,
        enforce: bool = False,
        nowait: bool = False,
    ) -> list[DomainStats]:
        """libvirt's words cannot say which guests do not answer."""
        flags = backing | enforce << 1 | nowait << 2
        every = int(uuids is None)
        try:
            return await self._own(list[DomainStats], "domain_stats", list(uuids or ()), every, groups, only, flags)
        except NotSupported:
            return await super().stats_all(uuids, groups, only=only, backing=backing, enforce=enforce, nowait=nowait)

    async def domain_validate(self, xml: str) -> str:
        return await self._own(str, "domain_validate", xml)

    async def domain_job(self, uuid: str) -> JobInfo | None:
        try:
            return await self._own(JobInfo | None, "domain_job", self._ref(uuid))  # type: ignore[arg-type]
        except NotSupported:
            return await super().domain_job(uuid)
