"""The values of the secrets that a document names, fetched before QEMU's arguments are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from vmherd.conf.domain import Domain
from vmherd.conf.domain.storage import Secret
from vmherd.conf.domain.tpm import TpmSecret
from vmherd.conf.secret import UsageType
from vmherd.driver.registry import lent
from vmherd.driver.secret import SecretDriver, SecretInfo
from vmherd.driver.uri import parse_uri
from vmherd.errors import SecretNotFound
from vmherd.hypervisors.qemu.command.secrets import no_secrets
from vmherd.hypervisors.qemu.config import Config
from vmherd.util.xmlmodel import Element, declared

Find = Callable[[Secret], bytes]

#: What the types of <secret> elements are called among usages; a passphrase opens a volume.
_USAGES = {"passphrase": UsageType.VOLUME, "ceph": UsageType.CEPH, "iscsi": UsageType.ISCSI, "tls": UsageType.TLS}


async def fetch(domain: Domain, config: Config, uri: str) -> Find:
    """What looks up the value of each secret that ``domain`` and the settings name.

    Raises SecretNotFound for one that is not there, or has no value.
    """
    named = [*_named(domain), *map(_of_settings, filter(None, _in_settings(config)))]
    if not named:
        return no_secrets
    async with lent(SecretDriver, parse_uri(uri)) as driver:
        values = {_key(each): await _value(driver, each) for each in named}
    return lambda secret: values[_key(secret)]


def _named(element: Element) -> Iterator[Secret]:
    """Every <secret> below an element, and what encrypts a TPM's state."""
    for each in declared(type(element)):
        value = getattr(element, each.name)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Secret):
                yield item
            elif isinstance(item, TpmSecret):
                yield Secret(uuid=item.secret)
            elif isinstance(item, Element):
                yield from _named(item)


def _in_settings(config: Config) -> Iterator[str]:
    settings: list[Any] = [config.chardev, config.vnc, config.spice]
    yield from (each.tls_secret for each in settings if each.tls)


def _of_settings(uuid: str) -> Secret:
    return Secret(uuid=uuid)


def _key(secret: Secret) -> tuple[str | None, str | None, str | None]:
    return (None, secret.uuid, None) if secret.uuid else (secret.type, None, secret.usage)


async def _value(driver: SecretDriver, secret: Secret) -> bytes:
    found = await _info(driver, secret)
    return await driver.secret_value(found.uuid, internal=True)


async def _info(driver: SecretDriver, secret: Secret) -> SecretInfo:
    if secret.uuid:
        return await driver.secret_find(secret.uuid)
    usage = _USAGES.get(secret.type or "")
    if usage is None or not secret.usage:
        raise SecretNotFound(secret.usage or "", "is named by neither UUID nor use", "add uuid='...' to <secret>")
    return await driver.secret_by_usage(list(UsageType).index(usage), secret.usage)
