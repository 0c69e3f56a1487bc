"""Guests in files: saved, restored, kept for the next start; dumps."""

from __future__ import annotations

from pathlib import Path

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import DomainRef, not_both, only
from vmherd.driver.saving import DumpFormat
from vmherd.errors import ArgumentUnsupported, InvalidArgument
from vmherd.rpc.xdr import TypedParam

_BYPASS_CACHE, _RUNNING, _PAUSED, _RESET_NVRAM = 1, 2, 4, 8
_SAVE = _BYPASS_CACHE | _RUNNING | _PAUSED
_SECURE = 1
_CRASH, _LIVE, _DUMP_BYPASS_CACHE, _RESET, _MEMORY_ONLY = 1, 2, 4, 8, 16

#: virDomainCoreDumpFormat
_FORMATS = tuple(DumpFormat)

_FILE, _DXML = "file", "dxml"


def _running(flags: int) -> bool | None:
    """How the guest goes on; None as it was."""
    not_both(flags, _RUNNING, _PAUSED, ("VIR_DOMAIN_SAVE_RUNNING", "VIR_DOMAIN_SAVE_PAUSED"))
    return bool(flags & _RUNNING) if flags & (_RUNNING | _PAUSED) else None


def _texts(params: list[TypedParam]) -> dict[str, str]:
    """The file and the document that were told by name.  Raises ArgumentUnsupported for anything else."""
    for param in params:
        if param.name not in (_FILE, _DXML) or not isinstance(param.value, str):
            raise ArgumentUnsupported(f"parameter '{param.name}' not supported")
    return {param.name: str(param.value) for param in params}


async def _save(call: Call, dom: DomainRef, path: str, xml: str, flags: int) -> None:
    only(flags, _SAVE)
    bypass_cache, running = bool(flags & _BYPASS_CACHE), _running(flags)
    await call.driver.domain_save(dom.uuid, Path(path), xml=xml, bypass_cache=bypass_cache, running=running)


@remote
async def domain_save(call: Call, dom: DomainRef, path: str) -> None:
    await _save(call, dom, path, "", 0)


@remote
async def domain_save_flags(call: Call, dom: DomainRef, path: str, xml: str | None, flags: int) -> None:
    await _save(call, dom, path, xml or "", flags)


@remote
async def domain_save_params(call: Call, dom: DomainRef, params: list[TypedParam], flags: int) -> None:
    told = _texts(params)
    if _FILE in told:
        await _save(call, dom, told[_FILE], told.get(_DXML, ""), flags)
    else:
        await _managed_save(call, dom, told.get(_DXML, ""), flags)


async def _restore(call: Call, path: str, xml: str, flags: int) -> None:
    only(flags, _SAVE | _RESET_NVRAM)
    await call.driver.domain_restore(
        Path(path),
        xml=xml,
        bypass_cache=bool(flags & _BYPASS_CACHE),
        running=_running(flags),
        reset_nvram=bool(flags & _RESET_NVRAM),
    )


@remote
async def domain_restore(call: Call, path: str) -> None:
    await _restore(call, path, "", 0)


@remote
async def domain_restore_flags(call: Call, path: str, xml: str | None, flags: int) -> None:
    await _restore(call, path, xml or "", flags)


@remote
async def domain_restore_params(call: Call, params: list[TypedParam], flags: int) -> None:
    told = _texts(params)
    if _FILE not in told:
        raise InvalidArgument(f"missing parameter '{_FILE}'")
    await _restore(call, told[_FILE], told.get(_DXML, ""), flags)


@remote
async def domain_save_image_get_xml_desc(call: Call, path: str, flags: int) -> str:
    only(flags, _SECURE)
    return await call.driver.saved_xml(Path(path), secure=bool(flags & _SECURE))


@remote
async def domain_save_image_define_xml(call: Call, path: str, xml: str, flags: int) -> None:
    only(flags, _RUNNING | _PAUSED)
    await call.driver.saved_define(Path(path), xml, running=_running(flags))


@remote
async def domain_managed_save(call: Call, dom: DomainRef, flags: int) -> None:
    await _managed_save(call, dom, "", flags)


async def _managed_save(call: Call, dom: DomainRef, xml: str, flags: int) -> None:
    only(flags, _SAVE)
    bypass_cache, running = bool(flags & _BYPASS_CACHE), _running(flags)
    await call.driver.domain_managed_save(dom.uuid, xml=xml, bypass_cache=bypass_cache, running=running)


@remote
async def domain_has_managed_save_image(call: Call, dom: DomainRef, flags: int) -> int:
    only(flags, 0)
    return int((await call.driver.domain_find(dom.uuid)).managed_save)


@remote
async def domain_managed_save_remove(call: Call, dom: DomainRef, flags: int) -> None:
    only(flags, 0)
    await call.driver.domain_managed_save_remove(dom.uuid)


@remote
async def domain_managed_save_get_xml_desc(call: Call, dom: DomainRef, flags: int) -> str:
    only(flags, _SECURE)
    return await call.driver.domain_managed_save_xml(dom.uuid, secure=bool(flags & _SECURE))


@remote
async def domain_managed_save_define_xml(call: Call, dom: DomainRef, xml: str | None, flags: int) -> None:
    only(flags, _RUNNING | _PAUSED)
    await call.driver.domain_managed_save_define(dom.uuid, xml or "", running=_running(flags))


@remote
async def domain_core_dump(call: Call, dom: DomainRef, path: str, flags: int) -> None:
    await domain_core_dump_with_format(call, dom, path, 0, flags)


@remote
async def domain_core_dump_with_format(call: Call, dom: DomainRef, path: str, form: int, flags: int) -> None:
    only(flags, 31)
    not_both(flags, _CRASH, _LIVE, ("VIR_DUMP_CRASH", "VIR_DUMP_LIVE"))
    not_both(flags, _CRASH, _RESET, ("VIR_DUMP_CRASH", "VIR_DUMP_RESET"))
    not_both(flags, _LIVE, _RESET, ("VIR_DUMP_LIVE", "VIR_DUMP_RESET"))
    if form >= len(_FORMATS):
        raise InvalidArgument(f"dumpformat '{form}' is not supported")
    await call.driver.domain_dump(
        dom.uuid,
        Path(path),
        dump_format=_FORMATS[form],
        memory_only=bool(flags & _MEMORY_ONLY),
        crash=bool(flags & _CRASH),
        live=bool(flags & _LIVE),
        reset=bool(flags & _RESET),
        bypass_cache=bool(flags & _DUMP_BYPASS_CACHE),
    )
