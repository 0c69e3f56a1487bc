"""The kernel tells when devices come, go and change: in datagrams to whoever listens, or by way of udev.

Source: lib/kobject_uevent.c of Linux; libudev-monitor of systemd, whose messages have a header before the properties.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator

import msgspec

_KOBJECT_UEVENT = 15
_KERNEL, _UDEV = 1, 2
_MAGIC = b"libudev\0"
#: Where in udev's header there are the place and the size of the properties.
_PLACE = struct.Struct("=16xII")
_BUFFER = 8 << 20
_MOST = 1 << 16


class Uevent(msgspec.Struct, frozen=True):
    """``action`` is "add", "remove", "change", "bind", ...; ``path`` that in sysfs, such as /devices/pci0000:00/..."""

    action: str
    path: str


class Monitor:
    """Hears of devices from now on; with ``udev`` when that has looked at them, since it may change their names."""

    def __init__(self, *, udev: bool) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _KOBJECT_UEVENT)
        self.socket.setblocking(False)
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self.socket.bind((0, _UDEV if udev else _KERNEL))

    def close(self) -> None:
        self.socket.close()

    def heard(self) -> Iterator[Uevent | None]:
        """What was told since the last time; None for what was too much to be kept."""
        while True:
            try:
                data, sender = self.socket.recvfrom(_MOST)
            except BlockingIOError:
                return
            except OSError as problem:
                if problem.errno != errno.ENOBUFS:
                    raise
                yield None
                continue
            # Programs may send to the kernel's group only as root; the kernel's own datagrams come from port 0.
            if event := read_message(data, sender[0]):
                yield event


def read_message(data: bytes, sender: int) -> Uevent | None:
    """What a datagram tells; None for one that is neither the kernel's nor udev's.  ``sender`` is its netlink port."""
    if data.startswith(_MAGIC):
        if len(data) < _PLACE.size:
            return None
        place, size = _PLACE.unpack_from(data)
        data = data[place : place + size]
    elif sender != 0:
        return None
    words = (word.partition(b"=") for word in data.split(b"\0"))
    found = {key.decode("latin-1"): os.fsdecode(value) for key, mark, value in words if mark}
    return Uevent(found["ACTION"], found["DEVPATH"]) if found.keys() >= {"ACTION", "DEVPATH"} else None
