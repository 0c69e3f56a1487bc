"""Security labels of the guest and of single devices.

Source: https://libvirt.org/formatdomain.html#security-label
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.util.xmlmodel import Element, YesNo, attr, leaf


class SeclabelType(StrEnum):
    NONE = "none"
    DYNAMIC = "dynamic"
    STATIC = "static"


class Seclabel(Element, tag="seclabel"):
    """How one security driver (``selinux``, ``apparmor``, ``dac``) confines the guest."""

    type: SeclabelType | None = attr()
    model: str | None = attr()
    relabel: YesNo | None = attr()
    label: str | None = leaf()
    imagelabel: str | None = leaf()
    baselabel: str | None = leaf()


class DeviceSeclabel(Element, tag="seclabel"):
    """An exception for one disk image or character device."""

    model: str | None = attr()
    labelskip: YesNo | None = attr()
    relabel: YesNo | None = attr()
    label: str | None = leaf()
