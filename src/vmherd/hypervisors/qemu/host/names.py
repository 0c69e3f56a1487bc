"""Names of network devices that are made for guests: none is used twice before the host boots again.

What is told of a device, such as a filter's rules or counters, is then never taken for another guest's.
Source: virNetDevReserveName and virNetDevGenerateName of libvirt.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.net import Interface, InterfaceType

#: What names begin with that are ours to give; in a document they are from another run of the guest.
PREFIXES = ("vnet", "macvtap")
_GENERATED = re.compile(rf"({'|'.join(PREFIXES)})\d+")


def wanted(interface: Interface) -> str:
    """The name that a document asks for, or ""."""
    name = interface.target.dev if interface.target and interface.target.dev else ""
    return "" if _GENERATED.fullmatch(name) else name


def forget_generated(domain: Domain) -> None:
    """Take out of a document what cards of networks had in a run of the guest, and the names of devices from it.

    Source: virDomainNetDefParseXML of libvirt
    """
    for interface in domain.devices.interfaces:
        if interface.target and interface.target.dev and not wanted(interface):
            interface.target.dev = None
            interface.target = interface.target if interface.target.managed is not None else None
        if interface.source and interface.type is InterfaceType.NETWORK:
            interface.source = interface.source.replace(portid=None, bridge=None, mac_table_manager=None)
        elif interface.source and interface.source.network:
            interface.source = interface.source.replace(network=None, portgroup=None, portid=None)


def following(folder: Path, prefix: str) -> str:
    """A name that none of those who count in ``folder`` had before."""
    fd = os.open(folder / f"{prefix}.number", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        number = int(os.pread(fd, 20, 0) or b"0")
        os.pwrite(fd, str(number + 1).encode(), 0)
    finally:
        os.close(fd)
    return f"{prefix}{number}"
