"""The kernel's network devices, addresses and routes, through netlink."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from vmherd.errors import HostError

if TYPE_CHECKING:
    from pyroute2 import AsyncIPRoute

T = TypeVar("T")

_RIGHTS = "root may; without rights there is <interface type='user'>"


async def with_links(
    work: Callable[[AsyncIPRoute], Coroutine[Any, Any, T]],
    *,
    what: str = "the network device cannot be set up",
    hint: str = _RIGHTS,
) -> T:
    """What ``work`` finds out about, or does to, the kernel's network devices; its complaints become HostError.

    On a loop of its own: pyroute2's sockets are not for every other one, such as uvloop's.
    """
    from pyroute2 import AsyncIPRoute, NetlinkError  # takes longer than all of vmherd to import

    async def connected() -> T:
        async with AsyncIPRoute() as links:
            return await work(links)

    try:
        return await asyncio.to_thread(asyncio.run, connected())
    except NetlinkError as problem:
        raise HostError(f"{what}: {problem.args[-1]}", hint=hint) from None
