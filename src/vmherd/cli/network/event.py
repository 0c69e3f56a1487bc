"""The command that waits for events of networks."""

from __future__ import annotations

from vmherd.api.aio import Host
from vmherd.cli import watch
from vmherd.cli.network.names import known_networks
from vmherd.events import NetworkEvent


async def _find(host: Host, name: str) -> str:
    return (await host.networks.find(name)).uuid


event_command = watch.event_command(
    watch.Watched(
        word="network",
        kinds={"lifecycle": NetworkEvent},
        events=lambda host: host.networks.events(),
        find=_find,
        known=known_networks,
    )
)
