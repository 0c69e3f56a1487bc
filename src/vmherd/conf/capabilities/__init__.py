"""<capabilities>: what a host is and which guests it can run.

    parse(HostCapabilities, text), render(HostCapabilities(...))      with vmherd.util.xmlmodel

Source: https://libvirt.org/formatcaps.html and schemas/capability.rng
"""

from vmherd.conf.capabilities.cpu import HostCpu, HostFeature, Signature
from vmherd.conf.capabilities.document import (
    Guest,
    GuestArch,
    GuestDomain,
    GuestFeatures,
    Host,
    HostCapabilities,
    Machine,
    Migration,
    PowerManagement,
    SecurityModel,
    Toggle,
)
from vmherd.conf.capabilities.topology import CacheBank, HostCell, HostThread, HostTopology, pretty

__all__ = [
    "CacheBank",
    "Guest",
    "GuestArch",
    "GuestDomain",
    "GuestFeatures",
    "Host",
    "HostCapabilities",
    "HostCell",
    "HostCpu",
    "HostFeature",
    "HostThread",
    "HostTopology",
    "Machine",
    "Migration",
    "PowerManagement",
    "SecurityModel",
    "Signature",
    "Toggle",
    "pretty",
]
