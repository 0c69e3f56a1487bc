"""Finds the driver of a URI among the ``vmherd.drivers`` entry points; loads it when first used.

A URI with a transport or a host (qemu+ssh://host/system) is the remote driver's, whatever its scheme.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, cast

from vmherd.driver.uri import ConnectURI
from vmherd.errors import ConnectFailed

if TYPE_CHECKING:
    from vmherd.driver.hypervisor import HypervisorDriver
    from vmherd.driver.secret import SecretDriver
    from vmherd.driver.storage import StorageDriver

GROUP = "vmherd.drivers"
_RESOURCES = "vmherd.resources"
REMOTE = "remote"


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


async def open_storage(uri: ConnectURI) -> StorageDriver:
    """Import and open the storage that belongs to the guests of ``uri``: the system's, or the session's."""
    return await cast("type[StorageDriver]", _resource("storage")).open(uri)


async def open_secrets(uri: ConnectURI) -> SecretDriver:
    """As ``open_storage``, the secrets."""
    return await cast("type[SecretDriver]", _resource("secret")).open(uri)


def _resource(name: str) -> object:
    (point,) = entry_points(group=_RESOURCES, name=name)
    return point.load()
