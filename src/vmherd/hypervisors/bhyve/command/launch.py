"""What a start decides that the document does not say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vmherd.conf.domain import Domain
from vmherd.conf.domain.net import Interface


@dataclass(frozen=True, kw_only=True)
class Launch:
    """``tap`` names the device of a network card on the host, ``device_map`` the file that grub-bhyve reads."""

    tap: Callable[[Interface], str]
    device_map: str = "<device.map>"
    bhyve: str = "/usr/sbin/bhyve"
    bhyveload: str = "/usr/sbin/bhyveload"


def choose_ports(domain: Domain, first: int) -> None:
    """Number the screens that leave the choice to the start, from ``first`` on."""
    for graphics in domain.devices.graphics:
        if graphics.autoport:
            graphics.port, first = first, first + 1
