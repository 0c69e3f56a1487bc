"""<filterbinding>: a filter on one interface of a guest.

Source: https://libvirt.org/formatnwfilterbinding.html and src/conf/virnwfilterbindingdef.c
"""

from __future__ import annotations

from vmherd.conf.nwfilter.reference import FilterRef, Name
from vmherd.conformance import Case
from vmherd.util.xmlmodel import Element, Mac, Uuid, attr, child, leaf, parse, render


class Owner(Element, tag="owner"):
    """The guest."""

    name: Name = leaf()
    uuid: Uuid = leaf()


class PortDevice(Element, tag="portdev"):
    """The host's end of the interface."""

    name: Name = attr()


class LinkDevice(Element, tag="linkdev"):
    """The card below a macvtap interface."""

    name: Name = attr()


class BoundMac(Element, tag="mac"):
    address: Mac = attr()


class Binding(Element, tag="filterbinding"):
    owner: Owner = child()
    port: PortDevice = child()
    link: LinkDevice | None = child()
    mac: BoundMac = child()
    filterref: FilterRef = child()


def parse_binding(text: str | bytes) -> Binding:
    """A binding.  Raises DocumentError, also for one that leaves out the guest, its interface or the filter."""
    return parse(Binding, text)


def conformance(case: Case) -> str:
    """A binding read and written."""
    return render(parse_binding(case.input))
