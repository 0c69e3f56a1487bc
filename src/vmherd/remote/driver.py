"""The remote driver: every operation is a call to the daemon of another host, or of this one."""

from __future__ import annotations

from vmherd.remote.agent import RemoteAgent
from vmherd.remote.blocks import RemoteBlocks
from vmherd.remote.control import RemoteControl
from vmherd.remote.devices import RemoteDevices
from vmherd.remote.domain import RemoteDomains
from vmherd.remote.events import RemoteEvents
from vmherd.remote.host import RemoteHost
from vmherd.remote.own import RemoteOwn
from vmherd.remote.resource import RemoteResources
from vmherd.remote.saving import RemoteSaving
from vmherd.remote.screen import RemoteScreen
from vmherd.remote.tuning import RemoteTuning


class RemoteDriver(
    RemoteOwn,
    RemoteResources,
    RemoteHost,
    RemoteDomains,
    RemoteDevices,
    RemoteBlocks,
    RemoteSaving,
    RemoteScreen,
    RemoteTuning,
    RemoteAgent,
    RemoteControl,
    RemoteEvents,
):
    """One connection to a daemon that speaks libvirt's protocol."""
