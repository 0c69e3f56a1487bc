"""Connection URIs: ``scheme[+transport]://[user@][host[:port]]/path[?name=value]``, as libvirt writes them."""

from __future__ import annotations

import os
from urllib.parse import unquote

import msgspec

from vmherd.errors import InvalidArgument
from vmherd.util import uri


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
    try:
        found = uri.parse(text)
    except InvalidArgument as problem:
        raise InvalidArgument(f"bad connection URI: {problem.message}", hint=_HINT) from None
    scheme, _, transport = (found.scheme or "").partition("+")
    if not scheme or not (found.server or text[len(found.scheme or "") :].startswith(":///")):
        raise InvalidArgument(f"bad connection URI {text!r}", hint=_HINT)
    return ConnectURI(
        text=text,
        scheme=scheme,
        transport=transport,
        user=unquote(found.user or ""),
        host=found.server or "",
        port=found.port or None,
        path=unquote(found.path or ""),
        params=dict(found.params),
    )


def default_uri() -> str:
    """``VMHERD_DEFAULT_URI``, else the system's QEMU for root and the session's for everyone else."""
    return os.environ.get("VMHERD_DEFAULT_URI") or ("qemu:///system" if os.geteuid() == 0 else "qemu:///session")


_HINT = "write it like qemu:///session, qemu:///system or test:///default"
