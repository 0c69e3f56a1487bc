"""Secrets: passphrases and keys that guests' disks and devices need.

Generated from aio/secrets.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from vmherd.api import aio, bridge
from vmherd.driver.secret import SecretInfo
from vmherd.events import ResourceEvent


class Secrets:
    """The secrets of a host."""

    def __init__(self, wrapped: aio.Secrets) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    def list(self) -> Sequence[SecretInfo]:
        """Every secret, ordered by UUID; no values."""
        return self._loop.run(self._wrapped.list())

    def find(self, uuid: str) -> Secret:
        """Raises SecretNotFound."""
        return Secret(self._loop.run(self._wrapped.find(uuid)))

    def by_usage(self, usage_type: int, usage_id: str) -> Secret:
        """The one for this use, a virSecretUsageType and of what; raises SecretNotFound."""
        return Secret(self._loop.run(self._wrapped.by_usage(usage_type, usage_id)))

    def define(self, xml: str) -> Secret:
        """Keep a secret, or replace what is said of the one with the same UUID; its value is set apart.

        Raises AlreadyExists where another is for the same use.
        """
        return Secret(self._loop.run(self._wrapped.define(xml)))

    def events(self, *wanted: type[ResourceEvent]) -> Generator[ResourceEvent, None, None]:
        """The events of these classes, SecretEvent or SecretValueEvent, while the loop lasts; all if none is named."""
        return self._loop.iterate(self._wrapped.events(*wanted))


class Secret:
    """A secret: what it is for, and its value."""

    def __init__(self, wrapped: aio.Secret) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()
        self.uuid = wrapped.uuid

    def info(self) -> SecretInfo:
        """What it is for."""
        return self._loop.run(self._wrapped.info())

    def xml(self) -> str:
        """The document, without the value."""
        return self._loop.run(self._wrapped.xml())

    def value(self) -> bytes:
        """Raises SecretNotFound where it has none yet, Denied for a private one."""
        return self._loop.run(self._wrapped.value())

    def set_value(self, value: bytes) -> None:
        """Give it a value, of 64 KiB at most."""
        self._loop.run(self._wrapped.set_value(value))

    def undefine(self) -> None:
        """Forget it and its value."""
        self._loop.run(self._wrapped.undefine())
