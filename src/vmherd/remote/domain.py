"""Domains over the wire: lists, documents, lives, consoles."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from msgspec.structs import replace

from vmherd.driver.params import Params
from vmherd.driver.types import Console, DomainInfo, JobInfo, ShutdownMode, State
from vmherd.errors import DomainNotFound, NotFound, NotSupported, OperationUnsupported
from vmherd.remote.connection import RemoteConnection
from vmherd.rpc.params import plain

_KIB = 1024
_NANOSECONDS = 1e9

_SECURE, _INACTIVE = 1, 2
#: virDomainCreateFlags
_PAUSED, _BYPASS_CACHE, _FORCE_BOOT, _RESET_NVRAM = 1, 4, 8, 32
_MANAGED_SAVE, _NVRAM, _KEEP_NVRAM = 1, 4, 8
_GRACEFUL = 1
_FORCE = 1
_PERSISTENT, _MANAGED_SAVES, _AUTOSTART = 4, 256, 1024
_TITLE = 1
_MODES = {ShutdownMode.DEFAULT: 0, ShutdownMode.ACPI: 1, ShutdownMode.AGENT: 2}

#: virDomainJobOperation, in our words.
_OPERATIONS = (
    "unknown",
    "start",
    "save",
    "restore",
    "migrate in",
    "migrate out",
    "snapshot",
    "revert to snapshot",
    "dump",
    "backup",
    "delete snapshot",
)
_RUNNING_JOBS = (1, 2)  # virDomainJobType: with a known end, and without


class RemoteDomains(RemoteConnection):
    """Finding domains, what they are, and switching them."""

    # Lists

    async def domain_list(self) -> list[DomainInfo]:
        everyone = await self._listed(0)
        kept, saved, by_itself = await asyncio.gather(
            *(self._among(flag) for flag in (_PERSISTENT, _MANAGED_SAVES, _AUTOSTART))
        )
        self._names = {ref.uuid: ref.name for ref in everyone}
        found = await asyncio.gather(*(self._info(ref) for ref in everyone), return_exceptions=True)
        infos = []
        for info in found:
            if isinstance(info, DomainInfo):
                uuid = info.uuid
                known = {"persistent": uuid in kept, "autostart": uuid in by_itself, "managed_save": uuid in saved}
                infos.append(replace(info, **known))
            elif not isinstance(info, DomainNotFound):  # it was undefined meanwhile
                raise info
        return sorted(infos, key=lambda info: info.name)

    async def _listed(self, flags: int) -> list[Any]:
        return list((await self._call("connect_list_all_domains", 1, flags))[0])

    async def _among(self, flag: int) -> set[str]:
        return {ref.uuid for ref in await self._listed(flag)}

    async def _info(self, ref: Any) -> DomainInfo:
        """What two calls tell; whether it is kept, and its title, take others."""
        told, state = await asyncio.gather(
            self._ask(ref.uuid, "domain_get_info"), self._ask(ref.uuid, "domain_get_state", 0)
        )
        return DomainInfo(
            uuid=ref.uuid,
            name=ref.name,
            state=State(state.state) if state.state in set(State) else State.NOSTATE,
            reason=state.reason,
            id=None if ref.id < 0 else ref.id,
            max_memory=told.maxMem * _KIB,
            memory=told.memory * _KIB,
            vcpus=told.nrVirtCpu,
            cpu_time=told.cpuTime / _NANOSECONDS,
        )

    async def domain_find(self, key: str) -> DomainInfo:
        return await self._whole(await self._found(key))

    async def _found(self, key: str) -> Any:
        """By name, UUID or id; what is a whole UUID is not looked for as a name first."""
        asked: list[tuple[str, Any]] = [("domain_lookup_by_name", key)]
        digits = key.replace("-", "")
        if len(digits) == 32 and all(digit in "0123456789abcdefABCDEF" for digit in digits):
            asked.insert(0, ("domain_lookup_by_uuid", key.lower()))
        if key.isascii() and key.isdigit() and int(key) < 1 << 31:
            asked.append(("domain_lookup_by_id", int(key)))
        for name, value in asked:
            try:
                ref = await self._call(name, value)
            except DomainNotFound:
                continue
            self._names[ref.uuid] = ref.name
            return ref
        raise DomainNotFound(key)

    async def _whole(self, ref: Any) -> DomainInfo:
        info, title, *known = await asyncio.gather(
            self._info(ref),
            self._title(ref.uuid),
            self._ask(ref.uuid, "domain_is_persistent"),
            self._ask(ref.uuid, "domain_get_autostart"),
            self._has_saved(ref.uuid),
        )
        persistent, autostart, saved = map(bool, known)
        return replace(info, persistent=persistent, autostart=autostart, managed_save=saved, title=title)

    async def _has_saved(self, uuid: str) -> bool:
        try:
            return bool(await self._ask(uuid, "domain_has_managed_save_image", 0))
        except NotSupported:
            return False

    async def _title(self, uuid: str) -> str:
        try:
            return str(await self._ask(uuid, "domain_get_metadata", _TITLE, None, 0))
        except (NotFound, NotSupported, OperationUnsupported):
            return ""

    async def domain_info(self, uuid: str) -> DomainInfo:
        return await self.domain_find(uuid)

    async def _defined(self, ref: Any) -> DomainInfo:
        self._names[ref.uuid] = ref.name
        return await self._whole(ref)

    # Documents

    async def domain_xml(self, uuid: str, *, inactive: bool = False, secure: bool = False) -> str:
        if secure:
            self.require_writable()
        return str(await self._ask(uuid, "domain_get_xml_desc", _SECURE * secure | _INACTIVE * inactive))

    async def domain_define(self, xml: str) -> DomainInfo:
        self.require_writable()
        return await self._defined(await self._call("domain_define_xml_flags", xml, 0))

    async def domain_undefine(self, uuid: str, *, keep_nvram: bool | None = None, managed_save: bool = False) -> None:
        flags = {None: 0, True: _KEEP_NVRAM, False: _NVRAM}[keep_nvram]
        await self._change(uuid, "domain_undefine_flags", flags | _MANAGED_SAVE * managed_save)

    # Lives

    async def domain_create(self, xml: str, *, paused: bool = False) -> DomainInfo:
        self.require_writable()
        return await self._defined(await self._call("domain_create_xml", xml, _PAUSED * paused))

    async def domain_start(
        self,
        uuid: str,
        *,
        paused: bool = False,
        force_boot: bool = False,
        bypass_cache: bool = False,
        reset_nvram: bool = False,
    ) -> None:
        flags = _PAUSED * paused | _BYPASS_CACHE * bypass_cache | _FORCE_BOOT * force_boot | _RESET_NVRAM * reset_nvram
        await self._change(uuid, "domain_create_with_flags", flags)

    async def domain_shutdown(self, uuid: str, *, mode: ShutdownMode = ShutdownMode.DEFAULT) -> None:
        await self._change(uuid, "domain_shutdown_flags", _MODES[mode])

    async def domain_reboot(self, uuid: str, *, mode: ShutdownMode = ShutdownMode.DEFAULT) -> None:
        await self._change(uuid, "domain_reboot", _MODES[mode])

    async def domain_reset(self, uuid: str) -> None:
        await self._change(uuid, "domain_reset", 0)

    async def domain_poweroff(self, uuid: str, *, graceful: bool = False) -> None:
        await self._change(uuid, "domain_destroy_flags", _GRACEFUL * graceful)

    async def domain_suspend(self, uuid: str) -> None:
        await self._change(uuid, "domain_suspend")

    async def domain_resume(self, uuid: str) -> None:
        await self._change(uuid, "domain_resume")

    async def domain_set_autostart(self, uuid: str, enabled: bool) -> None:
        await self._change(uuid, "domain_set_autostart", int(enabled))

    async def domain_console(self, uuid: str, *, device: str = "", force: bool = False) -> Console:
        self.require_writable()
        return await self._stream(uuid, "domain_open_console", device or None, _FORCE * force)

    async def domain_job(self, uuid: str) -> JobInfo | None:
        try:
            kind, params = await self._ask(uuid, "domain_get_job_stats", 0)
        except NotSupported:
            return None
        return _job(plain(params)) if kind in _RUNNING_JOBS else None

    async def domain_abort_job(self, uuid: str) -> None:
        await self._change(uuid, "domain_abort_job")


def _job(told: Params) -> JobInfo:
    """A job from its statistics; times in them are milliseconds."""
    number = int(told.get("operation", 0))
    total, done = float(told.get("data_total", 0)), float(told.get("data_processed", 0))
    return JobInfo(
        operation=_OPERATIONS[number] if number < len(_OPERATIONS) else "unknown",
        started=time.time() - float(told.get("time_elapsed", 0)) / 1000,
        progress=done / total if total else None,
    )
