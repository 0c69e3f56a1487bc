"""The secret driver API: passphrases and keys that guests' disks and devices need.  Secrets are named by UUID."""

from __future__ import annotations

import msgspec

from vmherd.driver.resource import ResourceDriver
from vmherd.events import ResourceEvent


class SecretInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``usage_type`` is a virSecretUsageType; ``usage_id`` is "" where there is none."""

    uuid: str
    usage_type: int = 0
    usage_id: str = ""
    ephemeral: bool = False
    private: bool = False


class SecretDriver(ResourceDriver[ResourceEvent]):
    """Base of secret drivers."""

    name = "secret"

    async def secret_list(self) -> list[SecretInfo]:
        """Every secret, ordered by UUID."""
        self._unsupported("secret_list")

    async def secret_find(self, uuid: str) -> SecretInfo:
        """Raises SecretNotFound."""
        self._unsupported("secret_find")

    async def secret_by_usage(self, usage_type: int, usage_id: str) -> SecretInfo:
        """The one for this use; raises SecretNotFound."""
        self._unsupported("secret_by_usage")

    async def secret_xml(self, uuid: str) -> str:
        """The document, without the value."""
        self._unsupported("secret_xml")

    async def secret_define(self, xml: str) -> SecretInfo:
        """Keep a secret, or replace what is said of the one with this UUID.

        Raises AlreadyExists where another is for the same use.
        """
        self._unsupported("secret_define")

    async def secret_undefine(self, uuid: str) -> None:
        """Forget a secret and its value."""
        self._unsupported("secret_undefine")

    async def secret_set_value(self, uuid: str, value: bytes) -> None:
        """Give it a value, of 64 KiB at most."""
        self._unsupported("secret_set_value")

    async def secret_value(self, uuid: str, *, internal: bool = False) -> bytes:
        """The value; that of a private one for ``internal`` use only, which is a guest's start.

        Raises SecretNotFound where it has none yet, Denied for a private one.
        """
        self._unsupported("secret_value")
