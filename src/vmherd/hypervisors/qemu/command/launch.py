"""What a start decides that the document does not say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Launch:
    """``listen`` opens a listening UNIX socket for a character device and returns its descriptor.

    ``folder`` is the guest's own run folder, ``monitor_fd`` a listening socket.  ``sandbox`` confines QEMU's system
    calls.  ``memory`` is where memory in files goes; ``auto_nodes`` the host's NUMA nodes for guests that leave the
    choice to the host.
    """

    folder: Path
    monitor_fd: int
    listen: Callable[[Path], int]
    memory: Path
    auto_nodes: tuple[int, ...] = ()
    sandbox: bool = True
