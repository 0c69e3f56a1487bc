"""The command that waits for events of pools."""

from __future__ import annotations

from vmherd.api.aio import Host
from vmherd.cli import watch
from vmherd.cli.pool.names import known_pools
from vmherd.events import PoolEvent, PoolRefreshEvent


async def _find(host: Host, name: str) -> str:
    return (await host.pools.find(name)).uuid


event_command = watch.event_command(
    watch.Watched(
        word="pool",
        kinds={"lifecycle": PoolEvent, "refresh": PoolRefreshEvent},
        events=lambda host: host.pools.events(),
        find=_find,
        known=known_pools,
    )
)
