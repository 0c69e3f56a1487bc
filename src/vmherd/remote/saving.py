"""Saved guests over the wire.  Files are those of the other host."""

from __future__ import annotations

from pathlib import Path

from vmherd.driver.saving import DumpFormat
from vmherd.driver.types import DomainInfo
from vmherd.remote.connection import RemoteConnection
from vmherd.rpc.params import typed

#: virDomainSaveRestoreFlags and virDomainCoreDumpFlags.
_BYPASS_CACHE, _RUNNING, _PAUSED, _RESET_NVRAM = 1, 2, 4, 8
_SECURE = 1
_DUMP = {"crash": 1, "live": 2, "bypass_cache": 4, "reset": 8, "memory_only": 16}


class RemoteSaving(RemoteConnection):
    """Saving, restoring, dumping."""

    async def domain_save(
        self, uuid: str, path: Path, *, xml: str = "", bypass_cache: bool = False, running: bool | None = None
    ) -> None:
        flags = _BYPASS_CACHE * bypass_cache | _goes_on(running)
        await self._long(uuid, "domain_save_flags", str(path), xml or None, flags)

    async def domain_restore(
        self,
        path: Path,
        *,
        xml: str = "",
        bypass_cache: bool = False,
        running: bool | None = None,
        reset_nvram: bool = False,
    ) -> DomainInfo:
        self.require_writable()
        from vmherd.conf.domain import parse_domain

        # The answer does not tell which domain it was.
        uuid = parse_domain(xml or await self.saved_xml(path)).uuid
        flags = _BYPASS_CACHE * bypass_cache | _goes_on(running) | _RESET_NVRAM * reset_nvram
        await self._call("domain_restore_flags", str(path), xml or None, flags)
        return await self.domain_find(uuid or "")

    async def saved_xml(self, path: Path, *, secure: bool = False) -> str:
        return str(await self._call("domain_save_image_get_xml_desc", str(path), _SECURE * secure))

    async def saved_define(self, path: Path, xml: str, *, running: bool | None = None) -> None:
        self.require_writable()
        await self._call("domain_save_image_define_xml", str(path), xml, _goes_on(running))

    async def domain_managed_save(
        self, uuid: str, *, xml: str = "", bypass_cache: bool = False, running: bool | None = None
    ) -> None:
        flags = _BYPASS_CACHE * bypass_cache | _goes_on(running)
        if xml:
            await self._long(uuid, "domain_save_params", typed({"dxml": xml}), flags)
        else:
            await self._long(uuid, "domain_managed_save", flags)

    async def domain_managed_save_remove(self, uuid: str) -> None:
        await self._change(uuid, "domain_managed_save_remove", 0)

    async def domain_managed_save_xml(self, uuid: str, *, secure: bool = False) -> str:
        return str(await self._ask(uuid, "domain_managed_save_get_xml_desc", _SECURE * secure))

    async def domain_managed_save_define(self, uuid: str, xml: str, *, running: bool | None = None) -> None:
        await self._change(uuid, "domain_managed_save_define_xml", xml, _goes_on(running))

    async def domain_dump(
        self,
        uuid: str,
        path: Path,
        *,
        dump_format: DumpFormat = DumpFormat.RAW,
        memory_only: bool = False,
        crash: bool = False,
        live: bool = False,
        reset: bool = False,
        bypass_cache: bool = False,
    ) -> None:
        wanted = {
            "crash": crash,
            "live": live,
            "bypass_cache": bypass_cache,
            "reset": reset,
            "memory_only": memory_only,
        }
        flags = sum(_DUMP[name] for name, value in wanted.items() if value)
        number = list(DumpFormat).index(dump_format)
        await self._long(uuid, "domain_core_dump_with_format", str(path), number, flags)


def _goes_on(running: bool | None) -> int:
    return {None: 0, True: _RUNNING, False: _PAUSED}[running]
