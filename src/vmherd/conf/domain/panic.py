"""<panic>: the device a guest tells of its crash.

Source: https://libvirt.org/formatdomain.html#panic-device
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.util.xmlmodel import attr


class PanicModel(StrEnum):
    DEFAULT = "default"
    PSERIES = "pseries"
    ISA = "isa"
    HYPERV = "hyperv"
    S390 = "s390"
    PVPANIC = "pvpanic"


class Panic(Device, tag="panic"):
    model: PanicModel | None = attr()
