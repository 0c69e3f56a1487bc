"""The passphrase of an encrypted volume, in a file that only qemu-img sees."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from vmherd.conf.storage import Volume
from vmherd.driver.registry import lent
from vmherd.driver.secret import SecretDriver
from vmherd.driver.uri import ConnectURI
from vmherd.errors import Unsupported
from vmherd.util.files import write_atomically


@asynccontextmanager
async def of(volume: Volume, uri: ConnectURI, folder: Path) -> AsyncIterator[Path | None]:
    """The file, None for a volume that needs none; it is gone afterwards.

    Raises SecretNotFound; Unsupported for a secret that is not named by its UUID.
    """
    encryption = volume.target.encryption
    if encryption is None or not encryption.secrets:
        yield None
        return
    uuid = encryption.secrets[0].uuid
    if uuid is None:
        place = "volume/target/encryption/secret/@uuid"
        raise Unsupported("the secret of a volume is named by its UUID", place=place, hint="add uuid='...'")
    async with lent(SecretDriver, uri) as driver:
        value = await driver.secret_value(uuid, internal=True)
    file = folder / secrets.token_hex(8)
    try:
        write_atomically(file, value)
        yield file
    finally:
        file.unlink(missing_ok=True)
