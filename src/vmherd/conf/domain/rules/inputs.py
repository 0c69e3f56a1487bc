"""Keyboards and mice: which bus takes which, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.input import Input, InputBus, InputType
from vmherd.conf.domain.problem import Problem, numbered


def inputs(domain: Domain) -> Iterator[Problem]:
    """Source: virDomainInputDefParseXML and virDomainInputDefValidate of libvirt."""
    for number, each in numbered(domain.devices.inputs):
        place = f"domain/devices/input[{number}]"
        if each.bus is InputBus.PS2 and each.type not in (InputType.MOUSE, InputType.KEYBOARD):
            text = f"PS/2 has no {each.type}"
            yield Problem(f"{place}/@bus", text, "use bus='usb' or bus='virtio'")
        yield from _passed_on(each, place)
        if each.model is not None and each.bus is not InputBus.VIRTIO:
            yield Problem(f"{place}/@model", "only virtio devices have a model", "remove it, or use bus='virtio'")


def _passed_on(each: Input, place: str) -> Iterator[Problem]:
    """Devices of the host."""
    path = each.source and (each.source.dev if each.type is InputType.EVDEV else each.source.evdev)
    if each.type in (InputType.PASSTHROUGH, InputType.EVDEV) and not path:
        name = "dev" if each.type is InputType.EVDEV else "evdev"
        text = "the host's device is missing"
        yield Problem(f"{place}/source", text, f"add <source {name}='/dev/input/event0'/>")
    if each.type is InputType.PASSTHROUGH and each.bus is not InputBus.VIRTIO:
        yield Problem(f"{place}/@bus", "the host's input devices are passed on by virtio", "use bus='virtio'")


RULES = (inputs,)
