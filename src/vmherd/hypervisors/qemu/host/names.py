"""Names of network devices that are made for guests: none is used twice before the host boots again.

What is told of a device, such as a filter's rules or counters, is then never taken for another guest's.
Source: virNetDevReserveName and virNetDevGenerateName of libvirt.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

from vmherd.conf.domain.net import Interface

#: What names begin with that are ours to give; in a document they are from another run of the guest.
PREFIXES = ("vnet", "macvtap")
_GENERATED = re.compile(rf"({'|'.join(PREFIXES)})\d+")


def wanted(interface: Interface) -> str:
    """The name that a document asks for, or ""."""
    name = interface.target.dev if interface.target and interface.target.dev else ""
    return "" if _GENERATED.fullmatch(name) else name


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
