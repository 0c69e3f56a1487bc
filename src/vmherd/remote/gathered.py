"""Lists over the wire, where each thing takes calls of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from vmherd.errors import NotFound

T = TypeVar("T")


async def described(refs: Iterable[Any], describe: Callable[[Any], Awaitable[T]]) -> list[T]:
    """What ``describe`` tells of each, at once; what is gone by then is left out."""
    found = await asyncio.gather(*map(describe, refs), return_exceptions=True)
    infos: list[T] = []
    for info in found:
        if isinstance(info, NotFound):
            continue
        if isinstance(info, BaseException):
            raise info
        infos.append(info)
    return infos
