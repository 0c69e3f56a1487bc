"""<watchdog>: what the host does when the guest stops answering.

Source: https://libvirt.org/formatdomain.html#watchdog-devices
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.util.xmlmodel import attr


class WatchdogModel(StrEnum):
    I6300ESB = "i6300esb"
    IB700 = "ib700"
    DIAG288 = "diag288"  # s390x only


class WatchdogAction(StrEnum):
    RESET = "reset"
    SHUTDOWN = "shutdown"
    POWEROFF = "poweroff"
    PAUSE = "pause"
    DUMP = "dump"
    NONE = "none"
    INJECT_NMI = "inject-nmi"


class Watchdog(Device, tag="watchdog"):
    model: WatchdogModel = attr()
    action: WatchdogAction = attr(default=WatchdogAction.RESET, always=True)
