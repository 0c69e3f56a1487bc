"""TCP ports for displays: each taken by a lock that lives exactly as long as the QEMU that has it."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from vmherd.errors import HostError

#: VNC displays start at port 5900 (RFC 6143); libvirt hands out as many (remote_display_port_max).
DISPLAYS = range(5900, 65536)
#: WebSocket ports as libvirt's qemu.conf has them.
WEBSOCKETS = range(5700, 65536)


def reserve(folder: Path, candidates: Iterable[int], address: str) -> tuple[int, int]:
    """A free port of ``candidates`` and the descriptor of its lock, for the guest to inherit.

    The lock keeps out other starts of ours, from the moment of choice on; trying to bind keeps away from ports
    that others use.  Raises HostError if none is free, or ``address`` is not this host's.
    """
    for port in candidates:
        fd = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _bind(address, port)
        except OSError as problem:
            os.close(fd)
            if problem.errno not in _TAKEN:
                raise HostError(
                    f"no display can listen on {address}: {problem.strerror}",
                    hint="use an address of this host, '127.0.0.1' or '0.0.0.0'",
                ) from None
        else:
            return port, fd
    raise HostError("every display port is taken", hint="give the display a <listen type='socket'/> instead")


#: By a lock of ours, by somebody else, or kept for privileged users.
_TAKEN = (errno.EWOULDBLOCK, errno.EADDRINUSE, errno.EACCES)


def _bind(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
