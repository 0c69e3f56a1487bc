"""Devices that come and go.

The calls without flags are for the running guest.  Source: qemuDomainAttachDevice and its relatives of libvirt.
"""

from __future__ import annotations

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import DomainRef, only
from vmherd.driver.types import Scope

_LIVE = Scope(live=True)
#: virDomainModificationImpact, and virDomainDeviceModifyFlags.
_AFFECT, _FORCE = 3, 4


@remote
async def domain_attach_device(call: Call, dom: DomainRef, xml: str) -> None:
    await call.driver.domain_attach_device(dom.uuid, xml, _LIVE)


@remote
async def domain_attach_device_flags(call: Call, dom: DomainRef, xml: str, flags: int) -> None:
    only(flags, _AFFECT)
    await call.driver.domain_attach_device(dom.uuid, xml, Scope.from_flags(flags))


@remote
async def domain_detach_device(call: Call, dom: DomainRef, xml: str) -> None:
    await call.driver.domain_detach_device(dom.uuid, xml, _LIVE)


@remote
async def domain_detach_device_flags(call: Call, dom: DomainRef, xml: str, flags: int) -> None:
    only(flags, _AFFECT)
    await call.driver.domain_detach_device(dom.uuid, xml, Scope.from_flags(flags))


@remote
async def domain_detach_device_alias(call: Call, dom: DomainRef, alias: str, flags: int) -> None:
    only(flags, _AFFECT)
    await call.driver.domain_detach_device_alias(dom.uuid, alias, Scope.from_flags(flags))


@remote
async def domain_update_device_flags(call: Call, dom: DomainRef, xml: str, flags: int) -> None:
    only(flags, _AFFECT | _FORCE)
    force = bool(flags & _FORCE)
    await call.driver.domain_update_device(dom.uuid, xml, Scope.from_flags(flags), force=force)
