"""Domains: their documents, and their lives."""

from __future__ import annotations

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import DomainRef, not_both, only
from vmherd.daemon.wire.handlers.lists import reference
from vmherd.driver.types import ShutdownMode

_KIB = 1024
_NANOSECONDS = 1_000_000_000

_SECURE, _INACTIVE, _UPDATE_CPU, _MIGRATABLE = 1, 2, 4, 8
_PAUSED, _AUTODESTROY, _BYPASS_CACHE, _FORCE_BOOT, _VALIDATE_CREATED, _RESET_NVRAM = 1, 2, 4, 8, 16, 32
_VALIDATE = 1
_MANAGED_SAVE, _NVRAM, _KEEP_NVRAM = 1, 4, 8
_GRACEFUL = 1
#: virDomainShutdownFlagValues, virDomainRebootFlagValues; the other ways are those of containers and of Xen.
_ACPI, _AGENT = 1, 2


# Documents


@remote
async def domain_get_xml_desc(call: Call, dom: DomainRef, flags: int) -> str:
    only(flags, _SECURE | _INACTIVE | _UPDATE_CPU | _MIGRATABLE)
    return await call.driver.domain_xml(dom.uuid, inactive=bool(flags & _INACTIVE), secure=bool(flags & _SECURE))


@remote
async def domain_define_xml(call: Call, xml: str) -> DomainRef:
    return reference(await call.driver.domain_define(xml))


@remote
async def domain_define_xml_flags(call: Call, xml: str, flags: int) -> DomainRef:
    only(flags, _VALIDATE)
    return reference(await call.driver.domain_define(xml))


@remote
async def domain_undefine(call: Call, dom: DomainRef) -> None:
    await call.driver.domain_undefine(dom.uuid)


@remote
async def domain_undefine_flags(call: Call, dom: DomainRef, flags: int) -> None:
    only(flags, 127)
    not_both(flags, _NVRAM, _KEEP_NVRAM, ("VIR_DOMAIN_UNDEFINE_NVRAM", "VIR_DOMAIN_UNDEFINE_KEEP_NVRAM"))
    keep = bool(flags & _KEEP_NVRAM) if flags & (_NVRAM | _KEEP_NVRAM) else None
    await call.driver.domain_undefine(dom.uuid, keep_nvram=keep, managed_save=bool(flags & _MANAGED_SAVE))


@remote
async def domain_get_os_type(call: Call, dom: DomainRef) -> str:
    from vmherd.conf.domain import parse_domain

    return str(parse_domain(await call.driver.domain_xml(dom.uuid)).os.type.name)


# State


@remote
async def domain_get_state(call: Call, dom: DomainRef, flags: int) -> tuple[int, int]:
    only(flags, 0)
    info = await call.driver.domain_find(dom.uuid)
    return int(info.state), info.reason


@remote
async def domain_get_info(call: Call, dom: DomainRef) -> tuple[int, int, int, int, int]:
    info = await call.driver.domain_info(dom.uuid)
    cpu_time = int(info.cpu_time * _NANOSECONDS)
    return int(info.state), info.max_memory // _KIB, info.memory // _KIB, info.vcpus, cpu_time


@remote
async def domain_get_max_memory(call: Call, dom: DomainRef) -> int:
    return (await call.driver.domain_find(dom.uuid)).max_memory // _KIB


@remote
async def domain_is_active(call: Call, dom: DomainRef) -> int:
    return int((await call.driver.domain_find(dom.uuid)).active)


@remote
async def domain_is_persistent(call: Call, dom: DomainRef) -> int:
    return int((await call.driver.domain_find(dom.uuid)).persistent)


@remote
async def domain_is_updated(call: Call, dom: DomainRef) -> int:
    await call.driver.domain_find(dom.uuid)
    return 0


@remote
async def domain_get_autostart(call: Call, dom: DomainRef) -> int:
    return int((await call.driver.domain_find(dom.uuid)).autostart)


@remote
async def domain_set_autostart(call: Call, dom: DomainRef, enabled: int) -> None:
    await call.driver.domain_set_autostart(dom.uuid, bool(enabled))


# Life


@remote
async def domain_create_xml(call: Call, xml: str, flags: int) -> DomainRef:
    only(flags, _PAUSED | _AUTODESTROY | _VALIDATE_CREATED)
    info = await call.driver.domain_create(xml, paused=bool(flags & _PAUSED))
    if flags & _AUTODESTROY:
        call.client.destroy_at_end(info.uuid)
    return reference(info)


@remote
async def domain_create(call: Call, dom: DomainRef) -> None:
    await call.driver.domain_start(dom.uuid)


@remote
async def domain_create_with_flags(call: Call, dom: DomainRef, flags: int) -> DomainRef:
    only(flags, _PAUSED | _AUTODESTROY | _BYPASS_CACHE | _FORCE_BOOT | _RESET_NVRAM)
    await call.driver.domain_start(
        dom.uuid,
        paused=bool(flags & _PAUSED),
        force_boot=bool(flags & _FORCE_BOOT),
        bypass_cache=bool(flags & _BYPASS_CACHE),
        reset_nvram=bool(flags & _RESET_NVRAM),
    )
    if flags & _AUTODESTROY:
        call.client.destroy_at_end(dom.uuid)
    return reference(await call.driver.domain_find(dom.uuid))


@remote
async def domain_shutdown(call: Call, dom: DomainRef) -> None:
    await call.driver.domain_shutdown(dom.uuid)


@remote
async def domain_shutdown_flags(call: Call, dom: DomainRef, flags: int) -> None:
    await call.driver.domain_shutdown(dom.uuid, mode=_mode(flags))


@remote
async def domain_reboot(call: Call, dom: DomainRef, flags: int) -> None:
    await call.driver.domain_reboot(dom.uuid, mode=_mode(flags))


def _mode(flags: int) -> ShutdownMode:
    only(flags, _ACPI | _AGENT)
    match flags:
        case 1:
            return ShutdownMode.ACPI
        case 2:
            return ShutdownMode.AGENT
    return ShutdownMode.DEFAULT


@remote
async def domain_reset(call: Call, dom: DomainRef, flags: int) -> None:
    only(flags, 0)
    await call.driver.domain_reset(dom.uuid)


@remote
async def domain_destroy(call: Call, dom: DomainRef) -> None:
    await call.driver.domain_poweroff(dom.uuid)


@remote
async def domain_destroy_flags(call: Call, dom: DomainRef, flags: int) -> None:
    only(flags, _GRACEFUL)
    await call.driver.domain_poweroff(dom.uuid, graceful=bool(flags & _GRACEFUL))


@remote
async def domain_suspend(call: Call, dom: DomainRef) -> None:
    await call.driver.domain_suspend(dom.uuid)


@remote
async def domain_resume(call: Call, dom: DomainRef) -> None:
    await call.driver.domain_resume(dom.uuid)
