"""The passphrase of an encrypted volume, for qemu-img alone: in memory, at a path that is gone with this process."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from vmherd.conf.domain.storage import Encryption
from vmherd.conf.storage import Volume
from vmherd.driver.registry import lent
from vmherd.driver.secret import SecretDriver
from vmherd.driver.uri import ConnectURI
from vmherd.errors import SecretNotFound, Unsupported

_FOR_VOLUMES = 1  # VIR_SECRET_USAGE_TYPE_VOLUME


@asynccontextmanager
async def of(volume: Volume, uri: ConnectURI) -> AsyncIterator[Path | None]:
    """Where it can be read, None for a volume that needs none.

    Raises SecretNotFound; Unsupported for a secret that is not named by its UUID.
    """
    encryption = volume.target.encryption
    if encryption is None:
        yield None
        return
    async with lent(SecretDriver, uri) as driver:
        uuid = await _uuid(encryption, volume, driver)
        value = await driver.secret_value(uuid, internal=True)
    fd = os.memfd_create("passphrase", os.MFD_CLOEXEC)
    try:
        os.write(fd, value)
        yield Path(f"/proc/{os.getpid()}/fd/{fd}")
    finally:
        os.close(fd)


async def _uuid(encryption: Encryption, volume: Volume, driver: SecretDriver) -> str:
    """Of the secret that a document names; of a volume that was found, the one for its path (as libvirt)."""
    if encryption.secrets:
        if uuid := encryption.secrets[0].uuid:
            return uuid
        place = "volume/target/encryption/secret/@uuid"
        raise Unsupported("the secret of a volume is named by its UUID", place=place, hint="add uuid='...'")
    path = volume.target.path or ""
    try:
        return (await driver.secret_by_usage(_FOR_VOLUMES, path)).uuid
    except SecretNotFound:
        hint = f"define one with <usage type='volume'><volume>{path}</volume></usage>"
        raise SecretNotFound(path, "for this encrypted volume is not there", hint=hint) from None
