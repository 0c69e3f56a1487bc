"""The programs of Ceph, with the servers and the key of a pool, which no other user of this host sees.

Sources: ceph(8), rbd(8)
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import msgspec

from vmherd.conf.storage import Pool
from vmherd.driver.uri import ConnectURI
from vmherd.errors import DocumentError, HostError
from vmherd.resources.storage import credentials
from vmherd.util import command

_PACKAGE = "ceph-common"
#: Seconds that the cluster has for an answer; librados itself waits for ever.
_PATIENCE = 60.0
_PLAIN = re.compile(r"[^\n\r\[\]#;]*")


class Ceph:
    """Programs that know where the cluster is.  ``conf`` is their settings' file."""

    def __init__(self, conf: str, user: str, pool: str) -> None:
        self.conf = conf
        self.user = user
        self._pool = pool

    async def rbd(self, *words: str, patience: float = _PATIENCE) -> str:
        return await self._run("rbd", "--pool", self._pool, *words, patience=patience)

    async def asked(self, *words: str) -> Any:
        """What the cluster answers to a command of ceph(8)."""
        return _decoded(await self._run("ceph", "--format", "json", *words))

    async def told(self, *words: str) -> Any:
        """What rbd(8) tells."""
        return _decoded(await self.rbd(*words, "--format", "json"))

    async def _run(self, program: str, *words: str, patience: float = _PATIENCE) -> str:
        argv = [program, "--conf", self.conf, "--id", self.user, *words]
        return await command.run([*command.WITH_US, *argv], patience=patience, package=_PACKAGE)


@asynccontextmanager
async def cluster(pool: Pool, uri: ConnectURI) -> AsyncIterator[Ceph]:
    """The programs, while the block lasts.  Raises SecretNotFound."""
    login = await credentials.of(pool, uri)
    user, key = login or ("admin", b"")
    with ExitStack() as files:
        keyring = ""
        if login:
            text = f"[client.{user}]\n\tkey = {base64.b64encode(key).decode()}\n"
            keyring = files.enter_context(credentials.in_memory("keyring", text.encode()))
        conf = "".join(f"{line}\n" for line in _settings(pool, keyring))
        path = files.enter_context(credentials.in_memory("ceph.conf", conf.encode()))
        yield Ceph(path, user, pool.source.name or "")


def _settings(pool: Pool, keyring: str) -> Iterator[str]:
    yield "[global]"
    yield f"mon host = {','.join(map(_plain, _monitors(pool)))}"
    yield f"keyring = {keyring or '/dev/null'}"
    how = "cephx" if keyring else "none"
    yield from (f"auth {what} required = {how}" for what in ("cluster", "service", "client"))
    # As libvirt: nobody waits for a cluster that is gone.
    yield "client mount timeout = 30"
    yield "rados mon op timeout = 30"
    yield "rados osd op timeout = 30"
    for option in pool.rbd_options.options if pool.rbd_options else ():
        yield f"{_plain(option.name)} = {_plain(option.value)}"


def _monitors(pool: Pool) -> Iterator[str]:
    for host in pool.source.hosts:
        name = f"[{host.name}]" if ":" in host.name else host.name
        yield f"{name}:{host.port}" if host.port else name


def _plain(word: str) -> str:
    """A word that ends no line and begins no section."""
    if not _PLAIN.fullmatch(word.replace("[", "").replace("]", "") if ":" in word else word):
        raise DocumentError(f"{word!r} cannot be a setting of Ceph", place="pool/source", hint="correct it")
    return word


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise HostError(f"the cluster answered what is no JSON: {text[:200]!r}") from None
