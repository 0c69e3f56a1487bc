"""What network cards and host devices need of the host, beyond what the document says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from vmherd.conf.domain.hostdev import ScsiSource
from vmherd.conf.domain.net import Interface


class HostSide(Protocol):
    """The host's end of cards and devices; descriptors are open, and QEMU inherits them."""

    def tap(self, interface: Interface) -> Sequence[int]:
        """A network device of the host: one descriptor for each queue of the card."""

    def vhost_net(self, interface: Interface) -> Sequence[int]:
        """The kernel's accelerator, one for each queue; empty where there is none and the card can do without."""

    def vdpa(self, interface: Interface) -> int:
        """Hardware that does a virtio card's work."""

    def passt(self, interface: Interface) -> Path:
        """The socket of the card's own router."""

    def vhost_scsi(self) -> int:
        """The kernel's SCSI target."""

    def scsi_generic(self, source: ScsiSource) -> str:
        """The device file through which SCSI commands go to a device of this host."""
