"""How what a program holds comes to the drivers of resources."""

from __future__ import annotations

from typing import TypeVar

from vmherd.driver.base import Driver
from vmherd.driver.hypervisor import HypervisorDriver

R = TypeVar("R", bound=Driver)


async def changing(driver: HypervisorDriver, kind: type[R]) -> R:
    """The driver of a resource, to change something.  Raises ReadOnly on a connection opened read-only.

    Resources are shared by all connections of a program, so none of them knows for whom it works.
    """
    driver.require_writable()
    return await driver.resource(kind)
