"""Keyboards, mice and tablets on USB and virtio, and devices of the host; those on PS/2 are part of the machine."""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.input import Input, InputBus, InputType
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, option, virtio, virtio_name

_INPUTS = {InputType.MOUSE: "mouse", InputType.KEYBOARD: "kbd", InputType.TABLET: "tablet"}


def arguments(domain: Domain) -> list[str]:
    """Every input device that is not the machine's own."""
    args: list[str] = []
    for each in domain.devices.inputs:
        if each.type is InputType.EVDEV:
            args += option("-object", _evdev(each))
        elif each.bus is InputBus.USB:
            args += device({"driver": f"usb-{_INPUTS[each.type]}", "id": alias(each), **bus(each, domain)})
        elif each.bus is InputBus.VIRTIO:
            args += device(_virtio_input(domain, each))
    return args


def _evdev(each: Input) -> Properties:
    """A device of the host whose events go to the guest's own devices, or to the host, as keys toggle it."""
    source = each.source
    return {
        "qom-type": "input-linux",
        "id": alias(each),
        "evdev": source.dev if source else None,
        "repeat": source.repeat if source else None,
        "grab-toggle": source.grab_toggle if source else None,
        "grab_all": True if source and source.grab == "all" else None,
    }


def _virtio_input(domain: Domain, each: Input) -> Properties:
    passed = each.type is InputType.PASSTHROUGH
    name = virtio_name("virtio-input-host" if passed else f"virtio-{each.type}", each.model, each)
    device_file = each.source.evdev if passed and each.source else None
    return {"driver": name, **virtio(each.driver), "id": alias(each), "evdev": device_file, **bus(each, domain)}
