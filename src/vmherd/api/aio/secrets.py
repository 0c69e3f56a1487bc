"""Secrets: passphrases and keys that guests' disks and devices need."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from vmherd.api.resource import changing
from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.secret import SecretDriver, SecretInfo
from vmherd.events import ResourceEvent


class Secrets:
    """The secrets of a host."""

    def __init__(self, driver: HypervisorDriver) -> None:
        self._driver = driver

    async def list(self) -> Sequence[SecretInfo]:
        """Every secret, ordered by UUID; no values."""
        return await (await self._driver.resource(SecretDriver)).secret_list()

    async def find(self, uuid: str) -> Secret:
        """Raises SecretNotFound."""
        return Secret(self._driver, await (await self._driver.resource(SecretDriver)).secret_find(uuid))

    async def by_usage(self, usage_type: int, usage_id: str) -> Secret:
        """The one for this use, a virSecretUsageType and of what; raises SecretNotFound."""
        secrets = await self._driver.resource(SecretDriver)
        return Secret(self._driver, await secrets.secret_by_usage(usage_type, usage_id))

    async def define(self, xml: str) -> Secret:
        """Keep a secret, or replace what is said of the one with the same UUID; its value is set apart.

        Raises AlreadyExists where another is for the same use.
        """
        return Secret(self._driver, await (await changing(self._driver, SecretDriver)).secret_define(xml))

    async def events(self, *wanted: type[ResourceEvent]) -> AsyncGenerator[ResourceEvent, None]:
        """The events of these classes, SecretEvent or SecretValueEvent, while the loop lasts; all if none is named."""
        secrets = await self._driver.resource(SecretDriver)
        async with await secrets.events(*wanted) as subscription:
            async for event in subscription:
                yield event


class Secret:
    """A secret: what it is for, and its value."""

    def __init__(self, driver: HypervisorDriver, info: SecretInfo) -> None:
        self._driver = driver
        self.uuid = info.uuid

    async def info(self) -> SecretInfo:
        """What it is for."""
        return await (await self._driver.resource(SecretDriver)).secret_find(self.uuid)

    async def xml(self) -> str:
        """The document, without the value."""
        return await (await self._driver.resource(SecretDriver)).secret_xml(self.uuid)

    async def value(self) -> bytes:
        """Raises SecretNotFound where it has none yet, Denied for a private one."""
        return await (await changing(self._driver, SecretDriver)).secret_value(self.uuid)

    async def set_value(self, value: bytes) -> None:
        """Give it a value, of 64 KiB at most."""
        await (await changing(self._driver, SecretDriver)).secret_set_value(self.uuid, value)

    async def undefine(self) -> None:
        """Forget it and its value."""
        await (await changing(self._driver, SecretDriver)).secret_undefine(self.uuid)
