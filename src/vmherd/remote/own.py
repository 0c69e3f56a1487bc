"""A daemon of vmherd over the wire: what its own program tells in one call, or libvirt's cannot say.

Any other daemon is asked in libvirt's words, as far as they go.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vmherd.driver.blocks import DomainStats
from vmherd.driver.types import CpuModelInfo, DomainInfo, HostCheck, JobInfo
from vmherd.errors import NotSupported
from vmherd.remote.connection import RemoteConnection


class RemoteOwn(RemoteConnection):
    """Stands before the classes that speak libvirt's words, to which it leaves what it cannot ask."""

    async def version(self) -> dict[str, str]:
        try:
            return await self.own(dict[str, str], "host_version")
        except NotSupported:
            return await super().version()

    async def check_host(self) -> list[HostCheck]:
        return await self.own(list[HostCheck], "host_check")

    async def images_folder(self) -> Path:
        return Path(await self.own(str, "host_images_folder"))

    async def cpu_features(self, model: str) -> list[str]:
        try:
            return await self.own(list[str], "host_cpu_features", model)
        except NotSupported:
            return await super().cpu_features(model)

    async def cpu_models(self, arch: str = "") -> list[CpuModelInfo]:
        try:
            return await self.own(list[CpuModelInfo], "host_cpu_models", arch)
        except NotSupported:
            return await super().cpu_models(arch)

    async def domain_list(self) -> list[DomainInfo]:
        try:
            infos = await self.own(list[DomainInfo], "domain_list")
        except NotSupported:
            return await super().domain_list()
        self._names = {info.uuid: info.name for info in infos}
        return infos

    async def domain_find(self, key: str) -> DomainInfo:
        try:
            info = await self.own(DomainInfo, "domain_find", key)
        except NotSupported:
            return await super().domain_find(key)
        self._names[info.uuid] = info.name
        return info

    async def domain_info(self, uuid: str) -> DomainInfo:
        try:
            return await self.own(DomainInfo, "domain_info", self._ref(uuid))
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
            return await self.own(list[DomainStats], "domain_stats", list(uuids or ()), every, groups, only, flags)
        except NotSupported:
            return await super().stats_all(uuids, groups, only=only, backing=backing, enforce=enforce, nowait=nowait)

    async def domain_validate(self, xml: str) -> str:
        return await self.own(str, "domain_validate", xml)

    async def domain_job(self, uuid: str) -> JobInfo | None:
        try:
            return await self.own(JobInfo | None, "domain_job", self._ref(uuid))  # type: ignore[arg-type]
        except NotSupported:
            return await super().domain_job(uuid)
