"""Finds the driver of a URI among the ``vmherd.drivers`` entry points; loads it when first used.

A URI with a transport or a host (qemu+ssh://host/system) is the remote driver's, whatever its scheme.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, TypeVar, cast

from vmherd.driver.base import Driver
from vmherd.driver.uri import ConnectURI
from vmherd.errors import ConnectFailed, NotSupported

if TYPE_CHECKING:
    from vmherd.driver.hypervisor import HypervisorDriver

GROUP = "vmherd.drivers"
_RESOURCES = "vmherd.resources"
REMOTE = "remote"

R = TypeVar("R", bound=Driver)


def drivers() -> dict[str, EntryPoint]:
    """Every installed driver by URI scheme; none is imported."""
    return {point.name: point for point in entry_points(group=GROUP)}


async def open_driver(uri: ConnectURI, *, readonly: bool = False) -> HypervisorDriver:
    """Import and open the driver for ``uri``.  Raises ConnectFailed if there is none for its scheme."""
    name = REMOTE if uri.transport or uri.host else uri.scheme
    point = next(iter(entry_points(group=GROUP, name=name)), None)
    if point is None:
        known = ", ".join(sorted(drivers()))
        raise ConnectFailed(f"no driver for {uri.text!r}", hint=f"known schemes: {known}")
    driver = cast("type[HypervisorDriver]", point.load())
    return await driver.open(uri, readonly=readonly)


class _Loan:
    """A resource's driver while somebody uses it."""

    def __init__(self) -> None:
        self.users = 0
        self.opening = asyncio.Lock()
        self.driver: Driver | None = None


_loans: dict[tuple[str, str, int], _Loan] = {}


@asynccontextmanager
async def lent(kind: type[R], uri: ConnectURI) -> AsyncIterator[R]:
    """The driver of a resource beside the guests of ``uri``: ``StorageDriver``, ``NetworkDriver``, ...

    All users in this program have the same one, which is open while there are any.
    """
    key = kind.name, uri.text, id(asyncio.get_running_loop())
    loan = _loans.setdefault(key, _Loan())
    loan.users += 1
    try:
        async with loan.opening:
            if loan.driver is None:
                loan.driver = await _resource(kind).open(uri)
        yield cast("R", loan.driver)
    finally:
        loan.users -= 1
        if not loan.users:
            del _loans[key]
            if loan.driver:
                await loan.driver.close()


def _resource(kind: type[R]) -> type[R]:
    """Import it.  Raises NotSupported where there is none, such as in an installation without it."""
    point = next(iter(entry_points(group=_RESOURCES, name=kind.name)), None)
    if point is None:
        raise NotSupported(kind.name, "this host")
    return cast("type[R]", point.load())
