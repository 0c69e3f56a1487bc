"""Numbers and sizes as LXC's configuration and mount options tell them."""

from __future__ import annotations

import re

from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import BadValue, scale


def size(text: str, place: str) -> int:
    """Bytes of a number with an optional unit, such as 8m or 1G.  Raises DocumentError, also for a percentage."""
    found = re.fullmatch(r"([0-9]{1,18})([A-Za-z]*)", text)
    if text.endswith("%"):
        raise DocumentError(f"{text!r} is relative", place=place, hint="give a number of bytes, or 64m, 1g, ...")
    if not found:
        raise DocumentError(f"{text!r} is no size", place=place, hint="write it like 64m or 1g")
    try:
        return int(found[1]) * scale(found[2] or "bytes")
    except BadValue as problem:
        raise DocumentError(str(problem), place=place, hint="write it like 64m or 1g") from None


def number(text: str, place: str, *, low: int = 0, high: int = 2**32 - 1) -> int:
    """A whole number from ``low`` to ``high``.  Raises DocumentError."""
    if re.fullmatch(r"-?[0-9]{1,18}", text) and low <= int(text) <= high:
        return int(text)
    raise DocumentError(f"{text!r} is no number from {low} to {high}", place=place)
