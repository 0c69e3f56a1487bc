"""The storage of this host: pools, and the volumes in them."""

from __future__ import annotations

from typing import Self

from vmherd.driver.uri import ConnectURI
from vmherd.resources.storage.pools import Pools
from vmherd.resources.storage.volumes import Volumes
from vmherd.state.places import of_uri


class LocalStorage(Pools, Volumes):
    """The pools of the system, or of a user's session."""

    @classmethod
    async def open(cls, uri: ConnectURI, *, readonly: bool = False) -> Self:
        driver = cls(uri, of_uri(uri, "storage"))
        await driver._settle()
        await driver._autostart()
        return driver
