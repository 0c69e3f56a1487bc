"""Finding what has a name and a UUID."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from vmherd.errors import NotFound

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")


async def by_uuid_or_name(
    call: Callable[..., Awaitable[Any]], word: str, key: str, missing: Callable[[str], NotFound]
) -> Any:
    """How the protocol names the object whose UUID or name is ``key``; ``word`` is that of its procedures.

    Raises what ``missing`` makes: the other side would tell of the last question only.
    """
    asked = [(f"{word}_lookup_by_name", key)]
    if _UUID.fullmatch(key):
        asked.insert(0, (f"{word}_lookup_by_uuid", key.lower()))
    for name, value in asked:
        try:
            return await call(name, value)
        except NotFound:
            continue
    raise missing(key)
