"""Networks, storage and the other things that guests need of a host, over the wire: their drivers, made when needed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, TypeVar, cast

import msgspec
from msgspec.structs import replace

from vmherd.driver.base import Driver
from vmherd.errors import InvalidArgument, NotSupported, VmherdError
from vmherd.events import ResourceEvent, Subscription
from vmherd.remote.connection import RemoteConnection
from vmherd.rpc.protocol import Procedure
from vmherd.rpc.resourceevents import BY_PROCEDURE, KINDS

log = logging.getLogger("vmherd.remote")

R = TypeVar("R", bound=Driver)

#: The driver of each resource, by the name of its API.
_DRIVERS = {
    "interface": ("interface", "RemoteInterfaces"),
    "network": ("network", "RemoteNetworks"),
    "nodedev": ("nodedev", "RemoteDevices"),
    "nwfilter": ("nwfilter", "RemoteFilters"),
    "secret": ("secret", "RemoteSecrets"),
    "storage": ("storage", "RemoteStorage"),
}


class Ref(NamedTuple):
    """How the protocol names a network or a pool."""

    name: str
    uuid: str


class Resource(Driver):
    """Base of the drivers of resources over a connection, which is closed by whoever opened it."""

    #: The word in the procedures of its lookups and its events, "" where it has none.
    word = ""

    def __init__(self, connection: RemoteConnection) -> None:
        super().__init__(connection.uri, readonly=connection.readonly)
        self._connection = connection
        self._subscriptions: list[Subscription[ResourceEvent]] = []
        self._callbacks: Sequence[int] = ()
        self._turn = asyncio.Lock()
        self._names: dict[str, str] = {}

    async def _ref(self, uuid: str) -> Ref:
        """How the protocol names an object.  The UUID tells, but libvirt looks at the name here and there as well."""
        if uuid not in self._names:
            self._names[uuid] = (await self._call(f"{self.word}_lookup_by_uuid", uuid)).name
        return Ref(self._names[uuid], uuid)

    async def _call(self, name: str, *arguments: Any) -> Any:
        return await self._connection.call(name, *arguments)

    async def _change(self, name: str, *arguments: Any) -> Any:
        """A call that changes something."""
        self.require_writable()
        return await self._connection.call(name, *arguments)

    # Events

    async def events(self, *wanted: type[ResourceEvent]) -> Subscription[ResourceEvent]:
        """The events of these classes from now on; all where none is named."""
        if not self.word:
            self._unsupported("events")
        subscription = Subscription(self._unsubscribe, wanted)
        self._subscriptions.append(subscription)
        try:
            async with self._turn:
                if not self._callbacks:
                    numbers = range(len(KINDS[self.word].shapes))
                    found = await asyncio.gather(*map(self._registered, numbers))
                    self._callbacks = [number for number in found if number is not None]
        except BaseException:
            subscription.close()
            raise
        return subscription

    async def _registered(self, event: int) -> int | None:
        try:
            return int(await self._call(f"connect_{self.word}_event_register_any", event, None))
        except (NotSupported, InvalidArgument):
            if event == 0:
                raise
            return None  # an older daemon has fewer kinds

    def _unsubscribe(self, subscription: Subscription[ResourceEvent]) -> None:
        self._subscriptions.remove(subscription)
        if not self._subscriptions and self._callbacks:
            callbacks, self._callbacks = self._callbacks, ()
            self._connection.afterwards(self._deregister(callbacks))

    async def _deregister(self, callbacks: Sequence[int]) -> None:
        for number in callbacks:
            await self._call(f"connect_{self.word}_event_deregister_any", number)

    def hear(self, event: ResourceEvent) -> None:
        """Hand an event to whoever wants it."""
        for subscription in self._subscriptions:
            if subscription.wants(event):
                subscription.put(event)

    def lost(self) -> None:
        """The connection is gone: nothing happens any more."""
        self._callbacks = ()
        for subscription in list(self._subscriptions):
            subscription.close()


class RemoteResources(RemoteConnection):
    """Finds the driver of a resource, and hands it its events."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._resources: dict[str, Resource] = {}
        super().__init__(*args, **kwargs)

    async def resource(self, kind: type[R]) -> R:
        if kind.name not in _DRIVERS:
            self._unsupported(kind.name)
        if kind.name not in self._resources:
            module, name = _DRIVERS[kind.name]
            self._resources[kind.name] = getattr(import_module(f"vmherd.remote.{module}"), name)(self)
        return cast("R", self._resources[kind.name])

    def _told(self, procedure: Procedure, values: Any) -> None:
        found = BY_PROCEDURE.get(procedure.number) if procedure.program.name == "remote" else None
        if found is None:
            super()._told(procedure, values)
            return
        kind, shape = found
        try:
            event = replace(shape.parse(values), time=time.time())
        except msgspec.ValidationError as problem:
            log.warning("an event that means nothing here: %s: %s", procedure.name, problem)
            return
        if resource := self._resources.get(kind.driver):
            resource.hear(event)

    def _lost(self, reason: VmherdError) -> None:
        super()._lost(reason)
        for resource in self._resources.values():
            resource.lost()
