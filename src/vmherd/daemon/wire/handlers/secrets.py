"""Secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import only
from vmherd.driver.secret import SecretDriver, SecretInfo

_VALIDATE = 1

#: virConnectListAllSecretsFlags, in groups as with domains.
_GROUPS: tuple[dict[int, Callable[[SecretInfo], bool]], ...] = (
    {1: lambda info: info.ephemeral, 2: lambda info: not info.ephemeral},
    {4: lambda info: info.private, 8: lambda info: not info.private},
)


class SecretRef(NamedTuple):
    """How the protocol names a secret."""

    uuid: str
    usage_type: int
    usage_id: str


async def _secrets(call: Call) -> SecretDriver:
    return await call.driver.resource(SecretDriver)


def _reference(info: SecretInfo) -> SecretRef:
    return SecretRef(info.uuid, info.usage_type, info.usage_id)


def _wanted(flags: int, info: SecretInfo) -> bool:
    asked = ([test for bit, test in group.items() if flags & bit] for group in _GROUPS)
    return all(any(test(info) for test in tests) for tests in asked if tests)


@remote
async def connect_list_all_secrets(call: Call, need_results: int, flags: int) -> tuple[list[SecretRef], int]:
    only(flags, 15)
    found = [_reference(info) for info in await (await _secrets(call)).secret_list() if _wanted(flags, info)]
    return found if need_results else [], len(found)


@remote
async def connect_num_of_secrets(call: Call) -> int:
    return len(await (await _secrets(call)).secret_list())


@remote
async def connect_list_secrets(call: Call, most: int) -> list[str]:
    return [info.uuid for info in await (await _secrets(call)).secret_list()][: max(most, 0)]


@remote
async def secret_lookup_by_uuid(call: Call, uuid: str) -> SecretRef:
    return _reference(await (await _secrets(call)).secret_find(uuid))


@remote
async def secret_lookup_by_usage(call: Call, usage_type: int, usage_id: str) -> SecretRef:
    return _reference(await (await _secrets(call)).secret_by_usage(usage_type, usage_id))


@remote
async def secret_define_xml(call: Call, xml: str, flags: int) -> SecretRef:
    only(flags, _VALIDATE)
    return _reference(await (await _secrets(call)).secret_define(xml))


@remote
async def secret_undefine(call: Call, secret: SecretRef) -> None:
    await (await _secrets(call)).secret_undefine(secret.uuid)


@remote
async def secret_get_xml_desc(call: Call, secret: SecretRef, flags: int) -> str:
    only(flags, 0)
    return await (await _secrets(call)).secret_xml(secret.uuid)


@remote
async def secret_set_value(call: Call, secret: SecretRef, value: bytes, flags: int) -> None:
    only(flags, 0)
    await (await _secrets(call)).secret_set_value(secret.uuid, value)


@remote
async def secret_get_value(call: Call, secret: SecretRef, flags: int) -> bytes:
    only(flags, 0)
    return await (await _secrets(call)).secret_value(secret.uuid)
