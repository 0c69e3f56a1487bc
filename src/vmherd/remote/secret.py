"""Secrets over the wire."""

from __future__ import annotations

import asyncio
from typing import Any

from vmherd.driver.secret import SecretDriver, SecretInfo
from vmherd.remote.resource import Resource

_EPHEMERAL, _PRIVATE = 1, 4  # virConnectListAllSecretsFlags


class RemoteSecrets(Resource, SecretDriver):
    """virSecret* of libvirt."""

    word = "secret"

    async def secret_list(self) -> list[SecretInfo]:
        everyone, ephemeral, private = await asyncio.gather(*map(self._listed, (0, _EPHEMERAL, _PRIVATE)))
        infos = (_info(ref, ephemeral=uuid in ephemeral, private=uuid in private) for uuid, ref in everyone.items())
        return sorted(infos, key=lambda info: info.uuid)

    async def _listed(self, flags: int) -> dict[str, Any]:
        return {ref.uuid: ref for ref in (await self._call("connect_list_all_secrets", 1, flags))[0]}

    async def secret_find(self, uuid: str) -> SecretInfo:
        return await self._whole(await self._call("secret_lookup_by_uuid", uuid))

    async def secret_by_usage(self, usage_type: int, usage_id: str) -> SecretInfo:
        return await self._whole(await self._call("secret_lookup_by_usage", usage_type, usage_id))

    async def _whole(self, ref: Any) -> SecretInfo:
        from vmherd.conf.secret import parse_secret

        secret = parse_secret(await self.secret_xml(ref.uuid))
        return _info(ref, ephemeral=secret.ephemeral, private=secret.private)

    async def secret_xml(self, uuid: str) -> str:
        return str(await self._call("secret_get_xml_desc", _ref(uuid), 0))

    async def secret_define(self, xml: str) -> SecretInfo:
        return await self._whole(await self._change("secret_define_xml", xml, 0))

    async def secret_undefine(self, uuid: str) -> None:
        await self._change("secret_undefine", _ref(uuid))

    async def secret_set_value(self, uuid: str, value: bytes) -> None:
        await self._change("secret_set_value", _ref(uuid), value, 0)

    async def secret_value(self, uuid: str, *, internal: bool = False) -> bytes:
        return bytes(await self._change("secret_get_value", _ref(uuid), 0))


def _ref(uuid: str) -> tuple[str, int, str]:
    """How the protocol names a secret; daemons go by the UUID alone."""
    return uuid, 0, ""


def _info(ref: Any, *, ephemeral: bool, private: bool) -> SecretInfo:
    return SecretInfo(
        uuid=ref.uuid, usage_type=ref.usageType, usage_id=ref.usageID, ephemeral=ephemeral, private=private
    )
