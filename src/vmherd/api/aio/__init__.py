"""The asynchronous API: hosts and domains, over any driver.

The blocking twin, ``vmherd.api.sync``, is generated from the modules here (``tools/gensync.py``): every public
coroutine becomes a blocking method there.
"""

from vmherd.api.aio.agent import Agent
from vmherd.api.aio.blocks import Blocks, Cards
from vmherd.api.aio.control import Control
from vmherd.api.aio.devices import Devices
from vmherd.api.aio.domain import Domain
from vmherd.api.aio.filters import Bindings, Filter, Filters
from vmherd.api.aio.hardware import Hardware
from vmherd.api.aio.host import Host, connect
from vmherd.api.aio.interfaces import HostInterface, Interfaces
from vmherd.api.aio.networks import Network, Networks, Ports
from vmherd.api.aio.nodedevs import HostDevice, HostDevices
from vmherd.api.aio.screen import Screen
from vmherd.api.aio.secrets import Secret, Secrets
from vmherd.api.aio.storage import Pool, Pools, Volume
from vmherd.api.aio.tuning import Tuning

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
