"""Everything that a guest tells of itself at once, by the names of VIR_DOMAIN_GUEST_INFO_*.

Source: qemuDomainGetGuestInfo of libvirt, QEMU's qga/qapi-schema.json.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec

from vmherd.conf.domain import Domain
from vmherd.driver.agent import GuestInfo
from vmherd.driver.params import Params
from vmherd.hypervisors.qemu.agent import Agent, AgentRefused
from vmherd.hypervisors.qemu.inside import HostName, Told, interfaces, storage

#: The agent's words for an operating system, which are libvirt's too.
_OS = (
    *("id", "name", "pretty-name", "version", "version-id", "machine", "variant", "variant-id"),
    *("kernel-release", "kernel-version"),
)


class _User(Told, frozen=True):
    user: str
    login_time: Annotated[float, msgspec.Meta(ge=0, lt=1e13)]
    domain: str | None = None


class _Timezone(Told, frozen=True):
    offset: Annotated[int, msgspec.Meta(ge=-(1 << 31), lt=1 << 31)]
    zone: str | None = None


async def tell(agent: Agent, domain: Domain, groups: GuestInfo | None) -> Params:
    """What ``groups`` names, or everything that this agent knows of."""
    told: Params = {}
    for group, ask in _GROUPS.items():
        if groups is not None and group not in groups:
            continue
        try:
            told |= await ask(agent, domain)
        except AgentRefused as problem:
            if groups is not None or not problem.unsupported:
                raise
    return told


async def _users(agent: Agent, _: Domain) -> Params:
    found = await agent.ask("guest-get-users", list[_User])
    told: Params = {"user.count": len(found)}
    for number, each in enumerate(found):
        told[f"user.{number}.name"] = each.user
        if each.domain is not None:
            told[f"user.{number}.domain"] = each.domain
        told[f"user.{number}.login-time"] = int(each.login_time * 1000)
    return told


async def _os(agent: Agent, _: Domain) -> Params:
    found = await agent.ask("guest-get-osinfo", dict[str, str])
    return {f"os.{name}": found[name] for name in _OS if name in found}


async def _timezone(agent: Agent, _: Domain) -> Params:
    found = await agent.ask("guest-get-timezone", _Timezone)
    zone: Params = {} if found.zone is None else {"timezone.name": found.zone}
    return zone | {"timezone.offset": found.offset}


async def _hostname(agent: Agent, _: Domain) -> Params:
    return {"hostname": (await agent.ask("guest-get-host-name", HostName)).host_name}


async def _interfaces(agent: Agent, _: Domain) -> Params:
    return interfaces.params(await interfaces.ask(agent))


_GROUPS: dict[GuestInfo, Callable[[Agent, Domain], Awaitable[Params]]] = {
    GuestInfo.USERS: _users,
    GuestInfo.OS: _os,
    GuestInfo.TIMEZONE: _timezone,
    GuestInfo.HOSTNAME: _hostname,
    GuestInfo.FILESYSTEM: storage.filesystem_params,
    GuestInfo.DISKS: storage.disk_params,
    GuestInfo.INTERFACES: _interfaces,
}
