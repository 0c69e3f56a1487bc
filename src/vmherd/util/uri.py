"""Uniform resource identifiers in parts, and together again (RFC 3986)."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

import msgspec

from vmherd.errors import InvalidArgument

#: Every character that may stand in a URI, with its percent-encoded ones.
_URI = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")


class Uri(msgspec.Struct, frozen=True, kw_only=True):
    """Parts that are absent are None, ``port`` is then 0.  ``params`` are the query's pairs, decoded."""

    scheme: str | None = None
    server: str | None = None
    user: str | None = None
    port: int = 0
    path: str | None = None
    query: str | None = None
    fragment: str | None = None
    params: list[tuple[str, str]] = []


def parse(text: str) -> Uri:
    """Take a URI apart.  Raises InvalidArgument for text that is none."""
    if not _URI.fullmatch(text):
        raise InvalidArgument(f"bad URI {text!r}: it has characters that must be written as %XX")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as problem:
        raise InvalidArgument(f"bad URI {text!r}: {problem}") from None
    user = parts.netloc.rpartition("@")[0]
    return Uri(
        scheme=parts.scheme or None,
        server=_server(parts.netloc.rpartition("@")[2]),
        user=user or None,
        port=port or 0,
        path=parts.path or None,
        query=parts.query or None,
        fragment=parts.fragment or None,
        params=_pairs(parts.query),
    )


def _server(place: str) -> str | None:
    """The host as it is written, an IPv6 address without its brackets."""
    bracketed = re.match(r"\[([^\]]*)\]", place)
    return bracketed[1] if bracketed else place.partition(":")[0] or None


def _pairs(query: str) -> list[tuple[str, str]]:
    """Names with their values; what has no name is dropped, as libvirt does."""
    pairs = (part.partition("=") for part in re.split("[&;]", query))
    return [(unquote(name), unquote(value)) for name, _, value in pairs if name]


def text_of(uri: Uri) -> str:
    """A URI from its parts, its query made anew of ``params`` if there are any."""
    server = uri.server or ""
    place = f"[{server}]" if ":" in server else server
    place = f"{uri.user}@{place}" if uri.user else place
    place += f":{uri.port}" if uri.port else ""
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in uri.params) or uri.query
    text = f"{uri.scheme}:" if uri.scheme else ""
    text += f"//{place}" if uri.server is not None or uri.scheme else ""
    text += uri.path or ""
    text += f"?{query}" if query else ""
    return text + (f"#{uri.fragment}" if uri.fragment else "")
