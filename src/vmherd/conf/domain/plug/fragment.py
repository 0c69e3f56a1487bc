"""One device alone, as it is attached, changed and detached."""

from __future__ import annotations

from functools import cache

from vmherd.conf.domain.defaults import complete_mac
from vmherd.conf.domain.domain import Devices
from vmherd.conf.domain.net import Interface
from vmherd.errors import Unsupported
from vmherd.util.xmlmodel import Element, declared, parse_any
from vmherd.util.xmlmodel.document import load


def parse_device(xml: str | bytes) -> Element:
    """The device ``xml`` describes, nothing added.

    Raises XMLSyntaxError when it is not well formed, DocumentError when it is no device, or none that is known.
    """
    tag = load(xml).tag
    if tag not in [kind.__xml__.tag for kind in _kinds()]:
        raise Unsupported(f"unknown device type '{tag}'", hint="it is an element of <devices>, such as <disk>")
    device = parse_any(_kinds(), xml)
    alias = getattr(device, "alias", None)
    if alias is not None and not alias.name:
        device.alias = None  # type: ignore[attr-defined]
    return device


@cache
def _kinds() -> tuple[type[Element], ...]:
    """Every element of <devices>."""
    return tuple(each.classes[0] for each in declared(Devices) if each.classes)


@cache
def room(kind: type[Element]) -> str:
    """The field of <devices> for elements of a class."""
    return next(each.name for each in declared(Devices) if each.classes and each.classes[0] is kind)


def word(device: Element) -> str:
    """libvirt's word for the kind of a device (virDomainDeviceTypeToString)."""
    tag = type(device).__xml__.tag
    return _WORDS.get(tag, tag)


_WORDS = {"interface": "interface", "serial": "chr", "parallel": "chr", "console": "chr", "channel": "chr"}


def settle(device: Element) -> Element:
    """The device with what is left to chance chosen, so that it is the same wherever it is put."""
    if isinstance(device, Interface):
        complete_mac(device)
    return device
