"""The host's end of network cards and host devices, on the made-up hosts of conformance cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vmherd.conf.domain import Domain
from vmherd.conf.domain.hostdev import ScsiSource
from vmherd.conf.domain.net import Interface
from vmherd.hypervisors.qemu.command.device import alias
from vmherd.hypervisors.qemu.command.netdev import queues


class MadeUpSide:
    """Descriptors with the numbers that the facts tell; nothing is opened."""

    def __init__(self, facts: dict[str, Any], domain: Domain) -> None:
        self._devices = facts["devices"]
        self._state = Path(facts["config"]["stateDir"])
        self._guest = f"{domain.id}-{domain.name[:20]}"

    def tap(self, interface: Interface) -> Sequence[int]:
        return self._numbers(self._devices["tap"]["fds_from"], interface)

    def vhost_net(self, interface: Interface) -> Sequence[int]:
        return self._numbers(self._devices["vhost_net_fds_from"], interface)

    def _numbers(self, first: int, interface: Interface) -> Sequence[int]:
        return range(first, first + (queues(interface) or 1))

    def vdpa(self, _: Interface) -> int:
        return int(self._devices["vdpa_fd"])

    def passt(self, interface: Interface) -> Path:
        return self._state / "passt" / f"{self._guest}-{alias(interface)}.socket"

    def vhost_scsi(self) -> int:
        return int(self._devices["vhost_scsi_fd"])

    def scsi_generic(self, _: ScsiSource) -> str:
        return str(self._devices["scsi_hostdev"])
