"""The secrets of this host, or of a user's session."""

from __future__ import annotations

from pathlib import Path
from typing import Self, TypedDict
from uuid import uuid4

import msgspec

from vmherd.conf.secret import Secret, Usage, UsageType, parse_secret
from vmherd.driver.secret import SecretDriver, SecretInfo
from vmherd.driver.uri import ConnectURI
from vmherd.errors import AlreadyExists, Denied, InvalidArgument, SecretNotFound
from vmherd.events import ResourceEvent, SecretEvent, SecretLifecycle, SecretValueEvent, Subscription
from vmherd.resources.secret.safe import Safe
from vmherd.state.hub import EventHub
from vmherd.state.places import Places, of_uri
from vmherd.state.store import Record, Store
from vmherd.util.files import write_atomically
from vmherd.util.xmlmodel import render

_KIND = "secret"
#: The types of usage by their numbers.
_TYPES = list(UsageType)
_MOST = 65536


class _Kept(msgspec.Struct, kw_only=True):
    """``value`` is encrypted; that of an ephemeral secret is not in the store."""

    config: str
    value: bytes | None = None


class LocalSecrets(SecretDriver):
    """Secrets in a store; values of ephemeral ones in files that do not outlive the host."""

    def __init__(self, uri: ConnectURI, places: Places) -> None:
        super().__init__(uri)
        self._store = Store(places.state / "state.db")
        self._run = places.run
        self._hub: EventHub[ResourceEvent] = EventHub(self._store, places.run / "listeners")
        self._safe = Safe(places.state / "secrets.key")

    @classmethod
    async def open(cls, uri: ConnectURI, *, readonly: bool = False) -> Self:
        return cls(uri, of_uri(uri, "secrets"))

    async def close(self) -> None:
        self._hub.close()
        self._store.close()

    async def events(self, *wanted: type[ResourceEvent]) -> Subscription[ResourceEvent]:
        return self._hub.subscribe(*wanted)

    async def secret_list(self) -> list[SecretInfo]:
        return sorted((_info(record) for record in self._store.all(_KIND)), key=lambda info: info.uuid)

    async def secret_find(self, uuid: str) -> SecretInfo:
        return _info(self._get(uuid))

    def _get(self, uuid: str) -> Record:
        record = self._store.get(_KIND, uuid)
        if record is None:
            raise SecretNotFound(uuid)
        return record

    async def secret_by_usage(self, usage_type: int, usage_id: str) -> SecretInfo:
        for info in await self.secret_list():
            if (info.usage_type, info.usage_id) == (usage_type, usage_id):
                return info
        raise SecretNotFound(usage_id)

    async def secret_xml(self, uuid: str) -> str:
        return _decode(self._get(uuid).body).config

    async def secret_define(self, xml: str) -> SecretInfo:
        secret = parse_secret(xml)
        secret.uuid = secret.uuid or str(uuid4())
        with self._store.transaction(durable=True):
            self._require_free(secret)
            known = self._store.get(_KIND, secret.uuid)
            kept = _decode(known.body) if known else _Kept(config="")
            if known and parse_secret(kept.config).ephemeral != secret.ephemeral:
                raise InvalidArgument("a secret cannot begin or cease to be ephemeral", hint="undefine it first")
            kept.config = render(secret)
            if known:
                self._store.replace(_KIND, secret.uuid, _encode(kept))
            else:
                self._store.insert(_KIND, secret.uuid, secret.uuid, _encode(kept))
            self._note(secret, SecretLifecycle.DEFINED)
        return await self.secret_find(secret.uuid)

    def _note(self, secret: Secret, what: SecretLifecycle) -> None:
        self._store.record_events([SecretEvent(**_named(secret), event=what)])

    def _require_free(self, secret: Secret) -> None:
        """Raises AlreadyExists where another secret is for the same use."""
        usage = secret.usage or Usage(type=UsageType.NONE)
        if usage.type is UsageType.NONE:
            return
        for info in map(_info, self._store.all(_KIND)):
            same = (_TYPES[info.usage_type], info.usage_id) == (usage.type, usage.id)
            if same and info.uuid != secret.uuid:
                raise AlreadyExists(
                    f"a secret with UUID {info.uuid} already defined for use with {usage.id}",
                    hint="undefine that one, or give this one its <uuid>",
                )

    async def secret_undefine(self, uuid: str) -> None:
        with self._store.transaction(durable=True):
            secret = parse_secret(_decode(self._get(uuid).body).config)
            self._file(uuid).unlink(missing_ok=True)
            self._store.delete(_KIND, uuid)
            self._note(secret, SecretLifecycle.UNDEFINED)

    async def secret_set_value(self, uuid: str, value: bytes) -> None:
        if len(value) > _MOST:
            raise InvalidArgument(f"the value has {len(value)} bytes, {_MOST} are allowed")
        with self._store.transaction(durable=True):
            kept = _decode(self._get(uuid).body)
            secret, locked = parse_secret(kept.config), self._safe.lock(value, uuid)
            if secret.ephemeral:
                write_atomically(self._file(uuid), locked)
            else:
                kept.value = locked
                self._store.replace(_KIND, uuid, _encode(kept))
            self._store.record_events([SecretValueEvent(**_named(secret))])

    async def secret_value(self, uuid: str, *, internal: bool = False) -> bytes:
        kept = _decode(self._get(uuid).body)
        secret = parse_secret(kept.config)
        if secret.private and not internal:
            raise Denied("secret is private", hint="only guests that use it get its value")
        locked = kept.value
        if secret.ephemeral and self._file(uuid).exists():
            locked = self._file(uuid).read_bytes()
        if locked is None:
            raise SecretNotFound(uuid, "has no value", "set it: 'virsh secret-set-value'")
        return self._safe.unlock(locked, uuid)

    def _file(self, uuid: str) -> Path:
        """The value of an ephemeral secret, encrypted, in a folder that is empty after a boot."""
        return self._run / uuid


_decode = msgspec.msgpack.Decoder(_Kept).decode
_encode = msgspec.msgpack.Encoder().encode


class _Named(TypedDict):
    uuid: str
    name: str
    usage_type: int
    usage_id: str


def _named(secret: Secret) -> _Named:
    """What events tell of a secret."""
    assert secret.uuid  # it has one once it is kept
    usage = secret.usage or Usage(type=UsageType.NONE)
    return {
        "uuid": secret.uuid,
        "name": secret.uuid,
        "usage_type": _TYPES.index(usage.type),
        "usage_id": usage.id,
    }


def _info(record: Record) -> SecretInfo:
    secret = parse_secret(_decode(record.body).config)
    usage = secret.usage or Usage(type=UsageType.NONE)
    return SecretInfo(
        uuid=record.uuid,
        usage_type=_TYPES.index(usage.type),
        usage_id=usage.id,
        ephemeral=secret.ephemeral,
        private=secret.private,
    )
