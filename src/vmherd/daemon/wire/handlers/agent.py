"""What the agent in a guest tells and does.

Source: qemu_driver.c of libvirt, for what it refuses and in which words.
"""

from __future__ import annotations

from typing import Any

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import answers, remote
from vmherd.daemon.wire.flags import DomainRef, not_both, only
from vmherd.driver.agent import AddressSource, GuestInfo
from vmherd.errors import ArgumentUnsupported, InvalidArgument
from vmherd.rpc.params import typed

qemu = answers("qemu")

_SECOND = 1_000_000_000
_LATEST = ((1 << 63) - 1) // _SECOND
_LEASE, _AGENT = 1, 2
_HOSTNAME_SOURCES = {0: None, _LEASE: AddressSource.LEASE, _AGENT: AddressSource.AGENT}
_SYNC = 1
_ENCRYPTED = 1
_APPEND, _REMOVE = 1, 2
#: virIPAddrType by the number of the family.
_FAMILIES = {4: 0, 6: 1}


@qemu
async def domain_agent_command(call: Call, dom: DomainRef, command: str, timeout: int, flags: int) -> str:
    only(flags, 0)
    return await call.driver.domain_agent_command(dom.uuid, command, timeout=timeout)


@remote
async def domain_agent_set_response_timeout(call: Call, dom: DomainRef, timeout: int, flags: int) -> int:
    only(flags, 0)
    await call.driver.domain_set_agent_timeout(dom.uuid, timeout)
    return 0


@remote
async def domain_get_guest_info(call: Call, dom: DomainRef, types: int, flags: int) -> list[Any]:
    only(flags, 0)
    if unknown := types & ~sum(GuestInfo):
        raise InvalidArgument(f"unsupported guest information types '0x{unknown:x}'")
    return typed(await call.driver.domain_guest_info(dom.uuid, GuestInfo(types) if types else None))


@remote
async def domain_get_hostname(call: Call, dom: DomainRef, flags: int) -> str:
    only(flags, _LEASE | _AGENT)
    names = ("VIR_DOMAIN_GET_HOSTNAME_LEASE", "VIR_DOMAIN_GET_HOSTNAME_AGENT")
    not_both(flags, _LEASE, _AGENT, names)
    return await call.driver.domain_hostname(dom.uuid, _HOSTNAME_SOURCES[flags])


@remote
async def domain_interface_addresses(call: Call, dom: DomainRef, source: int, flags: int) -> list[Any]:
    only(flags, 0)
    if source not in set(AddressSource):
        raise ArgumentUnsupported(f"Unknown IP address data source {source}")
    return [
        (
            each.name,
            each.mac or None,
            [(_FAMILIES[address.family], address.address, address.prefix) for address in each.addresses],
        )
        for each in await call.driver.domain_addresses(dom.uuid, AddressSource(source))
    ]


# File systems


@remote
async def domain_get_fsinfo(call: Call, dom: DomainRef, flags: int) -> tuple[list[Any], int]:
    only(flags, 0)
    found = await call.driver.domain_filesystems(dom.uuid)
    return [(each.mountpoint, each.name, each.type, list(each.disks)) for each in found], len(found)


@remote
async def domain_fsfreeze(call: Call, dom: DomainRef, mountpoints: list[str], flags: int) -> int:
    only(flags, 0)
    return await call.driver.domain_freeze(dom.uuid, mountpoints)


@remote
async def domain_fsthaw(call: Call, dom: DomainRef, mountpoints: list[str], flags: int) -> int:
    # All of them: the agent knows no other way, and libvirt says that the list has no meaning yet.
    only(flags, 0)
    return await call.driver.domain_thaw(dom.uuid)


@remote
async def domain_fstrim(call: Call, dom: DomainRef, mountpoint: str | None, minimum: int, flags: int) -> None:
    only(flags, 0)
    if mountpoint:
        raise ArgumentUnsupported("Specifying mount point is not supported for now")
    await call.driver.domain_trim(dom.uuid, minimum=minimum)


# Time, users, vCPUs


@remote
async def domain_get_time(call: Call, dom: DomainRef, flags: int) -> tuple[int, int]:
    only(flags, 0)
    return divmod(await call.driver.domain_time(dom.uuid), _SECOND)


@remote
async def domain_set_time(call: Call, dom: DomainRef, seconds: int, nanoseconds: int, flags: int) -> None:
    only(flags, _SYNC)
    if seconds > _LATEST:
        raise InvalidArgument(f"Time '{seconds}' is too big for guest agent")
    await call.driver.domain_set_time(dom.uuid, None if flags & _SYNC else seconds * _SECOND + nanoseconds)


@remote
async def domain_set_user_password(
    call: Call, dom: DomainRef, user: str | None, password: str | None, flags: int
) -> None:
    only(flags, _ENCRYPTED)
    if user is None or password is None:
        raise InvalidArgument("a user and a password must be told")
    await call.driver.domain_set_user_password(dom.uuid, user, password, encrypted=bool(flags & _ENCRYPTED))


@remote
async def domain_get_guest_vcpus(call: Call, dom: DomainRef, flags: int) -> list[Any]:
    only(flags, 0)
    return typed(await call.driver.domain_guest_vcpus(dom.uuid))


@remote
async def domain_set_guest_vcpus(call: Call, dom: DomainRef, vcpus: str, state: int, flags: int) -> None:
    only(flags, 0)
    if state not in (0, 1):
        raise InvalidArgument("unsupported state value")
    await call.driver.domain_set_guest_vcpus(dom.uuid, vcpus, online=bool(state))


@remote
async def domain_authorized_ssh_keys_get(call: Call, dom: DomainRef, user: str, flags: int) -> list[str]:
    only(flags, 0)
    return await call.driver.domain_ssh_keys(dom.uuid, user)


@remote
async def domain_authorized_ssh_keys_set(call: Call, dom: DomainRef, user: str, keys: list[str], flags: int) -> None:
    only(flags, _APPEND | _REMOVE)
    not_both(
        flags,
        _APPEND,
        _REMOVE,
        ("VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND", "VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE"),
    )
    if flags and not keys:
        raise InvalidArgument("keys must be told to add or remove them")
    if flags & _REMOVE:
        await call.driver.domain_remove_ssh_keys(dom.uuid, user, keys)
    else:
        await call.driver.domain_set_ssh_keys(dom.uuid, user, keys, append=bool(flags & _APPEND))
