"""<secret>: what a secret is for; its value is kept apart.

    secret = parse_secret(text)
    render(secret)

Source: https://libvirt.org/formatsecret.html and src/conf/secret_conf.c
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conformance import Case
from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import Element, Uuid, YesNo, attr, child, leaf, parse, render


class UsageType(StrEnum):
    """virSecretUsageType, in its order."""

    NONE = "none"
    VOLUME = "volume"
    CEPH = "ceph"
    ISCSI = "iscsi"
    TLS = "tls"
    VTPM = "vtpm"


class Usage(Element, tag="usage"):
    """What it opens: a volume by its path, an iSCSI target, anything else by a name."""

    type: UsageType = attr()
    volume: str | None = leaf()
    name: str | None = leaf()
    target: str | None = leaf()

    @property
    def id(self) -> str:
        """What tells it from others of its type."""
        match self.type:
            case UsageType.VOLUME:
                return self.volume or ""
            case UsageType.ISCSI:
                return self.target or ""
        return self.name or ""


class Secret(Element, tag="secret"):
    """An ephemeral secret is never written to disk; the value of a private one is told to nobody outside."""

    ephemeral: YesNo = attr(default=False, always=True)
    private: YesNo = attr(default=False, always=True)
    uuid: Uuid | None = leaf()
    description: str | None = leaf()
    usage: Usage | None = child()


_NEEDED = {UsageType.VOLUME: "volume", UsageType.ISCSI: "target"}


def parse_secret(text: str | bytes) -> Secret:
    """A secret.  Raises DocumentError, also for a usage that does not say of what."""
    secret = parse(Secret, text)
    usage = secret.usage
    if usage and usage.type is not UsageType.NONE and not usage.id:
        needed = _NEEDED.get(usage.type, "name")
        problem = f"{usage.type} usage specified, but its {needed} is missing"
        raise DocumentError(problem, place=f"secret/usage/{needed}", hint=f"add <{needed}>")
    return secret


def conformance(case: Case) -> str:
    """A secret read and written."""
    return render(parse_secret(case.input))
