"""<lease>: locks the guest holds while it runs.

Source: https://libvirt.org/formatdomain.html#device-leases
"""

from __future__ import annotations

from vmherd.util.xmlmodel import Element, ULong, attr, child, leaf


class LeaseTarget(Element, tag="target"):
    path: str = attr()
    offset: ULong | None = attr()


class Lease(Element, tag="lease"):
    lockspace: str | None = leaf()
    key: str = leaf()
    target: LeaseTarget = child()
