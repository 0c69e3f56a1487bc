"""What happens to networks, storage pools, devices of the host and secrets, with libvirt's numbers.

Sources: virNetworkEventLifecycleType, virStoragePoolEventLifecycleType, virNodeDeviceEventLifecycleType,
virSecretEventLifecycleType and the enums of their event ids.
"""

from __future__ import annotations

from enum import IntEnum

from vmherd.events.base import Event


class NetworkLifecycle(IntEnum):
    DEFINED = 0
    UNDEFINED = 1
    STARTED = 2
    STOPPED = 3


class PoolLifecycle(IntEnum):
    DEFINED = 0
    UNDEFINED = 1
    STARTED = 2
    STOPPED = 3
    CREATED = 4
    DELETED = 5


class DeviceLifecycle(IntEnum):
    CREATED = 0
    DELETED = 1
    DEFINED = 2
    UNDEFINED = 3


class SecretLifecycle(IntEnum):
    DEFINED = 0
    UNDEFINED = 1


class ResourceEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened to something that guests need of the host."""


class NetworkEvent(ResourceEvent, frozen=True, kw_only=True):
    """A network is defined, starts, ..."""

    event: NetworkLifecycle


class PoolEvent(ResourceEvent, frozen=True, kw_only=True):
    """A storage pool is defined, starts, is built (CREATED), ..."""

    event: PoolLifecycle


class PoolRefreshEvent(ResourceEvent, frozen=True, kw_only=True):
    """The volumes of a pool, or its sizes, are other ones now."""


class NodeDeviceEvent(ResourceEvent, frozen=True, kw_only=True):
    """A device of the host came, or went; ``uuid`` is "" since devices have just names."""

    uuid: str = ""
    event: DeviceLifecycle


class NodeDeviceUpdateEvent(ResourceEvent, frozen=True, kw_only=True):
    """What a device of the host is has changed."""

    uuid: str = ""


class SecretEvent(ResourceEvent, frozen=True, kw_only=True):
    """A secret is defined, or not any more; its ``name`` is its UUID, ``usage_type`` a virSecretUsageType."""

    event: SecretLifecycle
    usage_type: int = 0
    usage_id: str = ""


class SecretValueEvent(ResourceEvent, frozen=True, kw_only=True):
    """A secret has another value."""

    usage_type: int = 0
    usage_id: str = ""


#: Every kind there is of resources.
AnyResourceEvent = (
    NetworkEvent
    | PoolEvent
    | PoolRefreshEvent
    | NodeDeviceEvent
    | NodeDeviceUpdateEvent
    | SecretEvent
    | SecretValueEvent
)
