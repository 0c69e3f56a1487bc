"""What the agent in a guest tells and does, over the wire."""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.driver.agent import (
    AddressSource,
    AgentTimeout,
    GuestAddress,
    GuestFilesystem,
    GuestInfo,
    GuestInterface,
)
from vmherd.driver.params import Params
from vmherd.errors import InvalidArgument
from vmherd.remote.connection import RemoteConnection
from vmherd.rpc.params import plain

_SECOND = 1_000_000_000
_SYNC = 1
_ENCRYPTED = 1
_APPEND, _REMOVE = 1, 2
#: virDomainGetHostnameFlags
_HOSTNAME_FLAGS = {None: 0, AddressSource.LEASE: 1, AddressSource.AGENT: 2}
#: The number of the family by virIPAddrType.
_FAMILIES = (4, 6)


class RemoteAgent(RemoteConnection):
    """What only somebody inside the guest can do."""

    async def domain_agent_command(self, uuid: str, command: str, *, timeout: int = AgentTimeout.DEFAULT) -> str:
        answer = await self._change(uuid, "domain_agent_command", command, timeout, 0, program="qemu")
        return str(answer or "")

    async def domain_set_agent_timeout(self, uuid: str, timeout: int) -> None:
        await self._change(uuid, "domain_agent_set_response_timeout", timeout, 0)

    async def domain_guest_info(self, uuid: str, groups: GuestInfo | None = None) -> Params:
        return plain(await self._change(uuid, "domain_get_guest_info", groups or 0, 0))

    async def domain_hostname(self, uuid: str, source: AddressSource | None = None) -> str:
        if source is AddressSource.ARP:
            raise InvalidArgument("neighbours do not tell names", hint="ask for those of leases, or the agent's")
        return str(await self._change(uuid, "domain_get_hostname", _HOSTNAME_FLAGS[source]))

    async def domain_addresses(self, uuid: str, source: AddressSource = AddressSource.LEASE) -> list[GuestInterface]:
        found = await self._ask(uuid, "domain_interface_addresses", source, 0)
        return [
            GuestInterface(
                name=name,
                mac=mac or "",
                addresses=tuple(
                    GuestAddress(family=_FAMILIES[kind], address=address, prefix=prefix)
                    for kind, address, prefix in addresses
                ),
            )
            for name, mac, addresses in found
        ]

    async def domain_filesystems(self, uuid: str) -> list[GuestFilesystem]:
        found, _ = await self._change(uuid, "domain_get_fsinfo", 0)
        return [
            GuestFilesystem(mountpoint=mountpoint, name=name, type=kind, disks=tuple(disks))
            for mountpoint, name, kind, disks in found
        ]

    async def domain_freeze(self, uuid: str, mountpoints: Sequence[str] = ()) -> int:
        return int(await self._change(uuid, "domain_fsfreeze", list(mountpoints), 0))

    async def domain_thaw(self, uuid: str) -> int:
        return int(await self._change(uuid, "domain_fsthaw", [], 0))

    async def domain_trim(self, uuid: str, *, minimum: int = 0) -> None:
        await self._change(uuid, "domain_fstrim", None, minimum, 0)

    async def domain_time(self, uuid: str) -> int:
        seconds, nanoseconds = await self._change(uuid, "domain_get_time", 0)
        return int(seconds) * _SECOND + int(nanoseconds)

    async def domain_set_time(self, uuid: str, nanoseconds: int | None) -> None:
        flags = _SYNC if nanoseconds is None else 0
        await self._change(uuid, "domain_set_time", *divmod(nanoseconds or 0, _SECOND), flags)

    async def domain_set_user_password(self, uuid: str, user: str, password: str, *, encrypted: bool = False) -> None:
        await self._change(uuid, "domain_set_user_password", user, password, _ENCRYPTED * encrypted)

    async def domain_guest_vcpus(self, uuid: str) -> Params:
        return plain(await self._change(uuid, "domain_get_guest_vcpus", 0))

    async def domain_set_guest_vcpus(self, uuid: str, vcpus: str, *, online: bool) -> None:
        await self._change(uuid, "domain_set_guest_vcpus", vcpus, int(online), 0)

    async def domain_ssh_keys(self, uuid: str, user: str) -> list[str]:
        return list(await self._change(uuid, "domain_authorized_ssh_keys_get", user, 0))

    async def domain_set_ssh_keys(self, uuid: str, user: str, keys: Sequence[str], *, append: bool = False) -> None:
        await self._change(uuid, "domain_authorized_ssh_keys_set", user, list(keys), _APPEND * append)

    async def domain_remove_ssh_keys(self, uuid: str, user: str, keys: Sequence[str]) -> None:
        await self._change(uuid, "domain_authorized_ssh_keys_set", user, list(keys), _REMOVE)
