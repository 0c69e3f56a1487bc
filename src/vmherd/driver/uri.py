"""Connection URIs: ``scheme[+transport]://[user@][host[:port]]/path[?name=value]``, as libvirt writes them."""

from __future__ import annotations

import os
from urllib.parse import parse_qsl, urlsplit

import msgspec

from vmherd.errors import InvalidArgument


class ConnectURI(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed connection URI.  ``params`` keeps the last value of a name given twice."""

    text: str
    scheme: str
    transport: str = ""
    user: str = ""
    host: str = ""
    port: int | None = None
    path: str = ""
    params: dict[str, str] = {}


def parse_uri(text: str) -> ConnectURI:
    """Split a connection URI.  Raises InvalidArgument if it is none."""
    if not text.isprintable():
        raise InvalidArgument(f"bad connection URI {text!r}: unprintable characters", hint=_HINT)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as problem:
        raise InvalidArgument(f"bad connection URI {text!r}: {problem}", hint=_HINT) from None
    scheme, _, transport = parts.scheme.partition("+")
    if not scheme or not (parts.netloc or text[len(parts.scheme) :].startswith(":///")):
        raise InvalidArgument(f"bad connection URI {text!r}", hint=_HINT)
    return ConnectURI(
        text=text,
        scheme=scheme,
        transport=transport,
        user=parts.username or "",
        host=parts.hostname or "",
        port=port,
        path=parts.path,
        params=dict(parse_qsl(parts.query)),
    )


def default_uri() -> str:
    """``VMHERD_DEFAULT_URI``, else the system's QEMU for root and the session's for everyone else."""
    return os.environ.get("VMHERD_DEFAULT_URI") or ("qemu:///system" if os.geteuid() == 0 else "qemu:///session")


_HINT = "write it like qemu:///session, qemu:///system or test:///default"
