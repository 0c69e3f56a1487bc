"""Who logs in at a storage server: the name in a pool's <auth>, and the value of its secret."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from vmherd.conf.secret import UsageType
from vmherd.conf.storage import Pool
from vmherd.driver.registry import lent
from vmherd.driver.secret import SecretDriver
from vmherd.driver.uri import ConnectURI
from vmherd.errors import SecretNotFound

#: The types of <auth>, and what secrets for them are used for.
_USAGES = {"chap": UsageType.ISCSI, "ceph": UsageType.CEPH}


async def of(pool: Pool, uri: ConnectURI) -> tuple[str, bytes] | None:
    """The name and the passphrase; None for a pool that needs none.  Raises SecretNotFound."""
    auth = pool.source.auth
    if auth is None:
        return None
    async with lent(SecretDriver, uri) as driver:
        uuid = auth.secret.uuid
        if uuid is None:
            if not auth.secret.usage or auth.type not in _USAGES:
                raise SecretNotFound("", "is named by neither UUID nor use", "add uuid='...' to <secret>")
            number = list(UsageType).index(_USAGES[auth.type])
            uuid = (await driver.secret_by_usage(number, auth.secret.usage)).uuid
        return auth.username, await driver.secret_value(uuid, internal=True)


@contextmanager
def in_memory(name: str, content: bytes) -> Iterator[str]:
    """The path of a file with this content that only programs of ours can read, and that is gone with this process."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        os.write(fd, content)
        yield f"/proc/{os.getpid()}/fd/{fd}"
    finally:
        os.close(fd)
