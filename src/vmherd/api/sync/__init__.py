"""The blocking API: hosts and domains, over any driver.

Generated from aio/__init__.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from vmherd.api.sync.agent import Agent
from vmherd.api.sync.blocks import Blocks, Cards
from vmherd.api.sync.control import Control
from vmherd.api.sync.devices import Devices
from vmherd.api.sync.domain import Domain
from vmherd.api.sync.filters import Bindings, Filter, Filters
from vmherd.api.sync.hardware import Hardware
from vmherd.api.sync.host import Host, connect
from vmherd.api.sync.interfaces import HostInterface, Interfaces
from vmherd.api.sync.networks import Network, Networks, Ports
from vmherd.api.sync.nodedevs import HostDevice, HostDevices
from vmherd.api.sync.screen import Screen
from vmherd.api.sync.secrets import Secret, Secrets
from vmherd.api.sync.storage import Pool, Pools, Volume
from vmherd.api.sync.tuning import Tuning

__all__ = [
    "Agent",
    "Bindings",
    "Blocks",
    "Cards",
    "Control",
    "Devices",
    "Domain",
    "Filter",
    "Filters",
    "Hardware",
    "Host",
    "HostDevice",
    "HostDevices",
    "HostInterface",
    "Interfaces",
    "Network",
    "Networks",
    "Pool",
    "Pools",
    "Ports",
    "Screen",
    "Secret",
    "Secrets",
    "Tuning",
    "Volume",
    "connect",
]
